/**
 * Kernels by hand, in few words. Sizes are numbers or Dims, indices lists of `[coefficient, axis or value]`.
 *
 *     const k = kernelMaker('relu', [read('x', n), write('y', n)]);
 *     k.parallel('i', n, () => k.store('y', at('i'), k.apply('maximum', k.load('x', at('i')), k.constant(0))));
 *     k.finish()
 */
import type { Dim } from '../../base/dim.ts';
import { computeDType, type DType } from '../../base/dtype.ts';
import type {
  Axis,
  IndexExpression,
  IndexFactor,
  IndexTerm,
  Kernel,
  KernelBuffer,
  KernelNode,
  KernelScratch,
  Let,
  ScalarExpression,
  ScalarId,
  ScalarOpcode,
  Sort,
  Store,
  SumOrder,
} from '../../ir/kernel.ts';
import type { CompareDirection, ReduceKind } from '../../ir/opcodes.ts';

export const read = (name: string, size: Dim, dtype: DType = 'float32'): KernelBuffer => ({
  name,
  dtype,
  access: 'read',
  size,
});
export const write = (name: string, size: Dim, dtype: DType = 'float32', inPlaceOf?: number): KernelBuffer => ({
  name,
  dtype,
  access: 'write',
  size,
  ...(inPlaceOf !== undefined && { inPlaceOf }),
});
export const readWrite = (name: string, size: Dim, dtype: DType = 'float32'): KernelBuffer => ({
  name,
  dtype,
  access: 'read_write',
  size,
});

type TermLike = string | readonly [Dim, string | ScalarId | IndexFactor];

/** An index: a number is the offset, text an axis, a pair a coefficient with an axis, a value or a factor. */
export function at(...parts: readonly (number | TermLike)[]): IndexExpression {
  let offset = 0;
  const terms: IndexTerm[] = [];
  for (const part of parts) {
    if (typeof part === 'number') offset += part;
    else if (typeof part === 'string') terms.push({ coefficient: 1, factor: { kind: 'axis', axis: part } });
    else {
      const [coefficient, what] = part;
      const factor: IndexFactor =
        typeof what === 'string'
          ? { kind: 'axis', axis: what }
          : typeof what === 'number'
            ? { kind: 'value', id: what }
            : what;
      terms.push({ coefficient, factor });
    }
  }
  return { offset, terms };
}

export const floordiv = (dividend: IndexExpression, divisor: Dim): IndexFactor => ({
  kind: 'floordiv',
  dividend,
  divisor,
});
export const mod = (dividend: IndexExpression, divisor: Dim): IndexFactor => ({ kind: 'mod', dividend, divisor });

export class KernelMaker {
  readonly name: string;
  readonly buffers: readonly KernelBuffer[];
  readonly scratch: readonly KernelScratch[];
  #nodes: KernelNode[] = [];
  #next = 0;

  constructor(name: string, buffers: readonly KernelBuffer[], scratch: readonly KernelScratch[] = []) {
    this.name = name;
    this.buffers = buffers;
    this.scratch = scratch;
  }

  id(): ScalarId {
    return this.#next++;
  }

  let(dtype: DType, expression: ScalarExpression): ScalarId {
    const id = this.id();
    this.#nodes.push({ kind: 'let', id, dtype, expression });
    return id;
  }

  constant(value: number, dtype: DType = 'float32'): ScalarId {
    return this.let(dtype, { kind: 'constant', value });
  }

  index(index: IndexExpression): ScalarId {
    return this.let('int32', { kind: 'index', index });
  }

  load(memory: string, index: IndexExpression, when?: ScalarId, otherwise?: number): ScalarId {
    const dtype = [...this.buffers, ...this.scratch].find((m) => m.name === memory)!.dtype;
    return this.let(computeDType(dtype), {
      kind: 'load',
      memory,
      index,
      ...(when !== undefined && { when }),
      ...(otherwise !== undefined && { otherwise }),
    });
  }

  apply(opcode: ScalarOpcode, ...operands: readonly ScalarId[]): ScalarId {
    return this.applyTo('float32', opcode, ...operands);
  }

  applyTo(dtype: DType, opcode: ScalarOpcode, ...operands: readonly ScalarId[]): ScalarId {
    return this.let(dtype, { kind: 'apply', opcode, operands });
  }

  compare(direction: CompareDirection, a: ScalarId, b: ScalarId): ScalarId {
    return this.let('bool', { kind: 'apply', opcode: 'compare', operands: [a, b], direction });
  }

  store(
    memory: string,
    index: IndexExpression,
    value: ScalarId,
    details: { combine?: Store['combine']; when?: ScalarId } = {},
  ): void {
    const { combine = 'assign', when } = details;
    this.#nodes.push({ kind: 'store', memory, index, value, combine, ...(when !== undefined && { when }) });
  }

  parallel(name: string, extent: Dim, body: () => void): void {
    this.#nodes.push({ kind: 'loop', mode: 'parallel', axis: { name, extent }, body: this.collect(body) });
  }

  /** A sequential loop; `body` gets the carried values and gives the next ones. */
  sequential(
    name: string,
    extent: Dim,
    initial: readonly ScalarId[],
    dtype: DType,
    body: (carried: readonly ScalarId[]) => readonly ScalarId[],
  ): readonly ScalarId[] {
    const ids = initial.map(() => this.id());
    let next: readonly ScalarId[] = [];
    const nodes = this.collect(() => {
      next = body(ids);
    });
    this.#nodes.push({
      kind: 'loop',
      mode: 'sequential',
      axis: { name, extent },
      body: nodes,
      carried: ids.map((id, i) => ({ id, dtype, initial: initial[i], next: next[i] })),
    });
    return ids;
  }

  /** Reductions of the values that `body` gives, all in one sweep. */
  reduce(
    axes: readonly Axis[],
    kinds: readonly ReduceKind[],
    body: () => readonly ScalarId[],
    { order = 'lanes', dtype = 'float32' }: { order?: SumOrder; dtype?: DType } = {},
  ): readonly ScalarId[] {
    let values: readonly ScalarId[] = [];
    const nodes = this.collect(() => {
      values = body();
    });
    const results = kinds.map(() => this.id());
    const accumulators = kinds.map((kind, i) => ({
      kind,
      result: results[i],
      dtype: kind === 'argmax' || kind === 'argmin' ? ('int32' as const) : dtype,
      value: values[i],
    }));
    this.#nodes.push({ kind: 'reduce', axes, body: nodes, accumulators, order });
    return results;
  }

  /** A reduction of tuples; `join` combines two of them. */
  reduceTuple(
    axes: readonly Axis[],
    identity: readonly number[],
    body: () => readonly ScalarId[],
    join: (left: readonly ScalarId[], right: readonly ScalarId[]) => readonly ScalarId[],
    dtype: DType = 'float32',
  ): readonly ScalarId[] {
    let values: readonly ScalarId[] = [];
    const nodes = this.collect(() => {
      values = body();
    });
    const [left, right, results] = [0, 1, 2].map(() => identity.map(() => this.id()));
    let combined: readonly ScalarId[] = [];
    const lets = this.collect(() => {
      combined = join(left, right);
    }) as readonly Let[];
    this.#nodes.push({
      kind: 'reduce',
      axes,
      body: nodes,
      order: 'lanes',
      accumulators: [
        {
          kind: 'tuple',
          results,
          dtypes: identity.map(() => dtype),
          identity,
          values,
          left,
          right,
          body: lets,
          combined,
        },
      ],
    });
    return results;
  }

  sort(node: Omit<Sort, 'kind'>): void {
    this.#nodes.push({ ...node, kind: 'sort' });
  }

  collect(body: () => void): readonly KernelNode[] {
    const outer = this.#nodes;
    this.#nodes = [];
    body();
    const inner = this.#nodes;
    this.#nodes = outer;
    return inner;
  }

  finish({ independent = false }: { independent?: boolean } = {}): Kernel {
    return { name: this.name, buffers: this.buffers, scratch: this.scratch, body: this.#nodes, independent };
  }
}
