/**
 * Scalar ops of kernels as WGSL text, on one value (`f32`) or on four at once (`vec4f`), with the meaning that
 * `ir/ops/scalar.ts` gives them.
 *
 *     applyText(context, { opcode: 'add', dtype: 'float32', from: 'float32' }, ['v1', 'v2'])     // v1 + v2
 *     applyText(context, { opcode: 'tanh', dtype: 'float32', from: 'float32' }, ['v1'])          // tanh_f32(v1)
 */
import type { DType } from '../../../base/dtype.ts';
import { internalError } from '../../../base/error.ts';
import type { ScalarOpcode } from '../../../ir/kernel.ts';
import type { CompareDirection } from '../../../ir/opcodes.ts';
import type { CombineKind } from '../../../ir/ops/combine.ts';

/** Where the text goes. */
export interface MathContext {
  readonly precision: 'fast' | 'strict';
  /** How many values an expression holds: 1 (`f32`, `i32`, `u32`, `bool`) or 4 (`vec4f`, `vec4i`, `vec4u`, `vec4<bool>`). */
  readonly lanes: 1 | 4;
  /**
   * Makes sure that a declaration of the module, mostly a function, is there once. Equal names have equal texts; what
   * a text uses is asked for before it.
   */
  helper(name: string, text: string): void;
}

/** An op of Kernel IR on values. */
export interface ScalarOp {
  readonly opcode: ScalarOpcode;
  /** Dtype of the result. */
  readonly dtype: DType;
  /** Dtype of the first operand; of `select`, whose predicate is bool, that of the others may be given as well. */
  readonly from: DType;
  readonly direction?: CompareDirection;
}

/**
 * The expression of an op. Floats are f32 (those of 16 bits too), all signed integers i32, all unsigned ones u32, in the
 * range of their dtype; so is the result. It is not parenthesised.
 * @param operands each a name, or an expression in parentheses; none may be a constant expression of WGSL (a literal),
 *   for the module would be refused where constants overflow. They may be used several times.
 */
export function applyText(_context: MathContext, { opcode }: ScalarOp, _operands: readonly string[]): string {
  throw internalError(`${opcode} has no WGSL yet`);
}

/** The text of a number of a dtype, with NaN, infinities and -0; in four lanes where the context has four. */
export function constantText(_context: MathContext, _dtype: DType, value: number): string {
  throw internalError(`${value} has no WGSL yet`);
}

/** Combines two values as a reduction does. */
export function combineText(
  _context: MathContext,
  kind: CombineKind,
  _dtype: DType,
  _left: string,
  _right: string,
): string {
  throw internalError(`${kind} has no WGSL yet`);
}

/** What a reduction starts from. */
export function identityText(_context: MathContext, kind: CombineKind, _dtype: DType): string {
  throw internalError(`${kind} has no WGSL yet`);
}

/**
 * Whether a candidate of argmax or argmin takes the place of the best so far: it is more extreme, NaN above all, or as
 * extreme and earlier; -0 equals 0. Positions are i32.
 */
export function winsText(
  _context: MathContext,
  kind: 'argmax' | 'argmin',
  _dtype: DType,
  _candidate: string,
  _candidatePosition: string,
  _best: string,
  _bestPosition: string,
): string {
  throw internalError(`${kind} has no WGSL yet`);
}
