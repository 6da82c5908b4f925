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

import { type Dim, dimProduct } from '../../base/dim.ts';
import { computeDType, type DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type { KernelScratch, ScalarId, Sort } from '../../ir/kernel.ts';
import { elementAt, isSplat } from '../../ir/literal.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import type { AxisSplits, Scope } from './body.ts';
import { BodyBuilder } from './body.ts';
import type { LoopNest } from './group.ts';
import type { Index } from './index-algebra.ts';
import { lowerScalar } from './rules/index.ts';

/** What an emitter asks about a group's surroundings. */
export interface ValueSource {
  /** The op that makes a value, when it is computed inside this kernel. */
  inlined(value: Value): Op | undefined;
}

/** A row that is sorted in scratch memory; what of it is wanted is added as it shows. */
interface SortedRow {
  readonly node: { -readonly [P in keyof Sort]: Sort[P] };
  readonly scope: Scope;
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
  /** Rows of running combinations of the nest under construction, by value and row. */
  readonly #running = new Map<string, { readonly memory: string; readonly scope: Scope }>();
  /** Sorted rows of the nest under construction, by value, order and row. */
  readonly #sorted = new Map<string, SortedRow>();

  constructor(source: ValueSource, splits?: AxisSplits, precision?: 'fast' | 'strict') {
    this.#source = source;
    this.body = new BodyBuilder(splits, precision);
  }

  /** Says that another nest begins, and which values it keeps in scratch memory. */
  beginNest(scratchRows?: LoopNest['scratch']): void {
    this.#scratchRows = scratchRows;
    this.#rows.clear();
    this.#sorted.clear();
    this.#running.clear();
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
      const name = this.#addScratch(type.dtype, dimProduct(shape));
      row = name;
      this.#rows.set(key, name);
      this.body.loopsWithin(outer, shape, (inner) => {
        let next = 0;
        const at = indices.map((index, axis) => (marks[axis] ? inner[next++] : index));
        const value = lowerScalar(op, at, undefined, this);
        this.body.store({ memory: name, index: algebra.linearize(inner, shape), value, combine: 'assign' });
      });
    }
    return this.body.load(type.dtype, row, algebra.linearize(inRow(indices), shape));
  }

  /** An element of a sorted row, which is sorted when it is wanted for the first time. */
  emitSorted(op: OpOf<'sort'>, indices: readonly Index[], guard?: ScalarId): ScalarId {
    const { axis, result, count } = op.attributes;
    const [{ type }] = op.results;
    const row = this.#sortedRow(op, indices.toSpliced(axis, 1));
    row.node[result] ??= this.#addScratch(type.dtype, count);
    return this.body.load(type.dtype, row.node[result], indices[axis], guard, 0, row.scope);
  }

  /** Fills a scratch row with keys and sorts it. The sorts of one row that differ in their result alone are one. */
  #sortedRow({ operands: [operand], attributes }: OpOf<'sort'>, outer: readonly Index[]): SortedRow {
    const { axis, direction, count } = attributes;
    const { dtype, shape } = operand.type;
    const key = [this.#numberOf(operand), axis, direction, count, ...outer.map((index) => index.key)].join(' ');
    const known = this.#sorted.get(key);
    if (known && this.body.isOpen(known.scope)) return known;
    const length = shape[axis];
    const keys = this.#addScratch(dtype, length);
    const node: SortedRow['node'] = { kind: 'sort', keys, length, direction, count };
    const scope = this.body.sort(node, outer, (index) => {
      const value = this.emit(operand, outer.toSpliced(axis, 0, index));
      this.body.store({ memory: keys, index, value, combine: 'assign' });
    });
    const row = { node, scope };
    this.#sorted.set(key, row);
    return row;
  }

  /** An element of a row of running combinations, which is made when it is wanted for the first time. */
  emitRunning(op: OpOf<'cumulative'>, indices: readonly Index[], guard?: ScalarId): ScalarId {
    const { axis, kind } = op.attributes;
    const [{ type }] = op.results;
    const [operand] = op.operands;
    const outer = indices.toSpliced(axis, 1);
    const key = `${this.#numberOf(op.results[0])} ${outer.map((index) => index.key).join(' ')}`;
    let row = this.#running.get(key);
    if (!row || !this.body.isOpen(row.scope)) {
      const { shape } = type;
      const [memory, dtype] = [this.#addScratch(type.dtype, shape[axis]), computeDType(type.dtype)];
      const opcode = kind === 'sum' ? 'add' : 'multiply';
      const details = { memory, dtype, length: shape[axis], opcode, identity: kind === 'sum' ? 0 : 1 } as const;
      const scope = this.body.running(details, outer, (index) => this.emit(operand, outer.toSpliced(axis, 0, index)));
      row = { memory, scope };
      this.#running.set(key, row);
    }
    const element = this.body.load(type.dtype, row.memory, indices[axis], guard, 0, row.scope);
    return this.body.computed(type.dtype, element);
  }

  #addScratch(of: DType, size: Dim): string {
    const dtype = computeDType(of);
    const name = `s${this.scratch.length}`;
    this.scratch.push({ name, dtype, size });
    return name;
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
