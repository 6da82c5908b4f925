/**
 * Every value is a function from indices to a scalar. The emitter writes that scalar into the body of a kernel: a value
 * that lies in memory becomes a load, any other the expression of its op over the scalars of its operands, at indices
 * that the op transforms. Nothing is computed twice for the same value and indices.
 *
 *     emit(reduce_max(x), [i])   ->   reduce r < N { %0 = load x[N*i + r] } -> %1 = max(%0)
 *
 * A guard is a bool scalar without which the indices may be out of range: loads under it touch memory only where it
 * holds.
 */

import { dimProduct } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { KernelScratch, ScalarId } from '../../ir/kernel.ts';
import { elementAt, isSplat } from '../../ir/literal.ts';
import type { Op, Value } from '../../ir/types.ts';
import type { AxisSplits } from './body.ts';
import { BodyBuilder } from './body.ts';
import type { LoopNest } from './group.ts';
import type { Index } from './index-algebra.ts';
import { lowerScalar } from './rules/index.ts';

/** What an emitter asks about a group's surroundings. */
export interface ValueSource {
  /** The op that makes a value, when it is computed inside this kernel. */
  inlined(value: Value): Op | undefined;
}

export class Emitter {
  readonly body: BodyBuilder;
  readonly #source: ValueSource;
  /** Values that lie in memory, by the name of their buffer, in the order of their first load. */
  readonly #reads = new Map<Value, string>();
  readonly #numbers = new Map<Value, number>();
  readonly #known = new Map<string, ScalarId>();
  /** All scratch rows; of the nest under construction, what it keeps in scratch, and where, by value and row. */
  readonly scratch: KernelScratch[] = [];
  #scratchRows: LoopNest['scratch'];
  readonly #rows = new Map<string, string>();

  constructor(source: ValueSource, splits?: AxisSplits) {
    this.#source = source;
    this.body = new BodyBuilder(splits);
  }

  /** Says that another nest begins, and which values it keeps in scratch memory. */
  beginNest(scratchRows?: LoopNest['scratch']): void {
    this.#scratchRows = scratchRows;
    this.#rows.clear();
  }

  /** Values loaded so far, in the order of their buffers. */
  get reads(): readonly Value[] {
    return [...this.#reads.keys()];
  }

  /** The scalar of a value at an index. */
  emit(value: Value, indices: readonly Index[], guard?: ScalarId): ScalarId {
    if (value.type.shape.includes(0)) return this.body.constant(value.type.dtype, 0);
    const key = `${this.#numberOf(value)} ${indices.map((index) => index.key).join(',')} ${guard ?? ''}`;
    const known = this.#known.get(key);
    if (known !== undefined && this.body.isVisible(known)) return known;
    const op = this.#source.inlined(value);
    const marks = guard === undefined ? this.#scratchRows?.get(value) : undefined;
    let id: ScalarId;
    if (op && marks) id = this.#emitFromScratch(op, indices, marks);
    else id = op ? lowerScalar(op, indices, guard, this) : this.load(value, indices, guard);
    this.#known.set(key, id);
    return id;
  }

  /** Reads a value from its scratch row, which is filled when it is wanted for the first time. */
  #emitFromScratch(op: Op, indices: readonly Index[], marks: readonly boolean[]): ScalarId {
    const [{ type }] = op.results;
    const inRow = <T>(list: readonly T[]): T[] => list.filter((_, axis) => marks[axis]);
    const outer = indices.filter((_, axis) => !marks[axis]);
    const shape = inRow(type.shape);
    const { algebra } = this.body;
    const key = `${this.#numberOf(op.results[0])} ${outer.map((index) => index.key).join(',')}`;
    let row = this.#rows.get(key);
    if (row === undefined) {
      const name = `s${this.scratch.length}`;
      row = name;
      this.#rows.set(key, name);
      this.scratch.push({ name, dtype: type.dtype, size: dimProduct(shape) });
      this.body.loopsWithin(outer, shape, (inner) => {
        let next = 0;
        const at = indices.map((index, axis) => (marks[axis] ? inner[next++] : index));
        const value = lowerScalar(op, at, undefined, this);
        this.body.store({ memory: name, index: algebra.linearize(inner, shape), value, combine: 'assign' });
      });
    }
    return this.body.load(type.dtype, row, algebra.linearize(inRow(indices), shape));
  }

  /** The scalar of a value where `predicate` holds, and a number elsewhere. */
  emitWhere(
    value: Value,
    indices: readonly Index[],
    guard: ScalarId | undefined,
    predicate: ScalarId | undefined,
    otherwise: number,
  ): ScalarId {
    if (predicate === undefined) return this.emit(value, indices, guard);
    const both = this.body.both(guard, predicate);
    const lies = !this.#source.inlined(value) && !value.type.shape.includes(0);
    if (lies) return this.load(value, indices, both, otherwise);
    const inside = this.emit(value, indices, both);
    const outside = this.body.constant(value.type.dtype, otherwise);
    return this.body.apply(value.type.dtype, 'select', [predicate, inside, outside]);
  }

  /** The number that every element of a value is, if the graph says so. */
  constantOf(value: Value): number | undefined {
    for (let op = this.#source.inlined(value); op; op = this.#source.inlined(op.operands[0])) {
      if (op.opcode === 'constant') return isSplat(op.attributes.value) ? elementAt(op.attributes.value, 0) : undefined;
      if (op.opcode !== 'broadcast_in_dim' && op.opcode !== 'reshape') return undefined;
    }
    return undefined;
  }

  load(value: Value, indices: readonly Index[], guard?: ScalarId, otherwise?: number): ScalarId {
    const { dtype, shape } = value.type;
    if (indices.length !== shape.length)
      throw internalError(`${indices.length} indices for a value of rank ${shape.length}`);
    return this.body.load(dtype, this.bufferOf(value), this.body.algebra.linearize(indices, shape), guard, otherwise);
  }

  /** Name of the buffer that holds a value. */
  bufferOf(value: Value): string {
    let name = this.#reads.get(value);
    if (name === undefined) {
      name = `x${this.#reads.size}`;
      this.#reads.set(value, name);
    }
    return name;
  }

  #numberOf(value: Value): number {
    let number = this.#numbers.get(value);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(value, number);
    }
    return number;
  }
}

/** Whether an op is a constant that stands in the kernel itself. */
export const isInlineConstant = (op: Op): boolean => op.opcode === 'constant' && isSplat(op.attributes.value);
