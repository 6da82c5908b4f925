/**
 * The error function.
 *
 * `erf(x) = 1 - e^-q` with `q = -log(erfc(x))`, which is a smooth function of x >= 0: a polynomial approximates it to
 * the very end of the range, and the form has no cancellation, neither near 0 (where `1 - e^-q` is taken as in expm1)
 * nor near 1. The coefficients are minimax fits (Remez exchange), those of q weighted by its effect on the result, and
 * were then moved by a few units in the last place to lower the measured error.
 */
import { erfExponentTail, erfMinusOneTail } from '../../common/polynomials.ts';
import { roundingShift32, signBit } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

/** From here on the result rounds to 1. */
const saturation = 3.95;

/** -0 stays -0. */
export function erf(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  const given = e.let(operand);
  const sign = e.let(e.and(given, i32.constant(signBit)));
  const x = e.let(f32.pmin(e.xor(given, sign), f32.constant(saturation)));
  const q = e.let(f32.mulAdd(x, polynomial(f32, x, erfExponentTail), x));
  // -q = -n ln 2 + r. One part of ln 2 is enough, for 2^-n falls faster than the error of n ln 2 grows.
  const shifted = e.let(f32.mulAdd(q, f32.constant(Math.LOG2E), f32.constant(roundingShift32)));
  const n = f32.sub(shifted, f32.constant(roundingShift32));
  const r = e.let(f32.sub(f32.mul(n, f32.constant(Math.LN2)), q));
  const minusOne = f32.mulAdd(f32.mul(r, r), polynomial(f32, r, erfMinusOneTail), r);
  const power = e.let(i32.sub(f32.constant(1), i32.shl(shifted, 23)));
  const y = f32.mulSubFrom(power, minusOne, f32.sub(f32.constant(1), power));
  return e.or(y, sign);
}
