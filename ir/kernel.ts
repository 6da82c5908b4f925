/**
 * Kernel IR: what passes hand to codegen. A kernel is a small tree of loop nests over named axes with a scalar SSA
 * body. It says *what* is computed over *which* axes; each target's scheduler decides tiles, vectors, threads.
 *
 *     kernel softmax(read x: f32[B*N], write y: f32[B*N]) {
 *       parallel i < B {
 *         reduce j < N { %0 = load x[N*i + j] } -> %1 = max(%0)
 *         reduce j < N { %2 = load x[N*i + j]; %3 = subtract %2, %1; %4 = exponential %3 } -> %5 = sum(%4)
 *         parallel j < N { %6 = load x[N*i + j]; %7 = subtract %6, %1; %8 = exponential %7
 *                          %9 = divide %8, %5; store y[N*i + j] = %9 }
 *       }
 *     }
 *
 * Values are numbered; a `let` in a loop is visible in that loop and inside it, the results of a reduce and of a loop
 * with carried values after it. Loads are free of side effects. Storage type and compute type are separate: a load
 * from a `float16` buffer is computed as `float32`, as no value has a dtype of 16 float bits; `round_float16` rounds.
 *
 * Sums have ONE order, which depends on the kernel tree alone and never on the schedule (see `SumOrder`).
 */
import type { Dim } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';
import type { CompareDirection, ReduceKind, SortDirection } from './opcodes.ts';

/** The number of an SSA value; unique in its kernel. */
export type ScalarId = number;

export interface Kernel {
  /** For people: what it fuses, such as `dot_general_add_tanh`. No part of its hash. */
  readonly name: string;
  /** Bindings, in order. Two buffers never overlap unless a launch passes the same one for an in-place pair. */
  readonly buffers: readonly KernelBuffer[];
  /** Memory private to one iteration of the outermost parallel loops; contents undefined at its start. */
  readonly scratch: readonly KernelScratch[];
  /**
   * Runs in order. When `independent`, the top-level nodes touch no common memory (but for reads) and may run at once,
   * such as the updates of thirty parameters; otherwise each starts when the one before has ended.
   */
  readonly body: readonly KernelNode[];
  readonly independent: boolean;
  /**
   * What the code prepares of its buffers before its work is done apart: `make` does that alone, into a further buffer,
   * and `use` the rest, from there. Meaning and order of sums are those of the kernel without it.
   */
  readonly packed?: 'make' | 'use';
}

export interface KernelBuffer {
  readonly name: string;
  /** Storage type. */
  readonly dtype: DType;
  readonly access: 'read' | 'write' | 'read_write';
  /** Elements; the buffer is dense. */
  readonly size: Dim;
  /**
   * For a written buffer: the index of a read buffer of equal size that it may share memory with, because every
   * element is read, by the iteration that writes it, before it is written.
   */
  readonly inPlaceOf?: number;
}

export interface KernelScratch {
  readonly name: string;
  readonly dtype: DType;
  readonly size: Dim;
}

export type KernelNode = Let | Store | Loop | Reduce | Sort;

/** Defines a scalar value. */
export interface Let {
  readonly kind: 'let';
  readonly id: ScalarId;
  /** Compute type. */
  readonly dtype: DType;
  readonly expression: ScalarExpression;
}

export type ScalarExpression =
  | { readonly kind: 'constant'; readonly value: number }
  /** A size or product of sizes as a number. */
  | { readonly kind: 'size'; readonly size: Dim }
  /** The value of an index expression as int32. */
  | { readonly kind: 'index'; readonly index: IndexExpression }
  /**
   * Reads `memory[index]`, a buffer or scratch by name. With `when` (a bool value), memory is touched only where it
   * holds, and `otherwise` is the value elsewhere; without it the index is in range by construction.
   */
  | {
      readonly kind: 'load';
      readonly memory: string;
      readonly index: IndexExpression;
      readonly when?: ScalarId;
      readonly otherwise?: number;
    }
  /** An elementwise op of the Tensor IR on scalars, with that op's meaning (`ir/ops`). */
  | {
      readonly kind: 'apply';
      readonly opcode: ScalarOpcode;
      readonly operands: readonly ScalarId[];
      readonly direction?: CompareDirection;
    };

/** Elementwise opcodes of one operand whose result has the dtype of the operand, but for `is_finite`, which is bool. */
export type UnaryScalarOpcode =
  | 'abs'
  | 'negate'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round_nearest_even'
  | 'exponential'
  | 'exponential_minus_one'
  | 'log'
  | 'log_plus_one'
  | 'sqrt'
  | 'rsqrt'
  | 'sine'
  | 'cosine'
  | 'tanh'
  | 'erf'
  | 'not'
  | 'is_finite';

/** Roundings of a float32 to what a float of 16 bits holds: how ops on those are computed in kernels. */
export type HalfRounding = 'round_float16' | 'round_bfloat16';

/** Elementwise opcodes of the Tensor IR that may occur in kernels. `compare` carries a direction; the target dtype of
 * `convert` and `bitcast_convert` is the dtype of the `let`. */
export type ScalarOpcode =
  | UnaryScalarOpcode
  | HalfRounding
  | 'convert'
  | 'bitcast_convert'
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'remainder'
  | 'power'
  | 'maximum'
  | 'minimum'
  | 'atan2'
  | 'and'
  | 'or'
  | 'xor'
  | 'shift_left'
  | 'shift_right_arithmetic'
  | 'shift_right_logical'
  | 'compare'
  | 'select';

/** Writes `memory[index] = value`, or combines with what is there. */
export interface Store {
  readonly kind: 'store';
  readonly memory: string;
  readonly index: IndexExpression;
  readonly value: ScalarId;
  readonly combine: 'assign' | 'add' | 'multiply' | 'max' | 'min';
  /** A bool value; nothing is written where it does not hold. */
  readonly when?: ScalarId;
}

/** The op that combines what is stored with what is there. */
export const combineOpcode = {
  add: 'add',
  multiply: 'multiply',
  max: 'maximum',
  min: 'minimum',
} as const satisfies Record<Exclude<Store['combine'], 'assign'>, ScalarOpcode>;

export interface Axis {
  /** Unique on the path from the root. */
  readonly name: string;
  readonly extent: Dim;
}

/** Iterates an axis. `parallel` iterations may run in any order and at once; `sequential` ones in order. */
export interface Loop {
  readonly kind: 'loop';
  readonly mode: 'parallel' | 'sequential';
  readonly axis: Axis;
  readonly body: readonly KernelNode[];
  /** Values that a sequential loop hands from one iteration to the next. */
  readonly carried?: readonly Carried[];
}

export interface Carried {
  /** The value inside the loop, and after it the last `next`. */
  readonly id: ScalarId;
  readonly dtype: DType;
  readonly initial: ScalarId;
  readonly next: ScalarId;
}

/** Combines values over axes, outermost first. All accumulators run in the same sweep. */
export interface Reduce {
  readonly kind: 'reduce';
  readonly axes: readonly Axis[];
  readonly body: readonly KernelNode[];
  readonly accumulators: readonly Accumulator[];
  readonly order: SumOrder;
}

/**
 * The order of additions (and multiplications of a product), which fixes the bits of the result:
 *
 * - `lanes`: with `r` the index on the LAST reduce axis, element `r` goes to lane `r % reductionLanes`. Sweeping the
 *   reduce axes in order, outermost first, each lane adds its elements to an inner partial that starts at the
 *   identity; after every `reductionBlock` positions of the last axis, and at its end, inner partials are added to
 *   outer ones (which start at the identity) and reset. At the end the outer partials are combined pairwise:
 *   lanes l and l+4, then l and l+2, then l and l+1.
 * - `blocks`: the axes are swept in order as one linear index; every `contractionBlock` consecutive elements are added
 *   one after the other to a partial that starts at the identity, and the partials likewise to the result. In fast
 *   mode the multiply and add of a product may be contracted.
 *
 * Tuples are combined in lanes too: element `r` into lane `r % reductionLanes`, whose tuple starts at the identity, and
 * the lanes pairwise at the end; there are no inner partials.
 *
 * Order does not matter to the other kinds: `max` and `min` give NaN if any element is NaN and rank -0 below +0;
 * `argmax` and `argmin` give the first extremum, the first NaN if there is one.
 */
export type SumOrder = 'lanes' | 'blocks';
export const reductionLanes = 8;
export const reductionBlock = 1024;
export const contractionBlock = 256;

/** The longest axis that code can count: its counter is an int32, and goes past the end by up to a tile of columns. */
export const longestAxis = 2 ** 31 - 2 ** 17;

export type Accumulator = ClosedAccumulator | TupleAccumulator;

/** One of the closed kinds. `argmax` and `argmin` give the position on the last reduce axis as int32. */
export interface ClosedAccumulator {
  readonly kind: ReduceKind;
  readonly result: ScalarId;
  readonly dtype: DType;
  readonly value: ScalarId;
}

/** An associative combination of tuples, written out: online softmax, mean and variance in one sweep. */
export interface TupleAccumulator {
  readonly kind: 'tuple';
  readonly results: readonly ScalarId[];
  readonly dtypes: readonly DType[];
  readonly identity: readonly number[];
  readonly values: readonly ScalarId[];
  /** Names of the two tuples inside `body`, and what it yields. */
  readonly left: readonly ScalarId[];
  readonly right: readonly ScalarId[];
  readonly body: readonly Let[];
  readonly combined: readonly ScalarId[];
}

/**
 * Sorts a row that lies in scratch memory, as the op `sort` does: stable, with NaN as the greatest number and -0 equal
 * to 0. What is written lies in scratch arrays too, apart from the keys, whose contents are undefined afterwards.
 *
 *     parallel j < N { %0 = load x[N*i + j]; store s0[j] = %0 }
 *     sort s0 < N descending -> values s1, positions s2 < 10
 *     parallel j < 10 { %1 = load s1[j]; store y0[10*i + j] = %1 ... }
 */
export interface Sort {
  readonly kind: 'sort';
  /** The scratch array whose first `length` elements are sorted. */
  readonly keys: string;
  readonly length: Dim;
  readonly direction: SortDirection;
  /** Scratch arrays for the first `count` elements in order, of the dtype of the keys, and for where they stood. */
  readonly values?: string;
  readonly positions?: string;
  readonly count: Dim;
}

/** `offset + sum(coefficient * factor)`, in elements. */
export interface IndexExpression {
  readonly offset: Dim;
  readonly terms: readonly IndexTerm[];
}

export interface IndexTerm {
  readonly coefficient: Dim;
  readonly factor: IndexFactor;
}

export type IndexFactor =
  | { readonly kind: 'axis'; readonly axis: string }
  /** An int32 scalar that depends on data. */
  | { readonly kind: 'value'; readonly id: ScalarId }
  | { readonly kind: 'floordiv' | 'mod'; readonly dividend: IndexExpression; readonly divisor: Dim };
