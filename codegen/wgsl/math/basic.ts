/**
 * Functions of floats that are a few operations on bits: sign, extrema, comparisons that heed NaN.
 */
import { functionTemplate } from './writer.ts';

/** Bits of infinity: a magnitude above is a NaN. */
export const infinityBits = 0x7f800000;
export const magnitudeMask = 0x7fffffff;
export const signBit = 0x80000000;
export const quietNan = 0x7fc00000;

export const isNan = functionTemplate(
  'is_nan',
  { x: 'f' },
  'b',
  (w) => `return (${w.bits('x')} & ${w.mask('u', magnitudeMask)}) > ${w.mask('u', infinityBits)};`,
);

/** The value, or NaN where the operand is NaN. */
export const nanOf = functionTemplate(
  'nan_of',
  { operand: 'f', value: 'f' },
  'f',
  (w) => `return ${w.float(`select(${w.bits('value')}, ${w.special(quietNan)}, ${w.call(isNan, 'operand')})`)};`,
);

/** The magnitude (not negative) with the sign of the operand, or NaN where the operand is NaN: ends odd functions. */
export const oddOf = functionTemplate(
  'odd_of',
  { operand: 'f', magnitude: 'f' },
  'f',
  (w) => `
    let signed = ${w.bits('magnitude')} | (${w.bits('operand')} & ${w.mask('u', signBit)});
    return ${w.float(`select(signed, ${w.special(quietNan)}, ${w.call(isNan, 'operand')})`)};`,
);

/** -1, 1, or the operand itself where it is zero or NaN: magnitudes less one, as unsigned, are below infinity else. */
export const sign = functionTemplate(
  'sign',
  { x: 'f' },
  'f',
  (w) => `
    let bits = ${w.bits('x')};
    let unit = (bits & ${w.mask('u', signBit)}) | ${w.mask('u', 0x3f800000)};
    let is_signed = (bits & ${w.mask('u', magnitudeMask)}) - 1u < ${w.mask('u', infinityBits)};
    return ${w.float('select(bits, unit, is_signed)')};`,
);

const isUnordered = functionTemplate(
  'is_unordered',
  { a: 'f', b: 'f' },
  'b',
  (w) => `return ${w.call(isNan, 'a')} | ${w.call(isNan, 'b')};`,
);

/** `a < b` and so on as IEEE 754 says, whatever the implementation assumes about NaN. */
export const ordered = (name: string, operator: string) =>
  functionTemplate(
    name,
    { a: 'f', b: 'f' },
    'b',
    (w) => `return (a ${operator} b) & !${w.call(isUnordered, 'a', 'b')};`,
  );

/** `a != b`, which holds where one is NaN. */
export const differs = functionTemplate(
  'not_equal',
  { a: 'f', b: 'f' },
  'b',
  (w) => `return (a != b) | ${w.call(isUnordered, 'a', 'b')};`,
);

/**
 * By the bits, as signed integers, whose order is that of the numbers, -0 below 0, but reversed where both are negative.
 * NaN if either is NaN.
 */
const extremum = (name: 'maximum' | 'minimum') =>
  functionTemplate(
    name,
    { a: 'f', b: 'f' },
    'f',
    (w) => `
      let bits_a = ${w.signedBits('a')};
      let bits_b = ${w.signedBits('b')};
      let is_reversed = (bits_a & bits_b) < ${w.i(0)};
      let is_first = (bits_a ${name === 'maximum' ? '>' : '<'} bits_b) != is_reversed;
      let chosen = select(bits_b, bits_a, is_first);
      return ${w.float(`select(chosen, ${w.signedBits(w.special(quietNan))}, ${w.call(isUnordered, 'a', 'b')})`)};`,
  );

/** The greater; NaN if either is NaN, -0 below 0. */
export const maximum = extremum('maximum');

/** The lesser, likewise. */
export const minimum = extremum('minimum');
