/**
 * The remainder of floats, exactly C `fmod`, in integers: long division of the significands, eight bits of the quotient
 * at a time. Neither divisions of floats nor subnormal numbers take part.
 */
import { magnitudeMask, signBit } from './basic.ts';
import { laneTemplate } from './writer.ts';

/** NaN where y is 0 or x is infinite; x where y is infinite; a zero has the sign of x. */
export const remainder = laneTemplate(
  'remainder',
  { x: 'f', y: 'f' },
  'f',
  (w) => `
    let size_x = bitcast<u32>(x) & ${w.mask('u', magnitudeMask)};
    let size_y = bitcast<u32>(y) & ${w.mask('u', magnitudeMask)};
    if (size_x >= 0x7f800000u || size_y > 0x7f800000u || size_y == 0u) {
      return bitcast<f32>(size_x | 0x7fc00000u);
    }
    if (size_x < size_y) {
      return x;
    }
    // Numbers are significands times 2^(exponent - 150); subnormal ones have the exponent 1.
    let exponent_x = max(size_x >> 23u, 1u);
    let exponent_y = max(size_y >> 23u, 1u);
    let divisor = (size_y & 0x7fffffu) | select(0u, 0x800000u, size_y >= 0x800000u);
    var rest = ((size_x & 0x7fffffu) | select(0u, 0x800000u, size_x >= 0x800000u)) % divisor;
    var remaining = exponent_x - exponent_y;
    while (remaining > 0u && rest > 0u) {
      let step = min(remaining, 8u);
      rest = (rest << step) % divisor;
      remaining -= step;
    }
    let shift = min(max(countLeadingZeros(rest), 8u) - 8u, exponent_y - 1u);
    let shifted = rest << shift;
    // The leading bit of a normal significand adds 1 to the exponent.
    let size = select(0u, shifted + ((exponent_y - shift - 1u) << 23u), rest > 0u);
    return bitcast<f32>(size | (bitcast<u32>(x) & ${w.mask('u', signBit)}));`,
);
