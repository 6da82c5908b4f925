/**
 * Sine and cosine, after the shorter ones of `codegen/wasm/math/fast.ts`: `sin(r)` with `x = n pi + r`, |r| <= pi/2, n an
 * integer for the sine and half of an odd one for the cosine. The builtin ones are right to 2^-11, and only up to pi.
 *
 * Up to 2^13 the reduction is by a pi in short parts, whose products with n are exact, fused or not. Beyond it is that
 * of Payne and Hanek ("Radian reduction for trigonometric functions", 1983), exact for every float32, lane by lane.
 */
import {
  halfPi,
  halfPiRest,
  halfSineTail,
  piInShortParts,
  quarterCosine,
  quarterSineTail,
} from '../../common/polynomials.ts';
import { signBit } from './basic.ts';
import { floatLiteral, functionTemplate, laneTemplate } from './writer.ts';

/** The largest magnitude that the short parts of pi take. */
const largestModerate = 0x46000000; // the bits of 2^13

/** The upper 32 bits of a product. */
const multiplyHigh = laneTemplate(
  'multiply_high',
  { a: 'u', b: 'u' },
  'u',
  () => `
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);`,
);

/** The binary digits of 2/pi behind 35 zeros: the bit 32 has the weight 2^2. */
const twoOverPi = [0, 0x145f306d, 0xc9c882a5, 0x3f84eafa, 0x3ea69bb8, 0x1b6c52b3, 0x27887208, 0x3fca2c75, 0x7bd778ac];

/**
 * `sin(x + turns pi/2)` for x of at least 2^13; NaN for infinities and NaN. With `x = m 2^e`, m of 24 bits, the product with 2/pi modulo
 * 4 depends on the digits from bit e + 33 on; 96 of them give it to 2^-62. It is never closer to an integer than 2^-29.9.
 */
const sineOfLarge = laneTemplate(
  'sine_of_large',
  { x: 'f', turns: 'u' },
  'f',
  (w) => `
    let bits = bitcast<u32>(x);
    if (bits >= 0x7f800000u) {
      return bitcast<f32>(bits | 0x7fc00000u);
    }
    let significand = (bits & 0x7fffffu) | 0x800000u;
    let begin = max(bits >> 23u, 117u) - 117u;
    var digits = array<u32, ${twoOverPi.length}>(${twoOverPi.map((word) => w.mask('u', word)).join(', ')});
    let at = begin >> 5u;
    let shift = begin & 31u;
    let first = (digits[at] << shift) | ((digits[at + 1u] >> 1u) >> (31u - shift));
    let second = (digits[at + 1u] << shift) | ((digits[at + 2u] >> 1u) >> (31u - shift));
    let third = (digits[at + 2u] << shift) | ((digits[at + 3u] >> 1u) >> (31u - shift));
    let product = significand * second;
    let low = product + ${w.call(multiplyHigh, 'significand', 'third')};
    let carry = select(0u, 1u, low < product);
    let high = significand * first + ${w.call(multiplyHigh, 'significand', 'second')} + carry;
    // The nearest quarter turn, and the distance to it in units of 2^-64.
    let quarter = ((high + 0x20000000u) >> 30u) + turns;
    let upper = (high << 2u) | (low >> 30u);
    let is_negative = upper >= 0x80000000u;
    let lower = select(low << 2u, 0u - (low << 2u), is_negative);
    let distance = select(upper, ~upper + select(0u, 1u, lower == 0u), is_negative);
    let zeros = countLeadingZeros(distance);
    let normal = (distance << zeros) | ((lower >> 1u) >> (31u - zeros));
    // Times pi/2, in parts, so that only the last sum is rounded.
    let upper_part = f32(normal >> 8u);
    let lower_part = fma(upper_part, ${w.f(halfPi * halfPiRest)}, f32(normal & 0xffu) * ${w.f(halfPi * 2 ** -8)});
    let size = fma(upper_part, ${w.f(halfPi)}, lower_part) * bitcast<f32>((103u - zeros) << 23u);
    let r = select(size, -size, is_negative);
    let square = r * r;
    ${w.polynomial('tail', 'square', quarterSineTail)}
    ${w.polynomial('cosine', 'square', quarterCosine)}
    let value = select(fma(r * square, tail, r), cosine, (quarter & 1u) == 1u);
    return select(value, -value, (quarter & 2u) == 2u);`,
);

/** Adding it leaves a small integer in the low bits of the sum. */
const roundingShift = floatLiteral(1.5 * 2 ** 23);

/** The sine, or the cosine, which is even. Both are taken of the size. */
const sineShifted = (name: 'sine' | 'cosine') =>
  functionTemplate(name, { x: 'f' }, 'f', (w) => {
    const isCosine = name === 'cosine';
    const reduction = piInShortParts.map((part) => `r = fma(n, ${w.f(-part)}, r);`).join('\n');
    const turns = `size * ${floatLiteral(1 / Math.PI)}`;
    // sin(n pi + r) = (-1)^n sin(r), and cos((k + 1/2) pi + r) = (-1)^(k + 1) sin(r).
    const reduceBy = isCosine
      ? `let k = floor(${turns});
        let n = k + 0.5;
        let parity = ${w.bits(`k + ${roundingShift}`)} + 1u;`
      : `let n = round(${turns});
        let parity = ${w.bits(`n + ${roundingShift}`)};`;
    return `
      let size = abs(x);
      ${reduceBy}
      var r = size;
      ${reduction}
      let square = r * r;
      ${w.polynomial('tail', 'square', halfSineTail)}
      var result = ${w.bits('fma(r * square, tail, r)')} ^ (parity << ${w.u(31)});
      let is_large = ${w.bits('size')} > ${w.mask('u', largestModerate)};
      if (${w.any('is_large')}) {
        result = select(result, ${w.bits(w.call(sineOfLarge, 'size', w.u(isCosine ? 1 : 0)))}, is_large);
      }
      return ${w.float(isCosine ? 'result' : `result ^ (${w.bits('x')} & ${w.mask('u', signBit)})`)};`;
  });

/** -0 stays -0; infinities give NaN. */
export const sine = sineShifted('sine');

/** Infinities give NaN. */
export const cosine = sineShifted('cosine');
