/**
 * Integer functions that WGSL leaves open or has no operator for. Values of narrow dtypes come extended to 32 bits; what
 * may leave their range is wrapped by the caller.
 */
import { functionTemplate, type LaneKind, laneTemplate, type Writer } from './writer.ts';

type IntegerKind = 'i' | 'u';

const each = <T>(make: (kind: IntegerKind) => T): Readonly<Record<IntegerKind, T>> => ({ i: make('i'), u: make('u') });

const constant = (w: Writer, kind: IntegerKind, value: number): string => (kind === 'i' ? w.i(value) : w.u(value));

/** Statements that name the divisor, or 1 where the quotient is no integer of 32 bits. */
function safeDivisor(w: Writer, kind: IntegerKind): string {
  if (kind === 'u') return `let divisor = max(b, ${w.u(1)});`;
  const overflows = `(a == ${w.i(-(2 ** 31))}) & (b == ${w.i(-1)})`;
  return `let divisor = select(b, ${w.i(1)}, (b == ${w.i(0)}) | (${overflows}));`;
}

/** Truncating; x/0 is all ones, the least integer by -1 itself. */
export const divide = each((kind) =>
  functionTemplate(
    'divide',
    { a: kind, b: kind },
    kind,
    (w) => `
      ${safeDivisor(w, kind)}
      let all_ones = ${kind === 'i' ? w.i(-1) : w.mask('u', 0xffffffff)};
      return select(a / divisor, all_ones, b == ${constant(w, kind, 0)});`,
  ),
);

/** With the sign of the dividend; x%0 is x. (`%` of Vulkan is undefined for negative operands.) */
export const remainder = each((kind) =>
  functionTemplate(
    'remainder',
    { a: kind, b: kind },
    kind,
    (w) => `
      ${safeDivisor(w, kind)}
      return select(a - (a / divisor) * ${kind === 'i' ? 'b' : 'divisor'}, a, b == ${constant(w, kind, 0)});`,
  ),
);

/** By squaring, modulo 2^32. A negative exponent gives 0, for the bases 1 and -1 their power. */
export const power = each((kind) =>
  laneTemplate('power', { base: kind, exponent: kind }, kind, () => {
    const zero = kind === 'i' ? '0i' : '0u';
    const one = kind === 'i' ? '1i' : '1u';
    const negative = `
      if (exponent < 0i) {
        let alternating = select(1i, -1i, (exponent & 1i) == 1i);
        return select(select(0i, alternating, base == -1i), 1i, base == 1i);
      }`;
    return `
      ${kind === 'i' ? negative : ''}
      var result = ${one};
      var square = base;
      for (var rest = exponent; rest > ${zero}; rest >>= 1u) {
        if ((rest & ${one}) == ${one}) {
          result *= square;
        }
        square *= square;
      }
      return result;`;
  }),
);

/** Shifts whose amount, read as unsigned, is 32 or more give 0, or the sign everywhere. */
const shift = (name: string, operator: '<<' | '>>', kind: LaneKind, beyond: 'zero' | 'sign') =>
  functionTemplate(name, { value: kind, amount: 'u' }, kind, (w) => {
    if (beyond === 'sign') return `return value >> min(amount, ${w.u(31)});`;
    const zero = kind === 'i' ? w.i(0) : w.u(0);
    return `return select(value ${operator} (amount & ${w.u(31)}), ${zero}, amount > ${w.u(31)});`;
  });

export const shiftLeft = each((kind) => shift('shift_left', '<<', kind, 'zero'));
export const shiftRightLogical = shift('shift_right_logical', '>>', 'u', 'zero');
export const shiftRightArithmetic = shift('shift_right_arithmetic', '>>', 'i', 'sign');
