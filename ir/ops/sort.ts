/**
 * Sorting along an axis, with a closed comparison: `sort` gives the elements in order, or where they stood, and may
 * stop after the first few.
 *
 *     %1: f32[8,10] = sort %x {axis=1, direction=descending, count=10, result=values}        // %x: f32[8,1000]
 *     %2: i32[8,10] = sort %x {axis=1, direction=descending, count=10, result=positions}
 */
import { type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import { elementAt, elementCount, forEachIndex, positionOf, rowMajorStrides } from '../literal.ts';
import type { SortDirection } from '../opcodes.ts';
import { define } from './definition.ts';
import { formatType, requireAtMost, requireAxes, requireSizes } from './rules.ts';

export const sortDirections = ['ascending', 'descending'] as const;
const sortResults = ['values', 'positions'] as const;

/** Operations for one element: what a radix sort of 32 bits takes, whatever the length. */
export const sortWork = 24;

/** Which of two elements comes first, by their order as numbers with NaN behind all others; 0 for equal ones. */
function compareNumbers(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

/** The positions of a row in sorted order; equal elements keep theirs, whatever the direction. */
export function sortedPositions(row: ArrayLike<number>, direction: SortDirection): number[] {
  const sign = direction === 'ascending' ? 1 : -1;
  const positions = Array.from({ length: row.length }, (_, at) => at);
  return positions.sort((a, b) => sign * compareNumbers(row[a], row[b]) || a - b);
}

export const sortDefinition = define({
  opcode: 'sort',
  summary: 'The first elements along an axis in sorted order, or the positions at which they stood.',
  source: 'StableHLO sort of one operand and its iota, stable, with a closed comparison; CHLO top_k for count',
  operands: ['operand'],
  attributes: { axis: 'integer', direction: sortDirections, count: 'dim', result: sortResults },
  traits: { exact: true },
  constraints: {
    sort_c1: 'axis is an axis of the operand',
    sort_c2: 'count is at least 0 and at most the size of the axis',
  },
  notes:
    'Equal elements stay in the order in which they stood, in both directions; -0 equals 0. NaN is greater than every ' +
    'number, so it comes last ascending and first descending, and equals NaN. false is below true. Positions are ' +
    'int32. Two sorts of one operand that differ in their result alone are one sort in a kernel.',
  infer: ([operand], { axis, count, result }) => {
    const { dtype, shape } = operand;
    requireAxes('sort_c1', [axis], shape.length);
    requireSizes('sort_c2', [count]);
    requireAtMost('sort_c2', count, shape[axis], () => `count ${count} of axis ${axis} of ${formatType(operand)}`);
    return [{ dtype: result === 'positions' ? 'int32' : dtype, shape: shape.with(axis, count) }];
  },
  evaluate: ([operand], { axis, direction, result }, { results: [{ dtype, shape }] }) => {
    const [from, to] = [rowMajorStrides(operand.shape), rowMajorStrides(shape)];
    const data = new Float64Array(elementCount(shape));
    const length = operand.shape[axis];
    forEachIndex(shape.with(axis, 1), (index) => {
      const [start, target] = [positionOf(index, from), positionOf(index, to)];
      const row = Array.from({ length }, (_, at) => elementAt(operand, start + at * from[axis]));
      const positions = sortedPositions(row, direction);
      for (let at = 0; at < shape[axis]; at++) {
        data[target + at * to[axis]] = result === 'positions' ? positions[at] : row[positions[at]];
      }
    });
    return [{ dtype, shape, data }];
  },
  sample: (random) => {
    const operand = random.literal(random.dtype(), random.shape({ minRank: 1, maxRank: 3 }));
    const axis = random.integer(0, operand.shape.length - 1);
    const count = random.boolean() ? operand.shape[axis] : random.integer(0, operand.shape[axis]);
    const [direction, result] = [random.pick(sortDirections), random.pick(sortResults)];
    return { operands: [operand], attributes: { axis, direction, count, result } };
  },
  work: ([operand]): Dim => mulDims(dimProduct(operand.shape), sortWork),
});
