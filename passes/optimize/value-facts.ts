/**
 * What is known of every element of a value from the ops that make it, without computing anything. A few ops are
 * looked at, so that a question costs the same in every graph.
 *
 *     leastOf(rewriter, multiply(x, x))          // 0: squares are not negative, and never -0
 *     isNeverMinusZero(rewriter, sum, false)     // true: sums start from 0
 */
import { dimBounds } from '../../base/dim.ts';
import { integerRange, isFloat, isInteger, isNarrowInteger } from '../../base/dtype.ts';
import { roundFloat } from '../../base/half.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import type { Rewriter } from '../rewrite.ts';

/** How many ops a question looks upwards. */
const farthest = 5;
/** Elements of a constant that a question looks at. */
const mostElements = 256;

/**
 * Whether no element is -0; NaN may occur. Sums start from 0, and 0 + -0 is 0.
 * @param contractions what is said of contractions, which are sums too, but may round a product that underflows to -0
 *   together with the sum
 */
export function isNeverMinusZero(
  rewriter: Rewriter,
  value: Value,
  contractions: boolean,
  depth: number = farthest,
): boolean {
  if (!isFloat(value.type.dtype)) return true;
  const op = rewriter.definition(value);
  if (!op || depth === 0) return false;
  const known = (operand: number): boolean => isNeverMinusZero(rewriter, op.operands[operand], contractions, depth - 1);
  switch (op.opcode) {
    case 'constant': {
      const { data } = op.attributes.value;
      return data.length <= mostElements && Array.from(data).every((element) => !Object.is(Math.fround(element), -0));
    }
    case 'iota':
    case 'dimension_size':
    case 'exponential':
    case 'abs':
      return true;
    case 'dot_general':
    case 'convolution':
      return contractions;
    case 'convert':
      return !isFloat(op.operands[0].type.dtype);
    case 'reduce':
    case 'reduce_window':
      return op.attributes.kind === 'sum';
    case 'multiply':
      return op.operands[0] === op.operands[1];
    case 'add':
      return known(0) || known(1);
    case 'subtract':
      return known(0);
    case 'maximum':
      return (known(0) && known(1)) || op.operands.some((operand) => isNonNegative(rewriter, operand, depth - 1));
    case 'select':
      return known(1) && known(2);
    case 'concatenate':
      return op.operands.every((_, i) => known(i));
    case 'pad':
    case 'dynamic_update_slice':
      return known(0) && known(1);
    case 'broadcast_in_dim':
    case 'reshape':
    case 'transpose':
    case 'reverse':
    case 'slice':
    case 'dynamic_slice':
    case 'gather':
      return known(0);
    default:
      return false;
  }
}

/** Whether every element is at least +0 or NaN, never -0. */
export const isNonNegative = (rewriter: Rewriter, value: Value, depth: number = farthest): boolean =>
  leastOf(rewriter, value, depth) >= 0;

/**
 * A number that no element lies below (NaN aside); where it is 0 or more, no element is -0 either. -Infinity when
 * nothing is known. Rounding is monotone, so bounds of sums and products are rounded alike.
 */
export function leastOf(rewriter: Rewriter, value: Value, depth: number = farthest): number {
  const op = rewriter.definition(value);
  const ofType =
    isInteger(value.type.dtype) || value.type.dtype === 'bool' ? integerRange(value.type.dtype)[0] : -Infinity;
  if (!op || depth === 0) return ofType;
  return Math.max(
    ofType,
    isFloat(value.type.dtype) ? leastFloat(rewriter, op, depth) : leastInteger(rewriter, op, depth),
  );
}

/** What holds for floats and integers alike: elements that are moved, and choices between them. */
function leastMoved(rewriter: Rewriter, op: Op, depth: number): number {
  const least = (operand: number): number => leastOf(rewriter, op.operands[operand], depth - 1);
  switch (op.opcode) {
    case 'constant':
      return leastElement(op);
    case 'iota':
      return isNarrowInteger(op.attributes.dtype) ? -Infinity : 0;
    case 'dimension_size':
      return isFloat(op.attributes.dtype) ? Math.max(0, dimBounds(op.attributes.size)[0]) : 0;
    case 'maximum':
      return Math.max(least(0), least(1));
    case 'minimum':
      return Math.min(least(0), least(1));
    case 'select':
      return Math.min(least(1), least(2));
    case 'concatenate':
      return Math.min(...op.operands.map((_, i) => least(i)));
    case 'pad':
      return Math.min(least(0), least(1));
    case 'broadcast_in_dim':
    case 'reshape':
    case 'transpose':
    case 'reverse':
    case 'slice':
    case 'dynamic_slice':
      return least(0);
    default:
      return -Infinity;
  }
}

const leastInteger = (rewriter: Rewriter, op: Op, depth: number): number =>
  op.opcode === 'dimension_size' ? -Infinity : leastMoved(rewriter, op, depth);

function leastFloat(rewriter: Rewriter, op: Op, depth: number): number {
  const least = (operand: number): number => leastOf(rewriter, op.operands[operand], depth - 1);
  switch (op.opcode) {
    case 'exponential':
    case 'abs':
      return 0;
    case 'sqrt':
      return least(0) >= 0 ? Math.fround(Math.sqrt(least(0))) : -Infinity;
    case 'convert':
      return isFloat(op.operands[0].type.dtype) ? -Infinity : least(0);
    case 'multiply':
      if (op.operands[0] === op.operands[1]) return 0;
      return least(0) >= 0 && least(1) >= 0 ? Math.fround(least(0) * least(1)) : -Infinity;
    case 'divide':
      return least(0) >= 0 && least(1) >= 0 ? 0 : -Infinity;
    case 'add':
      return least(0) >= 0 && least(1) >= 0 ? Math.fround(least(0) + least(1)) : -Infinity;
    case 'reduce':
      return leastReduced(rewriter, op, depth);
    default:
      return leastMoved(rewriter, op, depth);
  }
}

function leastReduced(rewriter: Rewriter, op: OpOf<'reduce'>, depth: number): number {
  const { kind, axes } = op.attributes;
  if (kind === 'sum' && isSumOfShiftedExponentials(rewriter, op)) return 0.5;
  const least = leastOf(rewriter, op.operands[0], depth - 1);
  if (least < 0) return -Infinity;
  if (kind === 'sum') return 0;
  if (kind === 'min') return least;
  const isNeverEmpty = axes.every((axis) => dimBounds(op.operands[0].type.shape[axis])[0] >= 1);
  return kind === 'max' && isNeverEmpty ? least : -Infinity;
}

/** `sum(exp(x - max(x)))` over the same axes: one term is 1, or the sum is NaN. */
function isSumOfShiftedExponentials(rewriter: Rewriter, sum: OpOf<'reduce'>): boolean {
  const exponential = rewriter.definedBy(sum.operands[0], 'exponential');
  const shifted = exponential && rewriter.definedBy(exponential.operands[0], 'subtract');
  const repeated = shifted && rewriter.definedBy(shifted.operands[1], 'broadcast_in_dim');
  const greatest = repeated && rewriter.definedBy(repeated.operands[0], 'reduce');
  if (!shifted || !repeated || !greatest) return false;
  if (greatest.attributes.kind !== 'max' || greatest.operands[0] !== shifted.operands[0]) return false;
  const { axes } = sum.attributes;
  const kept = sum.operands[0].type.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const isSame = (a: readonly number[], b: readonly number[]): boolean =>
    a.length === b.length && a.every((axis) => b.includes(axis));
  return (
    isSame(greatest.attributes.axes, axes) &&
    repeated.attributes.axes.every((axis, i) => axis === kept[i]) &&
    axes.every((axis) => dimBounds(sum.operands[0].type.shape[axis])[0] >= 1)
  );
}

function leastElement(op: OpOf<'constant'>): number {
  const { data, dtype } = op.attributes.value;
  if (data.length > mostElements || data.length === 0) return -Infinity;
  let least = Infinity;
  for (let i = 0; i < data.length; i++) {
    const element = roundFloat(dtype, data[i]);
    if (Number.isNaN(element)) continue;
    least = Math.min(least, Object.is(element, -0) ? -Number.MIN_VALUE : element);
  }
  return least;
}
