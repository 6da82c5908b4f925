/**
 * The power function.
 *
 * `x^y = 2^(y log2(x))` in float64, two lanes at a time: 29 bits more than the result has, so that only the last
 * rounding counts. With `x = 2^k m`, m between sqrt(1/2) and sqrt(2), and `s = (m - 1) / (m + 1)`, log2(m) is odd in s
 * (the series of the inverse hyperbolic tangent); 2^f is a polynomial on |f| <= 1/2. Both are minimax fits of the
 * relative error (Remez exchange). The conversion to float32 overflows, underflows and rounds subnormal results.
 *
 * Arguments outside the plain case (x positive, normal and finite, y finite) follow IEEE 754 and C `pow` in a second
 * path that is entered only when a lane needs it.
 */
import { exp2, log2OverS, sqrtHalfBits } from '../../common/polynomials.ts';
import { roundingShift64, signBit, smallestNormal } from './basic.ts';
import { type Helper, polynomial, type Vector, VectorEmitter } from './emitter.ts';

/** Beyond this the result is 0 or infinite. */
const largestExponent = 200;

/** `x^y 2^(-offset y)` for x positive, normal and finite, and any y but NaN; other lanes hold anything. */
function powerOfNormal(e: VectorEmitter, x: Vector, y: Vector, offset?: Vector): Vector {
  const { f32, i32 } = e;
  const bits = e.let(i32.sub(x, i32.constant(sqrtHalfBits)));
  const exponent = e.toFloat(i32.shrSigned(bits, 23));
  const k = e.let(offset ? f32.sub(exponent, offset) : exponent);
  const fraction = i32.add(e.and(bits, i32.constant(0x007fffff)), i32.constant(sqrtHalfBits));
  const f = e.let(f32.sub(fraction, f32.constant(1)));
  const low = powerHalf(e, e.promoteLow(f), e.promoteLow(k), e.promoteLow(y));
  const high = powerHalf(e, e.promoteHigh(f), e.promoteHigh(k), e.promoteHigh(y));
  return e.demote(low, high);
}

/** `(2^k (1 + f))^y` on two float64 lanes. */
function powerHalf(e: VectorEmitter, fraction: Vector, k: Vector, y: Vector): Vector {
  const { f64, i64 } = e;
  const f = e.let(fraction);
  const s = e.let(f64.div(f, f64.add(f, f64.constant(2))));
  const log2 = f64.mulAdd(s, polynomial(f64, e.let(f64.mul(s, s)), log2OverS), k);
  const bounded = f64.pmin(f64.mul(log2, y), f64.constant(largestExponent));
  const t = e.let(f64.pmax(bounded, f64.constant(-largestExponent)));
  const shifted = e.let(f64.add(t, f64.constant(roundingShift64)));
  const rest = e.let(f64.sub(t, f64.sub(shifted, f64.constant(roundingShift64))));
  return i64.add(polynomial(f64, rest, exp2), i64.shl(shifted, 52));
}

/** All cases of C `pow`. */
function powerOfAny(e: VectorEmitter, x: Vector, y: Vector): Vector {
  const { f32, i32 } = e;
  const [zero, one, infinite] = [f32.constant(0), f32.constant(1), f32.constant(Number.POSITIVE_INFINITY)];
  const size = e.let(f32.abs(x));
  const subnormal = e.let(f32.lt(size, f32.constant(smallestNormal)));
  const scaled = e.let(e.select(subnormal, f32.mul(size, f32.constant(2 ** 24)), size));
  const finite = powerOfNormal(e, scaled, y, e.let(e.and(subnormal, f32.constant(24))));
  // Where |x| is 0 or infinite or y is infinite, the result is 0 or infinite.
  const extreme = e.or(e.or(f32.eq(size, zero), f32.eq(size, infinite)), f32.eq(f32.abs(y), infinite));
  const grows = e.xor(f32.gt(size, one), f32.lt(y, zero));
  const magnitude = e.select(extreme, e.and(grows, infinite), finite);
  // A negative x: an odd y keeps its sign, and a y that is no integer gives NaN unless x is 0 or infinite.
  const isFraction = f32.ne(f32.trunc(y), y);
  const half = e.let(f32.mul(y, f32.constant(0.5)));
  const isOdd = e.andNot(f32.ne(f32.trunc(half), half), f32.ne(f32.trunc(y), y));
  const signed = e.xor(magnitude, e.and(e.and(x, isOdd), i32.constant(signBit)));
  const isNegative = e.and(f32.lt(x, zero), f32.ne(size, infinite));
  const isInvalid = e.or(e.and(isNegative, isFraction), e.or(f32.ne(x, x), f32.ne(y, y)));
  // 1 whatever the other is, NaN included: x^0, 1^y, and (-1) to an infinite power.
  const isMinusOne = e.and(f32.eq(size, one), f32.eq(f32.abs(y), infinite));
  const isOne = e.or(e.or(f32.eq(y, zero), f32.eq(x, one)), isMinusOne);
  // All ones are a NaN.
  return e.select(isOne, one, e.or(signed, isInvalid));
}

const powerHelper: Helper = {
  name: 'math.power_any',
  parameters: ['v128', 'v128'],
  result: 'v128',
  build: (scope) => powerOfAny(new VectorEmitter(scope), scope.vector(0), scope.vector(1)).take(),
};

/** `x^y` as C `pow`: x^0 and 1^y are 1 even for NaN; a negative x with a fractional y gives NaN. */
export function power(e: VectorEmitter, base: Vector, exponent: Vector): Vector {
  const { f32, i32 } = e;
  const x = e.let(base);
  const y = e.let(exponent);
  const usual = powerOfNormal(e, x, y);
  // Lanes where the bits of x, as an unsigned number, lie outside [0x00800000, 0x7f800000), or y is not finite.
  const unusualX = i32.gt(i32.add(x, i32.constant(0x7f800000)), i32.constant(0xfeffffff));
  const unusualY = e.not(f32.lt(f32.abs(y), f32.constant(Number.POSITIVE_INFINITY)));
  return e.callIfAny(e.or(unusualX, unusualY), powerHelper, [x, y], usual);
}
