/**
 * Which of two elements argmax and argmin take. Floats are compared by unsigned keys in the order of the numbers: NaN
 * above all, and one key for both zeros.
 */
import { magnitudeMask, signBit } from './basic.ts';
import { functionTemplate, type LaneKind, type Writer } from './writer.ts';

const orderKey = functionTemplate(
  'order_key',
  { x: 'f' },
  'u',
  (w) => `
    let bits = ${w.bits('x')};
    let size = bits & ${w.mask('u', magnitudeMask)};
    let is_negative = (bits > ${w.mask('u', signBit)});
    let key = select(size | ${w.mask('u', signBit)}, ~bits, is_negative);
    return select(key, ${w.mask('u', 0xffffffff)}, size > ${w.mask('u', 0x7f800000)});`,
);

/** Whether a candidate is more extreme than the best, or as extreme and earlier. */
export const wins = (kind: 'argmax' | 'argmin', lane: LaneKind) =>
  functionTemplate(
    `${kind}_wins`,
    { candidate: lane, candidate_position: 'i', best: lane, best_position: 'i' },
    'b',
    (w: Writer) => {
      // -x is least where x is greatest, and NaN stays the most extreme.
      const key = (x: string): string => (lane === 'f' ? w.call(orderKey, kind === 'argmax' ? x : `-${x}`) : x);
      const beats = kind === 'argmax' || lane === 'f' ? '>' : '<';
      return `
        let a = ${key('candidate')};
        let b = ${key('best')};
        return (a ${beats} b) | ((a == b) & (candidate_position < best_position));`;
    },
  );
