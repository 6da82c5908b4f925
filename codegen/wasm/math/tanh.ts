/**
 * The hyperbolic tangent.
 *
 * With `2x = n ln 2 + 2w` and `t = tanh(w)`, |w| <= ln(2) / 4, the addition theorem gives
 *
 *     tanh(x) = (2^n - 1 + t (2^n + 1)) / (2^n + 1 + t (2^n - 1)),
 *
 * so that a quadratic in w^2 and one division do: fewer operations than a rational approximation on the whole range (five
 * and five terms at this error), and a third of its error, because nothing cancels and for n = 0 the quotient is exactly
 * t. The coefficients of `tanh(w) / w` are a minimax fit of the relative error (Remez exchange) with a leading 1: its
 * error is that of half an ULP, only near |w| = ln(2) / 4. A cubic takes two more operations, a tenth of the time.
 */
import { roundingShift32 } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

/** tanh(w) / w as a polynomial in w^2; relative error below 2^-24.1. */
const tanhOverW = [1, -0.333312724, 0.131106422];

/** The shift that rounds, with the bias of an exponent in its low bits: shifted left by 23, the sum is 2^n. */
const biasedShift = roundingShift32 + 127;

/** From here on the result rounds to 1. */
const saturation = 9.02;

/** -0 stays -0. */
export function tanh(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  // pmin and pmax give their first operand where it is NaN.
  const x = e.let(f32.pmax(f32.pmin(operand, f32.constant(saturation)), f32.constant(-saturation)));
  const shifted = e.let(f32.mulAdd(x, f32.constant(2 * Math.LOG2E), f32.constant(biasedShift)));
  const n = f32.sub(shifted, f32.constant(biasedShift));
  // One part of ln(2) / 2 is enough: its error grows with n, and the slope of tanh falls faster.
  const w = e.let(f32.mulAdd(n, f32.constant(-Math.LN2 / 2), x));
  const t = e.let(f32.mul(w, polynomial(f32, e.let(f32.mul(w, w)), tanhOverW)));
  const power = e.let(i32.shl(shifted, 23));
  // 1 - 2^n rather than 2^n - 1: subtracted, it leaves the sign of a zero alone.
  const below = e.let(f32.sub(f32.constant(1), power));
  const above = e.let(f32.add(power, f32.constant(1)));
  return f32.div(f32.sub(f32.mul(t, above), below), f32.sub(above, f32.mul(t, below)));
}
