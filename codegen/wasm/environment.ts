/**
 * What is known at a point of the code under construction: which local counts each axis, which locals hold each
 * value, and which axis, if any, runs across the lanes of the vectors.
 *
 * Every value is a vector. A uniform one has the same number in every lane and one local; a varying one has a local
 * for each copy of the unrolled vector loop: lane `l` of copy `u` belongs to iteration `base + 4u + l`, or, in tiles of
 * transposes, to iteration `base + l` of one axis and `base + u` of another.
 */
import type { Dim } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type { IndexExpression, IndexFactor, Let, ScalarId } from '../../ir/kernel.ts';
import { visitLeaves } from '../common/linear-index.ts';
import type { KernelFacts } from '../common/walk.ts';
import type { FunctionBuilder, Scope } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';

/** Where the position on an axis comes from: `local + delta`, or `delta` alone. */
export interface AxisBinding {
  readonly local?: number;
  readonly delta: Dim;
  /** The scope in which the position changes: what depends on it is not hoisted further. */
  readonly scope: Scope;
  /** The local grows by `step` at the end of each round of the scope's loop, from a start set before it. */
  readonly step?: number;
  /** The local starts at 0. */
  readonly fromZero?: boolean;
}

export interface Value {
  readonly dtype: DType;
  readonly locals: readonly number[];
  readonly varying: boolean;
  readonly depth: number;
}

export interface Lanes {
  readonly axis: string;
  readonly copies: number;
  /** Where copies belong to another axis: copy `u` is its position plus `u`, and all copies have the same lanes. */
  readonly copyAxis?: string;
  /** In the last vectors of a loop: a local with the number of lanes that count (4 or more: all). */
  readonly remaining?: number;
}

export class Environment {
  readonly f: FunctionBuilder;
  readonly axes = new Map<string, AxisBinding>();
  readonly values = new Map<ScalarId, Value>();
  /** Upper bounds of axes, to prove indices non-negative. */
  readonly extents: ReadonlyMap<string, Dim>;
  /** Memory that the kernel writes: its loads stay where they are. */
  readonly written: ReadonlySet<string>;
  /** The dtype of every value of the kernel, defined yet or not. */
  readonly dtypes: ReadonlyMap<ScalarId, DType>;
  /** Products that are left to the additions that use them, which may fuse them. */
  readonly products: ReadonlyMap<ScalarId, Let>;
  lanes: Lanes | undefined;

  constructor(f: FunctionBuilder, facts: KernelFacts) {
    this.f = f;
    this.extents = facts.extents;
    this.written = facts.written;
    this.dtypes = facts.dtypes;
    this.products = facts.products;
  }

  dtypeOf(id: ScalarId): DType {
    const dtype = this.dtypes.get(id);
    if (!dtype) throw internalError(`kernel uses %${id}, which nothing defines`);
    return dtype;
  }

  axis(name: string): AxisBinding {
    const binding = this.axes.get(name);
    if (!binding) throw internalError(`kernel uses axis '${name}' outside its loop`);
    return binding;
  }

  value(id: ScalarId): Value {
    const value = this.values.get(id);
    if (!value) throw internalError(`kernel uses %${id} before it is defined`);
    return value;
  }

  /** The vector of a value for copy `copy`. */
  read(id: ScalarId, copy = 0): Expression {
    const { locals } = this.value(id);
    return this.f.get(locals[copy % locals.length]);
  }

  /** Runs `build` with an axis bound, and forgets the values named inside. */
  withAxis(name: string, binding: AxisBinding, build: () => void): void {
    const before = this.axes.get(name);
    this.axes.set(name, binding);
    this.#keepingOuterValues(binding.scope.depth, build);
    if (before) this.axes.set(name, before);
    else this.axes.delete(name);
  }

  /** Runs `build`; values of the given depth or deeper are forgotten afterwards, those hoisted further stay. */
  #keepingOuterValues(depth: number, build: () => void): void {
    const before = new Map(this.values);
    build();
    for (const [id, value] of this.values) {
      if (value.depth < depth) continue;
      const old = before.get(id);
      if (old) this.values.set(id, old);
      else this.values.delete(id);
    }
  }

  withLanes(lanes: Lanes | undefined, build: () => void): void {
    const before = this.lanes;
    this.lanes = lanes;
    build();
    this.lanes = before;
  }

  /** The depth of the innermost scope that a factor depends on. */
  depthOf(factor: IndexFactor): number {
    let depth = 0;
    visitLeaves(factor, (leaf) => {
      if (leaf.kind === 'value') depth = Math.max(depth, this.value(leaf.id).depth);
      else depth = Math.max(depth, this.axis(leaf.axis).scope.depth);
    });
    return depth;
  }

  /** Whether an axis runs across the lanes, or over the copies of a vector. */
  isVector = (axis: string): boolean =>
    this.lanes !== undefined && (axis === this.lanes.axis || axis === this.lanes.copyAxis);

  /** How far lane `lane` of copy `copy` is from the position of an axis. */
  shiftOf(axis: string, copy: number, lane: number): number {
    if (!this.lanes) return 0;
    if (axis === this.lanes.copyAxis) return copy;
    if (axis !== this.lanes.axis) return 0;
    return this.lanes.copyAxis === undefined ? 4 * copy + lane : lane;
  }

  /** Whether the lanes of a vector see different values of a factor. */
  varies(factor: IndexFactor): boolean {
    let varying = false;
    visitLeaves(factor, (leaf) => {
      varying ||= leaf.kind === 'value' ? this.value(leaf.id).varying : this.isVector(leaf.axis);
    });
    return varying;
  }

  indexDepth = (index: IndexExpression): number =>
    index.terms.reduce((depth, term) => Math.max(depth, this.depthOf(term.factor)), 0);

  indexVaries = (index: IndexExpression): boolean => index.terms.some((term) => this.varies(term.factor));
}
