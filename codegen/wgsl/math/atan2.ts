/** The angle of a point, after that of `codegen/wasm/math/atan2.ts`, which explains the formula. */
import { atanTail, halfPi, halfPiRest } from '../../common/polynomials.ts';
import { isNan, magnitudeMask, quietNan, signBit } from './basic.ts';
import { floatLiteral, functionTemplate } from './writer.ts';

/** Small numbers of the given bits times 2^24; subnormal ones are their bits times 2^-149. */
const enlarged = functionTemplate(
  'enlarged',
  { size: 'u' },
  'f',
  (w) => `
    let is_subnormal = size < ${w.mask('u', 0x800000)};
    return select(${w.float('size')} * ${floatLiteral(2 ** 24)}, ${w.F}(size) * ${floatLiteral(2 ** -125)}, is_subnormal);`,
);

/**
 * `atan2(y, x)`, as in C. Sizes are compared as bits. Divisors of WGSL lie between 2^-126 and 2^126: very large and very
 * small points are scaled.
 */
export const atan2 = functionTemplate(
  'atan2',
  { y: 'f', x: 'f' },
  'f',
  (w) => `
    let bits_x = ${w.bits('x')};
    let bits_y = ${w.bits('y')};
    let size_x = bits_x & ${w.mask('u', magnitudeMask)};
    let size_y = bits_y & ${w.mask('u', magnitudeMask)};
    let is_steep = size_x < size_y;
    let smaller = min(size_x, size_y);
    let larger = max(size_x, size_y);
    let scale = select(${w.f(1)}, ${w.f(2 ** -24)}, larger > ${w.mask('u', 0x7d000000)});
    let is_tiny = larger < ${w.mask('u', 0x0d000000)};
    let dividend = select(${w.float('smaller')} * scale, ${w.call(enlarged, 'smaller')}, is_tiny);
    let divisor = select(${w.float('larger')} * scale, ${w.call(enlarged, 'larger')}, is_tiny);
    let quotient = dividend / divisor;
    let ratio = select(quotient, ${w.f(1)}, smaller == larger);
    let a = select(ratio, ${w.f(0)}, smaller == ${w.u(0)});
    let z = a * a;
    ${w.polynomial('tail', 'z', atanTail)}
    let angle = ${w.bits('fma(a * z, tail, a)')};
    let is_left = bits_x >= ${w.mask('u', signBit)};
    let sign = select(${w.u(0)}, ${w.mask('u', signBit)}, is_steep != is_left);
    let sideways = select(${w.f(0)}, ${w.f(2 * halfPi)}, is_left);
    let multiple = select(sideways, ${w.f(halfPi)}, is_steep);
    let sum = fma(multiple, ${w.f(halfPiRest)}, ${w.float('angle ^ sign')}) + multiple;
    let result = ${w.bits('sum')} | (bits_y & ${w.mask('u', signBit)});
    let is_invalid = ${w.call(isNan, 'x')} | ${w.call(isNan, 'y')};
    return ${w.float(`select(result, ${w.special(quietNan)}, is_invalid)`)};`,
);
