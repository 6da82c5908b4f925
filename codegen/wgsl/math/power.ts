/**
 * The power of floats: `x^y = 2^(y log2(x))`, where the logarithm and its product with y are sums of two float32 each,
 * the first short enough that products with it are exact. With `x = 2^k m` and `s = (m - 1) / (m + 1)`, log2(m) is odd in
 * s; the polynomials are those of `codegen/wasm/math/power.ts`.
 *
 * Parts are shortened by masks on bits, not by sums of large and small numbers, which a compiler may reassociate; what
 * cancels is `fma`, which it may not take apart.
 */
import { exp2, log2OverS } from '../../common/polynomials.ts';
import { infinityBits, magnitudeMask, quietNan, signBit } from './basic.ts';
import { splitNumber } from './logarithm.ts';
import { floatLiteral, functionTemplate, type Writer } from './writer.ts';

/** The upper 11 or 12 bits of the significand: a product of an upper part with one of 12 bits is exact. */
const upper = (w: Writer, x: string, bits: 11 | 12): string =>
  w.float(`${w.bits(x)} & ${w.mask('u', bits === 12 ? 0xfffff000 : 0xffffe000)}`);
/** log2(m) / s is the first, the second times s^2, and s^4 times a polynomial in s^2. */
const [log2Slope, log2Cube, ...log2Tail] = log2OverS;
const slopeUpper = Math.fround(Math.round(log2Slope * 2 ** 10) / 2 ** 10);

/** Exponents beyond this give 0, 1 or infinity; integers are even. */
const largestExponent = 1e12;

/** `size^y` for a positive finite size of the given bits; 0 where the result is subnormal. */
const powerOfSize = functionTemplate(
  'power_of_size',
  { y: 'f', size: 'u' },
  'f',
  (w) => `
    ${splitNumber(w, 'size')}
    // m - 1 = f, and m + 1 is sum_upper + m_lower.
    let m = f + 1.0;
    let m_upper = ${upper(w, 'm', 11)};
    let m_lower = m - m_upper;
    let sum_upper = m_upper + 1.0;
    let quotient = f / (m + 1.0);
    let s_upper = ${upper(w, 'quotient', 12)};
    let s_lower = fma(-s_upper, m_lower, fma(-s_upper, sum_upper, f)) / (m + 1.0);
    let s = s_upper + s_lower;
    let z = s * s;
    let cube = s * z;
    ${w.polynomial('tail', 'z', log2Tail)}
    // log2(m) = log2_upper + log2_lower.
    let higher = fma(cube, ${w.f(log2Cube)}, cube * z * tail);
    let rest = fma(s_upper, ${w.f(log2Slope - slopeUpper)}, fma(s_lower, ${w.f(log2Slope)}, higher));
    let log2 = fma(s_upper, ${w.f(slopeUpper)}, rest);
    let log2_upper = ${upper(w, 'log2', 12)};
    let log2_lower = fma(s_upper, ${w.f(slopeUpper)}, -log2_upper) + rest;
    // y (k + log2(m)) = n + r.
    let exponent = clamp(y, ${w.f(-largestExponent)}, ${w.f(largestExponent)});
    let exponent_upper = ${upper(w, 'exponent', 12)};
    let exponent_lower = exponent - exponent_upper;
    let small = fma(exponent_lower, k + log2, exponent_upper * log2_lower);
    let n = round(exponent * (k + log2));
    let r = fma(exponent_upper, log2_upper, fma(exponent_upper, k, -n)) + small;
    ${w.polynomial('root', 'r', exp2)}
    var bits = ${w.bits('root')} + (${w.bits(`n + ${floatLiteral(1.5 * 2 ** 23)}`)} << ${w.u(23)});
    let is_small = (n < ${w.f(-126)}) | ((n == ${w.f(-126)}) & (root < ${w.f(1)}));
    let is_large = (n > ${w.f(128)}) | ((n == ${w.f(128)}) & (root >= ${w.f(1)}));
    bits = select(bits, ${w.u(0)}, is_small);
    bits = select(bits, ${w.special(infinityBits)}, is_large);
    return ${w.float('bits')};`,
);

/** `x^y` as C `pow`: x^0 and 1^y are 1 even for NaN; a negative x with a fractional y gives NaN. */
export const power = functionTemplate(
  'power',
  { x: 'f', y: 'f' },
  'f',
  (w) => `
    let bits_x = ${w.bits('x')};
    let bits_y = ${w.bits('y')};
    let size = bits_x & ${w.mask('u', magnitudeMask)};
    let exponent_size = bits_y & ${w.mask('u', magnitudeMask)};
    let infinite = ${w.special(infinityBits)};
    var result = ${w.bits(w.call(powerOfSize, 'y', 'size'))};
    // Where |x| is 0 or infinite or y is infinite, the result is 0 or infinite.
    let is_extreme = (size == ${w.u(0)}) | (size == infinite) | (exponent_size == infinite);
    let grows = (size > ${w.mask('u', 0x3f800000)}) != (bits_y > ${w.mask('u', signBit)});
    result = select(result, select(${w.u(0)}, infinite, grows), is_extreme);
    // A negative x: an odd y keeps its sign, and a y that is no integer gives NaN unless x is 0 or infinite.
    let is_integer = trunc(y) == y;
    let is_odd = is_integer & (trunc(y * 0.5) != y * 0.5);
    result |= select(${w.u(0)}, bits_x & ${w.mask('u', signBit)}, is_odd);
    let is_negative = (bits_x > ${w.mask('u', signBit)}) & (size != infinite);
    let is_invalid = (is_negative & !is_integer) | (size > infinite) | (exponent_size > infinite);
    result = select(result, ${w.special(quietNan)}, is_invalid);
    // 1 whatever the other is, NaN included: x^0, 1^y, and (-1) to an infinite power.
    let one = ${w.mask('u', 0x3f800000)};
    let is_one = (exponent_size == ${w.u(0)}) | (bits_x == one) | ((size == one) & (exponent_size == infinite));
    return ${w.float('select(result, one, is_one)')};`,
);
