/**
 * The error function.
 *
 * `erf(x) = 1 - e^-q` with `q = -log(erfc(x))`, which is a smooth function of x >= 0: a polynomial approximates it to
 * the very end of the range, and the form has no cancellation, neither near 0 (where `1 - e^-q` is taken as in expm1)
 * nor near 1. The coefficients are minimax fits (Remez exchange), those of q weighted by its effect on the result, and
 * were then moved by a few units in the last place to lower the measured error.
 */
import { roundingShift32, signBit } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

/** q(x) / x - 1: the 1 is added last, so that rounding errors stay small. */
const exponentTail = [
  0.12837916612625122, 0.636619508266449, 0.10277766734361649, -0.01915302313864231, -0.0001603893470019102,
  0.0016670190962031484, -0.000632831419352442, 0.00011763953079935163, -9.256046723749023e-6,
];

/** (e^r - 1 - r) / r^2. */
const minusOneTail = [
  0.4999999701976776, 0.1666652262210846, 0.04166751727461815, 0.008366533555090427, 0.0013882516650483012,
];

/** From here on the result rounds to 1. */
const saturation = 3.95;

/** -0 stays -0. */
export function erf(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  const given = e.let(operand);
  const sign = e.let(e.and(given, i32.constant(signBit)));
  const x = e.let(f32.pmin(e.xor(given, sign), f32.constant(saturation)));
  const q = e.let(f32.mulAdd(x, polynomial(f32, x, exponentTail), x));
  // -q = -n ln 2 + r. One part of ln 2 is enough, for 2^-n falls faster than the error of n ln 2 grows.
  const shifted = e.let(f32.mulAdd(q, f32.constant(Math.LOG2E), f32.constant(roundingShift32)));
  const n = f32.sub(shifted, f32.constant(roundingShift32));
  const r = e.let(f32.sub(f32.mul(n, f32.constant(Math.LN2)), q));
  const minusOne = f32.mulAdd(f32.mul(r, r), polynomial(f32, r, minusOneTail), r);
  const power = e.let(i32.sub(f32.constant(1), i32.shl(shifted, 23)));
  const y = f32.mulSubFrom(power, minusOne, f32.sub(f32.constant(1), power));
  return e.or(y, sign);
}
