/**
 * Floats of 16 bits: roundings of f32, and the bits of what is rounded. The nearest, ties to even, on bits, since the
 * builtin conversions may round either way, and leave infinities and subnormal numbers open.
 */
import { infinityBits, magnitudeMask, quietNan, signBit } from './basic.ts';
import { functionTemplate } from './writer.ts';

/** The nearest bfloat16, the upper half of a float32. */
export const roundBfloat16 = functionTemplate(
  'round_bfloat16',
  { x: 'f' },
  'f',
  (w) => `
    let bits = ${w.bits('x')};
    let rounded = (bits + 0x7fffu + ((bits >> ${w.u(16)}) & ${w.u(1)})) & ${w.mask('u', 0xffff0000)};
    let is_nan = (bits & ${w.mask('u', magnitudeMask)}) > ${w.mask('u', 0x7f800000)};
    return ${w.float(`select(rounded, ${w.special(quietNan)}, is_nan)`)};`,
);

/**
 * The nearest float16. Above 2^-14 ten bits of the fraction stay; below, numbers are multiples of 2^-24, and adding 0.5
 * makes the adder round there.
 */
export const roundFloat16 = functionTemplate(
  'round_float16',
  { x: 'f' },
  'f',
  (w) => `
    let bits = ${w.bits('x')};
    let size = bits & ${w.mask('u', magnitudeMask)};
    let normal = (size + 0xfffu + ((size >> ${w.u(13)}) & ${w.u(1)})) & ${w.mask('u', 0xffffe000)};
    let multiple = ${w.bits(`${w.float('size')} + 0.5`)} - 0x3f000000u;
    let subnormal = ${w.bits(`${w.F}(multiple) * ${w.f(2 ** -24)}`)};
    var rounded = select(normal, subnormal, size < ${w.mask('u', 0x38800000)});
    rounded = select(rounded, ${w.special(infinityBits)}, rounded >= ${w.mask('u', 0x47800000)});
    rounded = select(rounded, ${w.special(quietNan)}, size > ${w.mask('u', 0x7f800000)});
    return ${w.float(`rounded | (bits & ${w.mask('u', signBit)})`)};`,
);

/**
 * The bits of the nearest float16. `pack2x16float` leaves open what becomes of infinities and NaN, and software adapters
 * make NaN of both. Below 2^-14 the multiple of 2^-24 is the bits themselves.
 */
export const float16Bits = functionTemplate(
  'float16_bits',
  { x: 'f' },
  'u',
  (w) => `
    let bits = ${w.bits('x')};
    let size = bits & ${w.mask('u', magnitudeMask)};
    let normal = (size + 0xfffu + ((size >> ${w.u(13)}) & ${w.u(1)}) - 0x38000000u) >> ${w.u(13)};
    let subnormal = ${w.bits(`${w.float('size')} + 0.5`)} - 0x3f000000u;
    var half = select(normal, subnormal, size < ${w.mask('u', 0x38800000)});
    half = select(half, ${w.mask('u', 0x7c00)}, size >= ${w.mask('u', 0x477ff000)});
    half = select(half, ${w.mask('u', 0x7e00)}, size > ${w.mask('u', 0x7f800000)});
    return half | ((bits >> ${w.u(16)}) & ${w.mask('u', 0x8000)});`,
);
