/**
 * Runs a kernel in plain JavaScript, one scalar at a time, in the order the tree says: slow, obvious and right. Every
 * op is rounded to its dtype, sums follow `SumOrder` step by step. It is the oracle for the code of every target.
 *
 *     interpretKernel(kernel, [new Float32Array([1, 2]), new Float32Array(2)], new Map([['N', 2]]));
 */
import { type Dim, type DimBindings, evaluateDim } from '../base/dim.ts';
import { computeDType, computedDTypes, type DType, integerRange, isFloat, isSigned } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16, roundFloat } from '../base/half.ts';
import {
  type ClosedAccumulator,
  combineOpcode,
  contractionBlock,
  type IndexExpression,
  type IndexFactor,
  type Kernel,
  type KernelNode,
  type Let,
  type Loop,
  type Reduce,
  reductionBlock,
  reductionLanes,
  type ScalarId,
  type ScalarOpcode,
  type Sort,
  type Store,
  type TupleAccumulator,
} from './kernel.ts';
import { bitcastFunction, compareFunction, convertFunction, scalarFunction, wrapInteger } from './ops/scalar.ts';
import { sortedPositions } from './ops/sort.ts';

/** Elements of a buffer; bool as one byte of 0 or 1, floats of 16 bits as their bits. */
export type BufferData = Float32Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array;

const arrays: { readonly [D in DType]?: new (elements: number) => BufferData } = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

const notComputed = (dtype: DType): KilnError =>
  new KilnError('unsupported_dtype', `the kernel interpreter does not compute with ${dtype}`);

/** Rounds a number to what a dtype holds. */
export function roundTo(dtype: DType, value: number): number {
  if (isFloat(dtype)) return roundFloat(dtype, value);
  if (!computedDTypes.includes(dtype)) throw notComputed(dtype);
  return wrapInteger(dtype, value);
}

/** The number that an element of a buffer is, and the element for a number. */
const decoded = (dtype: DType, element: number): number =>
  dtype === 'float16' ? decodeFloat16(element) : dtype === 'bfloat16' ? decodeBfloat16(element) : element;
const encoded = (dtype: DType, value: number): number =>
  dtype === 'float16' ? encodeFloat16(value) : dtype === 'bfloat16' ? encodeBfloat16(value) : value;

/** An array for the elements of a dtype. */
export function newBufferData(dtype: DType, elements: number): BufferData {
  const array = arrays[dtype];
  if (!array) throw notComputed(dtype);
  return new array(elements);
}

/** What an op with a rounding gives in the place of the rounded value. */
export type Disturb = (opcode: ScalarOpcode, value: number) => number;

/**
 * Runs a kernel on its buffers, in the order of its bindings. Written buffers are changed in place.
 * @param disturb changes the floats that ops give, so that one sees how far errors of rounding reach; sums then add one
 *   element after the other
 * @throws KilnError `internal` when an index is out of range
 */
export function interpretKernel(
  kernel: Kernel,
  buffers: readonly BufferData[],
  bindings: DimBindings,
  disturb?: Disturb,
): void {
  new Interpreter(kernel, buffers, bindings, disturb).run();
}

class Interpreter {
  readonly kernel: Kernel;
  readonly bindings: DimBindings;
  readonly memory = new Map<string, BufferData>();
  readonly values = new Map<ScalarId, number>();
  readonly dtypes = new Map<ScalarId, DType>();
  readonly axes = new Map<string, number>();
  readonly disturb: Disturb | undefined;

  constructor(kernel: Kernel, buffers: readonly BufferData[], bindings: DimBindings, disturb?: Disturb) {
    this.kernel = kernel;
    this.bindings = bindings;
    this.disturb = disturb;
    kernel.buffers.forEach(({ name }, i) => {
      this.memory.set(name, buffers[i]);
    });
    for (const { name, dtype, size } of kernel.scratch) this.memory.set(name, newBufferData(dtype, this.size(size)));
  }

  run(): void {
    this.block(this.kernel.body, true);
  }

  size(d: Dim): number {
    return evaluateDim(d, this.bindings);
  }

  value(id: ScalarId): number {
    const value = this.values.get(id);
    if (value === undefined) throw internalError(`kernel ${this.kernel.name}: %${id} has no value here`);
    return value;
  }

  block(nodes: readonly KernelNode[], outermost = false): void {
    for (const node of nodes) {
      if (node.kind === 'let') this.let(node);
      else if (node.kind === 'store') this.store(node);
      else if (node.kind === 'loop') this.loop(node, outermost);
      else if (node.kind === 'sort') this.sort(node);
      else this.reduce(node);
    }
  }

  define(id: ScalarId, dtype: DType, value: number): void {
    this.dtypes.set(id, dtype);
    this.values.set(id, roundTo(dtype, value));
  }

  let(node: Let): void {
    const { id, dtype, expression } = node;
    const value = this.evaluate(node);
    this.define(id, dtype, expression.kind === 'apply' ? this.round(expression.opcode, dtype, value) : value);
  }

  /** The result of an op in its dtype, disturbed where that is asked for. */
  round(opcode: ScalarOpcode, dtype: DType, value: number): number {
    const rounded = roundTo(dtype, value);
    return this.disturb && isFloat(dtype) ? roundTo(dtype, this.disturb(opcode, rounded)) : rounded;
  }

  /** The value of an expression, not yet rounded. */
  evaluate({ dtype, expression }: Let): number {
    switch (expression.kind) {
      case 'constant':
        return expression.value;
      case 'size':
        return this.size(expression.size);
      case 'index':
        return this.index(expression.index);
      case 'load': {
        const { memory, index, when, otherwise = 0 } = expression;
        if (when !== undefined && this.value(when) === 0) return otherwise;
        return convertFunction(computeDType(this.dtypeOf(memory)), dtype)(this.read(memory, index), 0, 0);
      }
      case 'apply': {
        const { opcode, operands, direction } = expression;
        const from = this.dtypes.get(operands[0]) ?? dtype;
        const [a = 0, b = 0, c = 0] = operands.map((operand) => this.value(operand));
        if (opcode === 'convert') return convertFunction(from, dtype)(a, 0, 0);
        if (opcode === 'bitcast_convert') return bitcastFunction(from, dtype)(a, 0, 0);
        if (opcode === 'compare') return compareFunction(direction ?? 'EQ')(a, b, 0);
        return scalarFunction(opcode, from)(a, b, c);
      }
    }
  }

  dtypeOf(memory: string): DType {
    const found = [...this.kernel.buffers, ...this.kernel.scratch].find(({ name }) => name === memory);
    if (!found) throw internalError(`kernel ${this.kernel.name} names memory '${memory}' that it does not bind`);
    return found.dtype;
  }

  index({ offset, terms }: IndexExpression): number {
    return terms.reduce((sum, t) => sum + this.size(t.coefficient) * this.factor(t.factor), this.size(offset));
  }

  factor(factor: IndexFactor): number {
    if (factor.kind === 'value') return this.value(factor.id);
    if (factor.kind === 'axis') {
      const position = this.axes.get(factor.axis);
      if (position === undefined)
        throw internalError(`kernel ${this.kernel.name}: axis ${factor.axis} is not in scope`);
      return position;
    }
    const [a, b] = [this.index(factor.dividend), this.size(factor.divisor)];
    const quotient = Math.floor(a / b);
    return factor.kind === 'floordiv' ? quotient : a - b * quotient;
  }

  /** The memory and the element that an index means. */
  place(name: string, index: IndexExpression): readonly [BufferData, number] {
    const data = this.memory.get(name)!;
    const at = this.index(index);
    if (!(at >= 0 && at < data.length)) {
      throw internalError(`kernel ${this.kernel.name}: ${name}[${at}] is outside its ${data.length} elements`);
    }
    return [data, at];
  }

  read(name: string, index: IndexExpression): number {
    const [data, at] = this.place(name, index);
    return decoded(this.dtypeOf(name), data[at]);
  }

  store({ memory, index, value, combine, when }: Store): void {
    if (when !== undefined && this.value(when) === 0) return;
    const dtype = this.dtypeOf(memory);
    const computed = computeDType(dtype);
    const from = this.dtypes.get(value) ?? computed;
    const stored = roundTo(computed, convertFunction(from, computed)(this.value(value), 0, 0));
    const [data, at] = this.place(memory, index);
    if (combine === 'assign') data[at] = encoded(dtype, stored);
    else {
      const opcode = combineOpcode[combine];
      const combined = scalarFunction(opcode, computed)(decoded(dtype, data[at]), stored, 0);
      data[at] = encoded(dtype, this.round(opcode, computed, combined));
    }
  }

  sort({ keys, length, direction, values, positions, count }: Sort): void {
    const row = this.memory.get(keys)!.slice(0, this.size(length));
    const order = sortedPositions(row, direction).slice(0, this.size(count));
    const write = (name: string | undefined, elements: readonly number[]): void => {
      if (name !== undefined) this.memory.get(name)!.set(elements);
    };
    write(
      values,
      order.map((at) => row[at]),
    );
    write(positions, order);
    this.memory.get(keys)!.fill(Number.NaN);
  }

  loop({ axis, body, carried = [] }: Loop, outermost: boolean): void {
    for (const { id, dtype, initial } of carried) this.define(id, dtype, this.value(initial));
    const extent = this.size(axis.extent);
    for (let position = 0; position < extent; position++) {
      if (outermost) this.spoilScratch();
      this.axes.set(axis.name, position);
      this.block(body);
      const next = carried.map((c) => this.value(c.next));
      carried.forEach(({ id, dtype }, i) => {
        this.define(id, dtype, next[i]);
      });
    }
    this.axes.delete(axis.name);
  }

  /** Scratch contents are undefined at the start of an iteration: make reading them show. */
  spoilScratch(): void {
    for (const { name } of this.kernel.scratch) this.memory.get(name)?.fill(Number.NaN);
  }

  reduce({ axes, body, accumulators, order }: Reduce): void {
    const states = accumulators.map((accumulator) => this.accumulator(accumulator, order));
    const sweep = (level: number): void => {
      const { name, extent } = axes[level];
      const count = this.size(extent);
      for (let position = 0; position < count; position++) {
        this.axes.set(name, position);
        if (level < axes.length - 1) sweep(level + 1);
        else {
          this.block(body);
          for (const state of states) state.add(position);
          if ((position + 1) % reductionBlock === 0) for (const state of states) state.flush();
        }
      }
      if (level === axes.length - 1) for (const state of states) state.flush();
      this.axes.delete(name);
    };
    sweep(0);
    for (const state of states) state.finish();
  }

  accumulator(accumulator: Reduce['accumulators'][number], order: Reduce['order']): AccumulatorState {
    if (accumulator.kind === 'tuple') return this.tuple(accumulator);
    if (accumulator.kind === 'argmax' || accumulator.kind === 'argmin') return this.extremum(accumulator);
    const summed = accumulator.kind === 'sum' || accumulator.kind === 'product';
    if (summed && this.disturb) return this.inTurn(accumulator);
    if (summed && order === 'blocks') return this.blocks(accumulator);
    return this.lanes(accumulator);
  }

  /** The combination of a kind, rounded. */
  combiner({ kind, dtype }: ClosedAccumulator): { identity: number; combine: (a: number, b: number) => number } {
    const [opcode, identity] = combinations[kind as keyof typeof combinations](dtype);
    const f = scalarFunction(opcode, dtype);
    return { identity: roundTo(dtype, identity), combine: (a, b) => this.round(opcode, dtype, f(a, b, 0)) };
  }

  lanes(accumulator: ClosedAccumulator): AccumulatorState {
    const { identity, combine } = this.combiner(accumulator);
    const inner = new Array<number>(reductionLanes).fill(identity);
    const outer = new Array<number>(reductionLanes).fill(identity);
    return {
      add: (position) => {
        const lane = position % reductionLanes;
        inner[lane] = combine(inner[lane], this.value(accumulator.value));
      },
      flush: () => {
        for (let lane = 0; lane < reductionLanes; lane++) outer[lane] = combine(outer[lane], inner[lane]);
        inner.fill(identity);
      },
      finish: () => this.define(accumulator.result, accumulator.dtype, pairwise(outer, combine)),
    };
  }

  blocks(accumulator: ClosedAccumulator): AccumulatorState {
    const { identity, combine } = this.combiner(accumulator);
    let result = identity;
    let partial = identity;
    let count = 0;
    const close = (): void => {
      result = combine(result, partial);
      partial = identity;
    };
    return {
      add: () => {
        partial = combine(partial, this.value(accumulator.value));
        count++;
        if (count % contractionBlock === 0) close();
      },
      flush: () => {},
      finish: () => {
        close();
        this.define(accumulator.result, accumulator.dtype, result);
      },
    };
  }

  /** A sum of one element after the other, whose error grows the most: what a disturbed run takes for any order. */
  inTurn(accumulator: ClosedAccumulator): AccumulatorState {
    const { identity, combine } = this.combiner(accumulator);
    let result = identity;
    return {
      add: () => {
        result = combine(result, this.value(accumulator.value));
      },
      flush: () => {},
      finish: () => this.define(accumulator.result, accumulator.dtype, result),
    };
  }

  extremum(accumulator: ClosedAccumulator): AccumulatorState {
    let best: number | undefined;
    let where = 0;
    const greatest = accumulator.kind === 'argmax';
    return {
      add: (position) => {
        const value = this.value(accumulator.value);
        const wins =
          best === undefined ||
          (!Number.isNaN(best) && (Number.isNaN(value) || (greatest ? value > best : value < best)));
        if (wins) [best, where] = [value, position];
      },
      flush: () => {},
      finish: () => this.define(accumulator.result, 'int32', where),
    };
  }

  tuple(accumulator: TupleAccumulator): AccumulatorState {
    const { dtypes, identity, values, left, right, body, combined, results } = accumulator;
    const combine = (a: readonly number[], b: readonly number[]): number[] => {
      left.forEach((id, i) => {
        this.define(id, dtypes[i], a[i]);
      });
      right.forEach((id, i) => {
        this.define(id, dtypes[i], b[i]);
      });
      this.block(body);
      return combined.map((id) => this.value(id));
    };
    const start = identity.map((value, i) => roundTo(dtypes[i], value));
    const lanes = new Array<readonly number[]>(reductionLanes).fill(start);
    return {
      add: (position) => {
        const lane = position % reductionLanes;
        lanes[lane] = combine(
          lanes[lane],
          values.map((id) => this.value(id)),
        );
      },
      flush: () => {},
      finish: () => {
        const final = pairwise(lanes, combine);
        results.forEach((id, i) => {
          this.define(id, dtypes[i], final[i]);
        });
      },
    };
  }
}

interface AccumulatorState {
  /** Takes the current value, at a position on the last axis. */
  add(position: number): void;
  flush(): void;
  finish(): void;
}

/** Lanes l and l+4, then l and l+2, then l and l+1. */
function pairwise<T>(lanes: readonly T[], combine: (a: T, b: T) => T): T {
  let current = lanes;
  while (current.length > 1) {
    const half = current.length / 2;
    current = Array.from({ length: half }, (_, l) => combine(current[l], current[l + half]));
  }
  return current[0];
}

const combinations = {
  sum: () => ['add', 0] as const,
  product: () => ['multiply', 1] as const,
  max: (dtype: DType) => ['maximum', dtype === 'float32' ? -Infinity : integerRange(dtype)[0]] as const,
  min: (dtype: DType) => ['minimum', dtype === 'float32' ? Infinity : integerRange(dtype)[1]] as const,
  and: (dtype: DType) => ['and', isSigned(dtype) ? -1 : integerRange(dtype)[1]] as const,
  or: () => ['or', 0] as const,
};
