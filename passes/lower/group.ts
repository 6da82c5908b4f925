/**
 * What fusion hands to lowering: the ops that one kernel computes and the loop nests that write its outputs.
 *
 *     softmax over f32[B,N]      ops   reduce max, broadcast, subtract, exponential, reduce sum, broadcast, divide
 *                                nest  axes [B]; output %y with axes [[0], inner]
 */
import type { Dim } from '../../base/dim.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';

export interface KernelGroup {
  /** Ops computed in this kernel, operands before their uses. Values of other ops are read from memory. */
  readonly ops: readonly Op[];
  /** Several nests write different values and do not read what the others write. */
  readonly nests: readonly Nest[];
  /** Values in memory that barriers wait for. */
  readonly after?: readonly Value[];
}

export type Nest = LoopNest | ScatterNest | UpdateNest;

/** Parallel loops over `axes`; outputs are written inside them, those with axes of their own in inner loops. */
export interface LoopNest {
  readonly kind: 'loops';
  readonly axes: readonly Dim[];
  /**
   * `contraction`: the body holds a reduce of products, which schedulers tile; nothing stands between its loops.
   * `rows`: reductions over what belongs to one index of the loops. `map`: neither.
   */
  readonly form: 'map' | 'rows' | 'contraction';
  readonly outputs: readonly NestOutput[];
  /** Values to compute once for a row and keep in scratch memory: which of their axes lie within the row. */
  readonly scratch?: ReadonlyMap<Value, readonly boolean[]>;
  /** Outputs with inner loops have each its own, so that no loop holds two contractions. */
  readonly apart?: boolean;
}

export interface NestOutput {
  /** The value that is computed. */
  readonly value: Value;
  /** For each axis of the value, the loops that walk it, outermost first; `undefined` for an inner loop of its own. */
  readonly axes: readonly (readonly number[] | undefined)[];
  /** Where it is written, unless as a buffer of its own: a part of a larger value. */
  readonly part?: { readonly of: Value; readonly axis: number; readonly offset: Dim };
}

/** Copies the operand, then applies updates in order. */
export interface ScatterNest {
  readonly kind: 'scatter';
  readonly op: OpOf<'scatter'>;
  /** The operand lies in the result's memory already. */
  readonly inPlace: boolean;
}

/** Writes an update into its operand's memory, which is the result's. */
export interface UpdateNest {
  readonly kind: 'update';
  readonly op: OpOf<'dynamic_update_slice'>;
}

/** The values a nest writes. */
export const writtenBy = (nest: Nest): readonly Value[] =>
  nest.kind !== 'loops' ? nest.op.results : [...new Set(nest.outputs.map((output) => output.part?.of ?? output.value))];

/** A nest that writes one value over its whole shape, every axis a parallel loop. */
export function wholeNest(value: Value, form: LoopNest['form']): LoopNest {
  const { shape } = value.type;
  return { kind: 'loops', axes: shape, form, outputs: [{ value, axes: shape.map((_, axis) => [axis]) }] };
}

/** A nest that writes the result of a sort or a running sum: parallel loops over rows, each made as a whole. */
export function rowsNest({ results: [value], attributes: { axis } }: OpOf<'sort'> | OpOf<'cumulative'>): LoopNest {
  const { shape } = value.type;
  const axes = shape.map((_, at) => (at === axis ? undefined : [at < axis ? at : at - 1]));
  return { kind: 'loops', axes: shape.toSpliced(axis, 1), form: 'rows', outputs: [{ value, axes }] };
}
