/**
 * The natural logarithm and the logarithm of one plus the operand.
 *
 * Both write the argument as `2^k (1 + f)` with `1 + f` between sqrt(1/2) and sqrt(2), and
 *
 *     log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R(s^2)),   s = f / (2 + f),
 *
 * the form of FreeBSD's `logf` (after FDLIBM). The coefficients of R are a minimax fit of the relative error (Remez
 * exchange). Zero, negative, subnormal and infinite arguments and NaN take a second path that is entered only when a
 * lane needs it.
 */
import { ln2High, ln2Low, logTail, sqrtHalfBits } from '../../common/polynomials.ts';
import { signBit, smallestNormal } from './basic.ts';
import { type Helper, polynomial, type Vector, VectorEmitter } from './emitter.ts';

/** `k ln 2 + log(1 + f)`. */
function assemble(e: VectorEmitter, k: Vector, f: Vector): Vector {
  const { f32 } = e;
  const s = e.let(f32.div(f, f32.add(f, f32.constant(2))));
  const z = e.let(f32.mul(s, s));
  const tail = f32.mul(z, polynomial(f32, z, logTail));
  const halfSquare = e.let(f32.mul(f32.mul(f, f), f32.constant(0.5)));
  const correction = f32.mulAdd(s, f32.add(halfSquare, tail), f32.mul(k, f32.constant(ln2Low)));
  return f32.mulAdd(k, f32.constant(ln2High), f32.sub(f, f32.sub(halfSquare, correction)));
}

/** The logarithm of positive normal numbers times 2^-offset; other lanes hold anything. */
function logOfNormal(e: VectorEmitter, x: Vector, offset?: Vector): Vector {
  const { f32, i32 } = e;
  const bits = e.let(i32.sub(x, i32.constant(sqrtHalfBits)));
  const exponent = e.toFloat(i32.shrSigned(bits, 23));
  const k = e.let(offset ? f32.sub(exponent, offset) : exponent);
  const fraction = i32.add(e.and(bits, i32.constant(0x007fffff)), i32.constant(sqrtHalfBits));
  return assemble(e, k, e.let(f32.sub(fraction, f32.constant(1))));
}

/** The logarithm of any number. */
function logOfAny(e: VectorEmitter, x: Vector): Vector {
  const { f32 } = e;
  const subnormal = e.let(f32.lt(x, f32.constant(smallestNormal)));
  const scaled = e.let(e.select(subnormal, f32.mul(x, f32.constant(2 ** 24)), x));
  const finite = logOfNormal(e, scaled, e.and(subnormal, f32.constant(24)));
  const infinite = f32.constant(Number.POSITIVE_INFINITY);
  const withZero = e.select(f32.eq(x, f32.constant(0)), f32.constant(Number.NEGATIVE_INFINITY), finite);
  const withInfinity = e.select(f32.eq(x, infinite), infinite, withZero);
  // All ones are a NaN: where x is negative or NaN.
  return e.or(withInfinity, e.not(f32.ge(x, f32.constant(0))));
}

const logHelper: Helper = {
  name: 'math.log_any',
  parameters: ['v128'],
  result: 'v128',
  build: (scope) => logOfAny(new VectorEmitter(scope), scope.vector(0)).take(),
};

/** `log(x)`: -inf at zeros of either sign, NaN below. */
export function log(e: VectorEmitter, operand: Vector): Vector {
  const { i32 } = e;
  const x = e.let(operand);
  const usual = logOfNormal(e, x);
  // Lanes whose bits, as an unsigned number, lie outside [0x00800000, 0x7f800000): not positive, normal and finite.
  const special = i32.gt(i32.add(x, i32.constant(0x7f800000)), i32.constant(0xfeffffff));
  return e.callIfAny(special, logHelper, [x], usual);
}

/** Lanes where 1 + x is not positive, not a number, or so large that 1 + x = x and 2^-k might underflow. */
function isExtreme(e: VectorEmitter, onePlusX: Vector): Vector {
  const { i32 } = e;
  const largest = 0x71800000; // the bits of 2^100
  return i32.gt(i32.add(onePlusX, i32.constant(0x7fffffff)), i32.constant(largest - 1 + 0x80000000));
}

const logPlusOneHelper: Helper = {
  name: 'math.log_plus_one_any',
  parameters: ['v128', 'v128'],
  result: 'v128',
  build(scope) {
    const e = new VectorEmitter(scope);
    const onePlusX = scope.vector(0);
    return e.select(isExtreme(e, onePlusX), logOfAny(e, onePlusX), scope.vector(1)).take();
  },
};

/**
 * `log(1 + x)`, accurate near 0; -0 stays -0. The exponent `k` comes from the rounded `1 + x`, but `f` from `x`
 * itself: `f = x 2^-k + (2^-k - 1)`, whose two terms are exact.
 */
export function logPlusOne(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  const x = e.let(operand);
  const onePlusX = e.let(f32.add(x, f32.constant(1)));
  const bits = e.let(i32.sub(onePlusX, i32.constant(sqrtHalfBits)));
  const k = e.let(e.toFloat(i32.shrSigned(bits, 23)));
  const power = e.let(i32.sub(f32.constant(1), e.and(bits, i32.constant(0xff800000))));
  const f = e.let(f32.mulAdd(x, power, f32.sub(power, f32.constant(1))));
  const usual = e.let(e.or(assemble(e, k, f), e.and(x, i32.constant(signBit))));
  return e.callIfAny(isExtreme(e, onePlusX), logPlusOneHelper, [onePlusX, usual], usual);
}
