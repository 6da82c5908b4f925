/**
 * How far a float32 result may be from the exact one: the bounds of docs/accuracy.md, in one table. Functions with an
 * instruction of their own are correctly rounded and have no row; for sums and products of many elements see
 * `accumulationBound`.
 *
 *     ulpBounds.tanh          // 2.6: at most 2.6 units in the last place
 */
import type { ScalarOpcode } from '../../ir/kernel.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { Random } from '../../ir/ops/random.ts';
import type { Literal } from '../../ir/types.ts';

/** Largest error of a function of `strict` in ULP of the exact result. */
export const ulpBounds = {
  atan2: 2,
  cosine: 1.6,
  erf: 2,
  exponential: 1,
  exponential_minus_one: 2,
  log: 1,
  log_plus_one: 1.5,
  power: 0.54,
  remainder: 0,
  rsqrt: 1.5,
  sign: 0,
  sine: 1.6,
  tanh: 2.6,
} as const;

/** The distance between neighbours of floats of 16 bits, at most, beside the number. */
export const halfSpacing = { float16: 2 ** -10, bfloat16: 2 ** -7 } as const;

/** The same for `fast`, on engines with fused multiply-add and without. */
export const fastUlpBounds = { ...ulpBounds, cosine: 2.6, sine: 2.4 } as const;

/** Half the distance between 1 and the next float32: the relative error of one rounding. */
export const unitRoundoff = 2 ** -24;
const smallest = 2 ** -149;

/**
 * The error of a sum of `count` terms, each perhaps a product, whose absolute values add up to `magnitude`: one
 * rounding for each term and each addition, in whatever order (Higham, Accuracy and Stability, chapter 4).
 */
export const accumulationBound = (count: number, magnitude: number): number => {
  const roundings = 2 * count + 1;
  return 1.01 * roundings * (unitRoundoff * magnitude + smallest);
};

/**
 * What is wrong with an accumulated result, in words; `undefined` when each element is within its bound. NaN and
 * infinities must be the same; a zero may have either sign.
 * @param counts how many terms each element has
 * @param magnitudes the same with absolute values of all terms
 */
export function accumulationFault(
  given: Literal,
  exact: Literal,
  counts: Literal,
  magnitudes: Literal,
): string | undefined {
  for (let i = 0; i < elementCount(exact.shape); i++) {
    const [a, b] = [elementAt(given, i), elementAt(exact, i)];
    if (Object.is(a, b) || Math.fround(b) === a) continue;
    const bound = accumulationBound(elementAt(counts, i), elementAt(magnitudes, i));
    if (!(Math.abs(a - b) <= bound)) return `element ${i} is ${a} instead of ${b}, bound ${bound}`;
  }
  return undefined;
}

/**
 * How far the result of a scalar op may be off on WebGPU, in ULP of the float32 result, wherever WGSL bounds the
 * relative error (https://www.w3.org/TR/WGSL/#floating-point-accuracy). What is correctly rounded there may be rounded
 * either way. Functions that WGSL leaves weaker than a few ULP are computed by polynomials of Kiln's own: the error of
 * docs/accuracy.md, and room for a division that is 2.5 ULP off. Ops without a row are exact.
 */
export const wgslUlp = {
  add: 1,
  subtract: 1,
  multiply: 1,
  divide: 2.5,
  sqrt: 4.5,
  rsqrt: 2,
  // And twice the size of the argument: see wgslUlpAt.
  exponential: 3,
  exponential_minus_one: 2,
  log: 2,
  log_plus_one: 3,
  power: 4,
  sine: 3,
  cosine: 3,
  tanh: 5,
  erf: 2.5,
  atan2: 4,
  // A result on the border between two floats of 16 bits may fall on either side.
  round_float16: 2 ** 10,
  round_bfloat16: 2 ** 13,
} as const satisfies Partial<Record<ScalarOpcode, number>>;

/** The same for a result: the error of the builtin exponential grows with the argument, the logarithm of the result. */
export function wgslUlpAt(opcode: ScalarOpcode, result: number): number {
  const ulp = opcode in wgslUlp ? wgslUlp[opcode as keyof typeof wgslUlp] : 0;
  if (opcode !== 'exponential' || !(result > 0 && result < Infinity)) return ulp;
  return ulp + 2 * Math.abs(Math.log(result));
}

/** A number off by what the op allows, up or down. */
export function disturbance(opcode: ScalarOpcode, value: number, random: Random): number {
  const ulp = wgslUlpAt(opcode, value);
  return ulp === 0 || value === 0 ? value : value * (1 + (random.next() < 0.5 ? -ulp : ulp) * 2 ** -23);
}

/**
 * What is wrong with float32 results of one op on WebGPU, in words. NaN and infinities are those of the reference, but
 * where the exact result overflows within the bound; a zero may have either sign, and a subnormal number may be zero,
 * as an operand too: `rounded` is the reference with every result rounded, and either may be right.
 */
export function wgslFault(opcode: Opcode, given: Literal, exact: Literal, rounded: Literal): string | undefined {
  for (let i = 0; i < elementCount(exact.shape); i++) {
    const [a, b, r] = [elementAt(given, i), elementAt(exact, i), elementAt(rounded, i)];
    if (Object.is(a, r) || a === r || (Math.abs(a) <= leastNormal && Math.abs(b) <= leastNormal)) continue;
    const ulp = wgslUlpAt(opcode as ScalarOpcode, b);
    const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(b))) - 23, -149);
    const isOverflow = !Number.isFinite(a) && Math.sign(a) === Math.sign(b) && Math.abs(b) + ulp * unit >= 2 ** 128;
    if (!isOverflow && !(Math.abs(a - b) <= ulp * unit + (ulp > 0 ? leastNormal : 0)))
      return `element ${i} is ${a} instead of ${b}, bound ${ulp} ULP`;
  }
  return undefined;
}

/** Smaller float32 numbers are subnormal. */
const leastNormal = 2 ** -126;
