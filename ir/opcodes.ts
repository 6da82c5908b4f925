/**
 * The primitives and the attributes of each. This mapped type is what makes every table keyed by opcode total: a
 * missing row or a misspelt attribute does not compile. Names and meaning follow StableHLO wherever it has the op
 * (https://openxla.org/stablehlo/spec); attribute names here are the ones of the text form.
 */
import type { Dim } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';
import type { Literal } from './types.ts';

type None = Readonly<Record<never, never>>;

/** How `reduce` and `reduce_window` combine. `argmax`/`argmin` give the int32 position of the first extremum. */
export type ReduceKind = 'sum' | 'product' | 'max' | 'min' | 'and' | 'or' | 'argmax' | 'argmin';
export type WindowReduceKind = 'sum' | 'product' | 'max' | 'min';
export type CumulativeKind = 'sum' | 'product';
export type ScatterKind = 'assign' | 'add' | 'multiply' | 'max' | 'min';
export type SortDirection = 'ascending' | 'descending';
export type SortResult = 'values' | 'positions';
export type CompareDirection = 'EQ' | 'NE' | 'LT' | 'LE' | 'GT' | 'GE';

/** What a gather does with a start index that is out of range: move it inside, or give `0` (`false`) elements. */
export type GatherMode = 'clamp' | 'fill';

export interface OpAttributes {
  // Elementwise, one operand.
  abs: None;
  negate: None;
  sign: None;
  floor: None;
  ceil: None;
  round_nearest_even: None;
  exponential: None;
  exponential_minus_one: None;
  log: None;
  log_plus_one: None;
  sqrt: None;
  rsqrt: None;
  sine: None;
  cosine: None;
  tanh: None;
  erf: None;
  not: None;
  is_finite: None;
  /** Identity that blocks gradients. */
  stop_gradient: None;
  /** `optimization_barrier(operand, ...after)`: the operand, opaque to optimisation. */
  optimization_barrier: None;
  convert: { readonly dtype: DType };
  bitcast_convert: { readonly dtype: DType };

  // Elementwise, two or three operands of one shape.
  add: None;
  subtract: None;
  multiply: None;
  divide: None;
  remainder: None;
  power: None;
  maximum: None;
  minimum: None;
  atan2: None;
  and: None;
  or: None;
  xor: None;
  shift_left: None;
  shift_right_arithmetic: None;
  shift_right_logical: None;
  compare: { readonly direction: CompareDirection };
  /** `select(predicate, onTrue, onFalse)`, all of one shape. */
  select: None;

  // Values out of nothing.
  constant: { readonly value: Literal };
  iota: { readonly dtype: DType; readonly shape: readonly Dim[]; readonly axis: number };
  /** A size as a scalar of the given dtype: how a symbolic size becomes data. */
  dimension_size: { readonly size: Dim; readonly dtype: DType };

  // Shape.
  /** `axes[i]` is the result axis that operand axis `i` becomes; a size-1 operand axis is repeated. */
  broadcast_in_dim: { readonly shape: readonly Dim[]; readonly axes: readonly number[] };
  reshape: { readonly shape: readonly Dim[] };
  transpose: { readonly permutation: readonly number[] };
  reverse: { readonly axes: readonly number[] };
  slice: { readonly start: readonly Dim[]; readonly limit: readonly Dim[]; readonly strides: readonly number[] };
  /** `pad(operand, scalar)`; negative `low`/`high` crop; `interior` puts that many between neighbours. */
  pad: { readonly low: readonly Dim[]; readonly high: readonly Dim[]; readonly interior: readonly number[] };
  concatenate: { readonly axis: number };
  /** `dynamic_slice(operand, start0, start1, ...)` with int32 scalar starts, clamped so that the slice fits. */
  dynamic_slice: { readonly sizes: readonly Dim[] };
  /** `dynamic_update_slice(operand, update, start0, ...)`, starts clamped likewise. */
  dynamic_update_slice: None;
  gather: {
    readonly offset_axes: readonly number[];
    readonly collapsed_axes: readonly number[];
    readonly start_index_map: readonly number[];
    readonly index_vector_axis: number;
    readonly slice_sizes: readonly Dim[];
    readonly mode: GatherMode;
  };
  /** `scatter(operand, indices, updates)`; updates that fall outside are dropped; equal indices apply in order. */
  scatter: {
    readonly update_window_axes: readonly number[];
    readonly inserted_window_axes: readonly number[];
    readonly scatter_axes_to_operand_axes: readonly number[];
    readonly index_vector_axis: number;
    readonly kind: ScatterKind;
  };

  // Contractions.
  /** `contract = [lhs axes, rhs axes]`, `batch` likewise; result axes: batch, lhs free, rhs free. */
  dot_general: {
    readonly contract: readonly [readonly number[], readonly number[]];
    readonly batch: readonly [readonly number[], readonly number[]];
  };
  /**
   * Cross-correlation of `lhs[N, Ci, ...spatial]` with `rhs[Co, Ci / groups, ...spatial]` to `[N, Co, ...spatial]`.
   * `padding` is `[low, high]` for each spatial axis and may be negative.
   */
  convolution: {
    readonly strides: readonly number[];
    readonly padding: readonly (readonly [Dim, Dim])[];
    readonly lhs_dilation: readonly number[];
    readonly rhs_dilation: readonly number[];
    readonly groups: number;
  };

  // Reductions.
  reduce: { readonly kind: ReduceKind; readonly axes: readonly number[] };
  /** One entry for each axis of the operand; padding is filled with the identity of `kind`. */
  reduce_window: {
    readonly kind: WindowReduceKind;
    readonly window: readonly number[];
    readonly strides: readonly number[];
    readonly padding: readonly (readonly [Dim, Dim])[];
    readonly base_dilation: readonly number[];
    readonly window_dilation: readonly number[];
  };

  /**
   * The first `count` elements along an axis in sorted order, or the int32 positions at which they stood. What else
   * belongs to the elements is gathered by the positions.
   */
  sort: {
    readonly axis: number;
    readonly direction: SortDirection;
    readonly count: Dim;
    readonly result: SortResult;
  };

  /** The combination of the elements up to and including each, along an axis. */
  cumulative: { readonly kind: CumulativeKind; readonly axis: number };

  /** Calls another function of the module. */
  call: { readonly function: string };
}

export type Opcode = keyof OpAttributes;

/** Opcodes that take no attributes. */
export type PlainOpcode = {
  [K in Opcode]: OpAttributes[K] extends None ? (keyof OpAttributes[K] extends never ? K : never) : never;
}[Opcode];
