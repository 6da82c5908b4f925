/**
 * The angle of the point (x, y).
 *
 * With `a = min(|x|, |y|) / max(|x|, |y|)`, `atan(a)` is an odd polynomial on [0, 1] (a minimax fit of the relative
 * error, Remez exchange), and the octant of the point gives a multiple of pi/2 and the sign with which it is added:
 *
 *               |y| <= |x|      |y| > |x|
 *     x >= 0    atan(a)         pi/2 - atan(a)
 *     x < 0     pi - atan(a)    pi/2 + atan(a)
 *
 * Then the result takes the sign of y. Signs are bits, so that zeros and infinities of either sign fall into place.
 */
import { atanTail, halfPi, halfPiRest } from '../../common/polynomials.ts';
import { signBit } from './basic.ts';
import { polynomial, type Vector, type VectorEmitter } from './emitter.ts';

/** `atan2(y, x)`, as in C. */
export function atan2(e: VectorEmitter, ordinate: Vector, abscissa: Vector): Vector {
  const { f32, i32 } = e;
  const y = e.let(ordinate);
  const x = e.let(abscissa);
  const ySize = e.let(f32.abs(y));
  const xSize = e.let(f32.abs(x));
  const isSteep = e.let(f32.lt(xSize, ySize));
  const smaller = e.let(e.select(isSteep, xSize, ySize));
  // At least the smallest number, so that 0 / 0 becomes 0; equal sizes give 1, infinite ones too.
  const larger = e.let(f32.pmax(e.select(isSteep, ySize, xSize), f32.constant(2 ** -149)));
  const a = e.let(e.select(f32.eq(smaller, larger), f32.constant(1), f32.div(smaller, larger)));
  const z = e.let(f32.mul(a, a));
  const angle = f32.mulAdd(f32.mul(a, z), polynomial(f32, z, atanTail), a);
  const isLeft = e.let(i32.shrSigned(x, 31));
  const flip = e.and(e.xor(isSteep, isLeft), i32.constant(signBit));
  const sideways = e.and(isLeft, f32.constant(2 * halfPi));
  const multiple = e.let(e.select(isSteep, f32.constant(halfPi), sideways));
  const sum = f32.add(f32.mulAdd(multiple, f32.constant(halfPiRest), e.xor(angle, flip)), multiple);
  return e.or(sum, e.and(y, i32.constant(signBit)));
}
