/**
 * The functions that are a few instructions (sign, reciprocal square root, finiteness), and the constants that the
 * others share. Square root, absolute value and the roundings to integers are single instructions of WASM and need no
 * function here.
 */
import type { Vector, VectorEmitter } from './emitter.ts';

/** The sign bit of a float32, as an integer constant. */
export const signBit = 0x80000000;

/** The smallest normal float32, 2^-126. */
export const smallestNormal = 2 ** -126;

/**
 * Adding 1.5 * 2^23 rounds a float32 of magnitude below 2^22 to the nearest integer (ties to even) and leaves that
 * integer in the low bits of the sum; likewise 1.5 * 2^52 for float64. The usual trick of vector libraries.
 */
export const roundingShift32 = 1.5 * 2 ** 23;
export const roundingShift64 = 1.5 * 2 ** 52;

/** -1, 1, or the operand itself where it is zero or NaN. Exact. */
export function sign(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  const x = e.let(operand);
  const unit = e.or(e.and(x, i32.constant(signBit)), f32.constant(1));
  return e.select(f32.gt(f32.abs(x), f32.constant(0)), unit, x);
}

/** `1 / sqrt(x)`: two correctly rounded steps. -0 gives -inf, 0 gives inf, negative numbers NaN. */
export function rsqrt(e: VectorEmitter, x: Vector): Vector {
  const { f32 } = e;
  return f32.div(f32.constant(1), f32.sqrt(x));
}

/** A mask: all ones where the operand is neither infinite nor NaN. */
export function finite(e: VectorEmitter, x: Vector): Vector {
  const { f32 } = e;
  return f32.lt(f32.abs(x), f32.constant(Number.POSITIVE_INFINITY));
}

/**
 * The greater of the operand and a known number, exactly as `f32x4.max` (NaN where the operand is NaN, -0 below 0), in
 * one or two instructions of the machine where V8 needs about eight for the instruction: relu is `max(x, 0)`.
 */
export function maximumOfConstant(e: VectorEmitter, x: Vector, constant: number): Vector {
  const { f32 } = e;
  if (Number.isNaN(constant)) return f32.constant(constant);
  const greater = f32.pmax(x, f32.constant(constant));
  // pmax keeps x where both are zeros; adding 0 makes 0 of -0.
  return Object.is(constant, 0) ? f32.add(greater, f32.constant(0)) : greater;
}

/** The lesser of the operand and a known number, exactly as `f32x4.min`, likewise. */
export function minimumOfConstant(e: VectorEmitter, x: Vector, constant: number): Vector {
  const { f32, i32 } = e;
  if (Number.isNaN(constant)) return f32.constant(constant);
  const lesser = f32.pmin(x, f32.constant(constant));
  // pmin keeps x where both are zeros; the result is never above -0, so its sign may be set.
  return Object.is(constant, -0) ? e.or(lesser, i32.constant(signBit)) : lesser;
}
