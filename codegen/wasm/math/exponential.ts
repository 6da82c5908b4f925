/**
 * The exponential and the exponential minus one.
 *
 * Both write `x = n ln 2 + r` with an integer `n` and |r| <= ln(2) / 2 (Cody and Waite, "Software Manual for the
 * Elementary Functions", 1980: ln 2 in two parts, the first so short that its products with `n` are exact), and
 * `e^r = 1 + r + r^2 P(r)`. The coefficients of P are minimax fits of the relative error (Remez exchange).
 */
import { exponentialTail, ln2High, ln2Low, minusOneTail } from '../../common/polynomials.ts';
import { roundingShift32, signBit } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

/** `n` (in the low bits of `shifted`) and `r` of the reduction above. */
function reduce(e: VectorEmitter, x: Vector): { shifted: Vector; r: Vector } {
  const { f32 } = e;
  const shifted = e.let(f32.mulAdd(x, f32.constant(Math.LOG2E), f32.constant(roundingShift32)));
  const n = e.let(f32.sub(shifted, f32.constant(roundingShift32)));
  const high = f32.mulAdd(n, f32.constant(-ln2High), x);
  return { shifted, r: e.let(f32.mulAdd(n, f32.constant(-ln2Low), high)) };
}

/** `e^x`; overflows to inf and underflows through the subnormal numbers to 0. */
export function exponential(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  // Beyond these bounds the result is inf or 0 anyway; pmin and pmax give their first operand where it is NaN. Products
  // that underflow to 0 are slow, and masked scores make many: at the lower bound, n = -254, both powers below are 0.
  const x = e.let(f32.pmax(f32.pmin(operand, f32.constant(89)), f32.constant(-176)));
  const { shifted, r } = reduce(e, x);
  const tail = polynomial(f32, r, exponentialTail);
  const power = f32.add(f32.mulAdd(f32.mul(r, r), tail, r), f32.constant(1));
  // 2^n as the product of two powers with normal exponents, n >> 1 and n - (n >> 1).
  const exponent = e.let(i32.shl(shifted, 23));
  const half = e.let(e.and(i32.shrSigned(exponent, 1), i32.constant(0xff800000)));
  const first = i32.add(half, f32.constant(1));
  const second = i32.add(i32.sub(exponent, half), f32.constant(1));
  return f32.mul(f32.mul(power, first), second);
}

/** `e^x - 1`, accurate near 0; -0 stays -0. */
export function exponentialMinusOne(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  const given = e.let(operand);
  const x = e.let(f32.pmax(f32.pmin(given, f32.constant(89)), f32.constant(-18)));
  const { shifted, r } = reduce(e, x);
  const q = e.let(f32.mulAdd(f32.mul(r, r), polynomial(f32, r, minusOneTail), r));
  // 2^n q + 2^n - 1 with half the power, s = 2^(n - 1), which is finite for n = 128 too: s (2 q) + (s - 1/2) twice.
  const s = e.let(i32.add(i32.shl(shifted, 23), f32.constant(0.5)));
  const rest = e.let(f32.sub(s, f32.constant(0.5)));
  const y = f32.add(f32.mulAdd(s, f32.add(q, q), rest), rest);
  return e.or(y, e.and(given, i32.constant(signBit)));
}
