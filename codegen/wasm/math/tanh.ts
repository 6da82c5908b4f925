/**
 * The hyperbolic tangent.
 *
 * With `2x = n ln 2 + 2w` and `t = tanh(w)`, |w| <= ln(2) / 4, the addition theorem gives
 *
 *     tanh(x) = (2^n - 1 + t (2^n + 1)) / (2^n + 1 + t (2^n - 1)),
 *
 * so that a quadratic in w^2 and one division do. Nothing cancels, and for n = 0 the quotient is exactly t. The
 * coefficients of `tanh(w) / w` are a minimax fit of the relative error with a leading 1 (Remez exchange), moved a
 * little to where the largest error of the whole function, rounding included, is least.
 *
 * Measured and slower: a rational function on the whole range (five and five terms) or on half of it with the formula
 * of the double argument, `expm1(2x) / (expm1(2x) + 2)`, and a cubic, which takes two operations more and makes the
 * largest error no smaller than 2.5 ULP. Slightly faster but off by 3.4 ULP: reducing `2x / ln 2` instead of x.
 */
import { tanhOverW } from '../../common/polynomials.ts';
import { roundingShift32 } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

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
