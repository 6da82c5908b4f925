/**
 * Shorter ways to some functions, for `fast` precision: other last bits than the functions of `strict`, within the
 * bounds that docs/accuracy.md states for `fast`, with fused multiply-add and without.
 */
import { exponentialTail, halfSineTail, ln2High, ln2Low, piInShortParts } from '../../common/polynomials.ts';
import { roundingShift32, smallestNormal } from './basic.ts';
import { type Helper, polynomial, type Vector, VectorEmitter } from './emitter.ts';
import { exponential } from './exponential.ts';
import { cosine, sine } from './trigonometric.ts';

/** e^r on |r| <= ln(2) / 2. */
const exponentialOfRest = [1, 1, ...exponentialTail];

/**
 * Shifts that round, with the bias of an exponent less 1 in their low bits: of `shift + n`, shifted left by 23, the
 * bits are 2^(n - 1).
 */
const halfPowerShift = roundingShift32 + 126;

/** Below this, with some room, results are subnormal. */
const subnormalFrom = -86.6;
/** Below this they are 0. */
const zeroFrom = -104;

/**
 * `e^x = 2^n e^r` as in `exponential`, but with one power of two for most: half the result is finite whenever it should
 * be, and is doubled in the end. Subnormal results take a few instructions more, which are skipped where no lane needs
 * them.
 */
export function fastExponential(e: VectorEmitter, operand: Vector): Vector {
  const { f32, i32 } = e;
  // Without fused products that is slower.
  if (!e.isFused) return exponential(e, operand);
  // pmin gives its first operand where it is NaN.
  const x = e.let(f32.pmin(operand, f32.constant(89)));
  const shifted = e.let(f32.mulAdd(x, f32.constant(Math.LOG2E), f32.constant(halfPowerShift)));
  const n = e.let(f32.sub(shifted, f32.constant(halfPowerShift)));
  const r = e.let(reducedByLn2(e, n, x));
  const root = e.let(polynomial(f32, r, exponentialOfRest));
  const power = e.let(i32.shl(shifted, 23));
  const half = e.let(f32.mul(root, power));
  const isSubnormal = e.let(f32.lt(x, f32.constant(subnormalFrom)));
  return e.mend(isSubnormal, f32.add(half, half), () => {
    const raised = f32.mul(f32.mul(root, i32.add(power, i32.constant(64 << 23))), f32.constant(2 ** -63));
    return e.andNot(raised, f32.lt(x, f32.constant(zeroFrom)));
  });
}

/** `x - n ln 2`, with ln 2 in two parts (Cody and Waite). */
function reducedByLn2({ f32 }: VectorEmitter, n: Vector, x: Vector): Vector {
  return f32.mulSubFrom(n, f32.constant(ln2Low), f32.mulSubFrom(n, f32.constant(ln2High), x));
}

/**
 * pi in parts: of 24 bits where products with them are fused, else short ones, whose products with 13 bits are exact.
 * All are positive, so that 0 minus 0 times them is a zero of the same sign.
 */
const piFused = [3.141592502593994, 1.5099578831723193e-7, 1.078060505991553e-14];

/**
 * Sine and cosine as `sin(r)` with `x = n pi + r`, n an integer for the sine and half of an odd one for the cosine,
 * |r| <= pi/2: one polynomial, and a sign from n. The reduction (Cody and Waite) is in float32 up to |x| = 2^17 with
 * fused products, 2^13 without. Where a lane is larger the functions of `strict` take over, for those lanes.
 */
function fastSineShifted(e: VectorEmitter, operand: Vector, isCosine: boolean): Vector {
  const { f32, i32 } = e;
  const given = e.let(operand);
  const size = e.let(f32.abs(given));
  // The cosine is even in every bit, for the angle is made positive; the sine is odd because rounding is.
  const x = isCosine ? size : given;
  // One more for the cosine, whose sign is that of an odd number of half turns:
  // cos(m pi + pi/2 + r) = (-1)^(m + 1) sin(r).
  const shift = f32.constant(isCosine ? roundingShift32 + 1 : roundingShift32);
  const turns = isCosine
    ? f32.add(f32.mulAdd(x, f32.constant(1 / Math.PI), f32.constant(-0.5)), shift)
    : f32.mulAdd(x, f32.constant(1 / Math.PI), shift);
  const shifted = e.let(turns);
  const whole = f32.sub(shifted, shift);
  const n = e.let(isCosine ? f32.add(whole, f32.constant(0.5)) : whole);
  let rest = x;
  for (const part of e.isFused ? piFused : piInShortParts) rest = e.let(f32.mulSubFrom(n, f32.constant(part), rest));
  const z = e.let(f32.mul(rest, rest));
  const signed = e.let(e.xor(rest, i32.shl(shifted, 31)));
  // Never -0, so that the sine of -0 is -0 + -0.
  const tail = f32.mulAdd(z, polynomial(f32, z, halfSineTail), f32.constant(smallestNormal));
  const usual = e.let(f32.mulAdd(signed, tail, signed));
  const isLarge = f32.gt(size, f32.constant(e.isFused ? largestFused : largestPlain));
  return e.callIfAny(isLarge, isCosine ? largeCosine : largeSine, [given, usual], usual);
}

/** The reductions are right up to these magnitudes. */
const largestFused = 2 ** 17;
const largestPlain = 2 ** 13;

/** -0 stays -0; infinities give NaN. */
export const fastSine = (e: VectorEmitter, x: Vector): Vector => fastSineShifted(e, x, false);

/** Infinities give NaN. */
export const fastCosine = (e: VectorEmitter, x: Vector): Vector => fastSineShifted(e, x, true);

/** Keeps the lanes that the reduction above takes, and computes the others by the function of `strict`. */
const largeLanes = (name: string, f: (e: VectorEmitter, x: Vector) => Vector): Helper => ({
  name,
  parameters: ['v128', 'v128'],
  result: 'v128',
  build(scope) {
    const e = new VectorEmitter(scope);
    const x = scope.vector(0);
    const isLarge = e.let(e.f32.gt(e.f32.abs(x), e.f32.constant(e.isFused ? largestFused : largestPlain)));
    return e.select(isLarge, f(e, x), scope.vector(1)).take();
  },
});

const largeSine = largeLanes('math.sine_beyond', sine);
const largeCosine = largeLanes('math.cosine_beyond', cosine);
