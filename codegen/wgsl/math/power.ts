/**
 * The power of floats: `x^y = 2^(y log2(x))`, where the logarithm and its product with y are sums of two float32 each,
 * the first short enough that products with it are exact. With `x = 2^k m` and `s = (m - 1) / (m + 1)`, log2(m) is odd in
 * s; the polynomials are those of `codegen/wasm/math/power.ts`.
 *
 * Parts are shortened by masks on bits, not by sums of large and small numbers, which a compiler may reassociate.
 */
import { magnitudeMask, signBit } from './basic.ts';
import { splitNumber } from './logarithm.ts';
import { floatLiteral, functionTemplate, type Writer } from './writer.ts';

/** log2(m) / s is this and, times s^2, the polynomial in s^2. */
const log2Slope = 2.885390081777849;
const log2Tail = [0.9617966941149177, 0.5770779418962102, 0.41220930082945123, 0.3199036650080258, 0.2829298220434414];

/** 2^r on |r| <= 1/2; relative error below 2^-29. */
const exp2 = [
  1.000000000554169, 0.6931472057372016, 0.240226468906349, 0.05550328777116744, 0.009618488957275618,
  0.0013399931162930657, 0.00015345811883312694,
];

/** The upper 12 bits of the significand, so that products of two such are exact. */
const upper = (w: Writer, x: string): string => w.float(`${w.bits(x)} & ${w.u(0xfffff000)}`);
const slopeUpper = Math.fround(Math.round(log2Slope * 2 ** 10) / 2 ** 10);

/** Exponents beyond this give 0, 1 or infinity; integers are even. */
const largestExponent = 2 ** 40;

/** `size^y` for a positive finite size of the given bits; 0 where the result is subnormal. */
const powerOfSize = functionTemplate(
  'power_of_size',
  { y: 'f', size: 'u' },
  'f',
  (w) => `
    ${splitNumber(w, 'size')}
    let sum = f + 2.0;
    let sum_upper = ${upper(w, 'sum')};
    let sum_lower = f - (sum_upper - 2.0);
    let quotient = f / sum;
    let s_upper = ${upper(w, 'quotient')};
    let s_lower = fma(-s_upper, sum_lower, fma(-s_upper, sum_upper, f)) / sum;
    let s = s_upper + s_lower;
    let z = s * s;
    ${w.polynomial('tail', 'z', log2Tail)}
    let product = s_upper * ${floatLiteral(slopeUpper)};
    let rest = fma(s_upper, ${w.f(log2Slope - slopeUpper)}, fma(s_lower, ${w.f(log2Slope)}, s * z * tail));
    let log2 = k + (product + rest);
    let log2_upper = ${upper(w, 'log2')};
    let log2_lower = ((k - log2_upper) + product) + rest;
    let exponent = clamp(y, ${w.f(-largestExponent)}, ${w.f(largestExponent)});
    let exponent_upper = ${upper(w, 'exponent')};
    let t_upper = exponent_upper * log2_upper;
    let t_lower = fma(exponent - exponent_upper, log2_upper, exponent * log2_lower);
    let t = t_upper + t_lower;
    let n = round(t);
    let r = (t_upper - n) + t_lower;
    ${w.polynomial('root', 'r', exp2)}
    var bits = ${w.bits('root')} + (${w.bits(`n + ${floatLiteral(1.5 * 2 ** 23)}`)} << ${w.u(23)});
    bits = select(bits, ${w.u(0)}, t < ${w.f(-126)});
    bits = select(bits, ${w.u(0x7f800000)}, t >= ${w.f(128)});
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
    let size = bits_x & ${w.u(magnitudeMask)};
    let exponent_size = bits_y & ${w.u(magnitudeMask)};
    let infinite = ${w.u(0x7f800000)};
    var result = ${w.bits(w.call(powerOfSize, 'y', 'size'))};
    // Where |x| is 0 or infinite or y is infinite, the result is 0 or infinite.
    let is_extreme = (size == ${w.u(0)}) | (size == infinite) | (exponent_size == infinite);
    let grows = (size > ${w.u(0x3f800000)}) != (bits_y > ${w.u(signBit)});
    result = select(result, select(${w.u(0)}, infinite, grows), is_extreme);
    // A negative x: an odd y keeps its sign, and a y that is no integer gives NaN unless x is 0 or infinite.
    let is_integer = trunc(y) == y;
    let is_odd = is_integer & (trunc(y * 0.5) != y * 0.5);
    result |= select(${w.u(0)}, bits_x & ${w.u(signBit)}, is_odd);
    let is_negative = (bits_x > ${w.u(signBit)}) & (size != infinite);
    let is_invalid = (is_negative & !is_integer) | (size > infinite) | (exponent_size > infinite);
    result = select(result, ${w.u(0x7fc00000)}, is_invalid);
    // 1 whatever the other is, NaN included: x^0, 1^y, and (-1) to an infinite power.
    let one = ${w.u(0x3f800000)};
    let is_one = (exponent_size == ${w.u(0)}) | (bits_x == one) | ((size == one) & (exponent_size == infinite));
    return ${w.float('select(result, one, is_one)')};`,
);
