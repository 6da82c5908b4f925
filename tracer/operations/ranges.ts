/**
 * Ranges along axes, as Python's slices have them, and the two ways to take what they select: by the primitive `slice`,
 * or as a window whose place is data.
 *
 *     axisSlice('slice', [1, -1], 8)       // from 1 to 7, every element
 *     axisSlice('slice', [null, null, -2], 8)      // reversed, then from 0 to 8, every second
 */
import { addDims, type Dim, isAtMostDim, isStatic, SymbolicDim, subDims } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { operation, type TensorLike } from '../operation.ts';
import { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { describe, isAtMost, range, requireInt, shapeWithout } from './support.ts';

/** A bound of a slice: counted from the end when negative, left open when null. */
type Bound = Dim | null | undefined;

/**
 * What a slice takes along one axis: everything (null), one element (a number; the axis goes), or the elements from
 * `start` up to but not including `stop`, every `step`-th. Bounds out of range are moved to the ends, as in Python.
 */
export type SliceRange = null | undefined | number | readonly [start?: Bound, stop?: Bound, step?: number];

interface AxisSlice {
  readonly start: Dim;
  readonly limit: Dim;
  readonly stride: number;
  readonly reversed: boolean;
  readonly dropped: boolean;
}

function indexOf(op: string, index: number, size: Dim): Dim {
  requireInt(op, index, 'an index');
  const position = index < 0 ? addDims(size, index) : index;
  const inside = isAtMost(op, 0, position) && isAtMost(op, addDims(position, 1), size);
  if (inside) return position;
  throw new KilnError('invalid_argument', `${op}: index out of range`, {
    given: `index ${index} on an axis of size ${size}`,
    expected: isStatic(size) && size > 0 ? `an integer from ${-size} to ${size - 1}` : 'an axis that has elements',
  });
}

/** A bound as a position in `[low, high]`. */
function boundOf(op: string, bound: Dim, size: Dim, low: number, high: Dim): Dim {
  if (!(bound instanceof SymbolicDim)) requireInt(op, bound, 'a bound');
  const fromEnd = isStatic(bound) && bound < 0;
  const position = fromEnd ? addDims(size, bound) : bound;
  if (!isAtMost(op, low, position)) return low;
  return isAtMost(op, position, high) ? position : high;
}

function axisSlice(op: string, wanted: SliceRange, size: Dim): AxisSlice {
  const whole: AxisSlice = { start: 0, limit: size, stride: 1, reversed: false, dropped: false };
  if (wanted === null || wanted === undefined) return whole;
  if (typeof wanted === 'number') {
    const start = indexOf(op, wanted, size);
    return { ...whole, start, limit: addDims(start, 1), dropped: true };
  }
  if (!Array.isArray(wanted) || wanted.length > 3) {
    throw new KilnError('invalid_argument', `${op}: not a range`, {
      given: describe(wanted),
      expected: 'null, a number, or [start, stop, step]',
    });
  }
  const [start, stop, step = 1] = wanted as readonly [Bound?, Bound?, number?];
  requireInt(op, step, 'the step');
  if (step === 0) throw new KilnError('invalid_argument', `${op}: the step is 0`, { given: `step ${step}` });
  const limited = (from: Dim, to: Dim, reversed: boolean): AxisSlice => {
    const empty = isAtMostDim(from, to) !== 'always' && isAtMost(op, to, from);
    return { start: empty ? 0 : from, limit: empty ? 0 : to, stride: Math.abs(step), reversed, dropped: false };
  };
  if (step > 0) {
    const to = boundOf(op, stop ?? size, size, 0, size);
    const from = boundOf(op, start ?? 0, size, 0, size);
    return limited(from, to, false);
  }
  // Backwards: positions are counted from the end of the reversed axis.
  const last = subDims(size, 1);
  const mirrored = (bound: Bound, open: Dim): Dim =>
    bound === null || bound === undefined ? open : subDims(last, boundOf(op, bound, size, -1, last));
  return limited(mirrored(start, 0), mirrored(stop, size), true);
}

/** The part that ranges select, inside an operation. */
export function sliceAxes(op: string, x: Tensor, ranges: readonly SliceRange[]): Tensor {
  const { shape } = x.type;
  if (ranges.length > shape.length) {
    throw new KilnError('invalid_argument', `${op}: more ranges than axes`, {
      given: `${ranges.length} ranges for ${describe(x)}`,
    });
  }
  const parts = shape.map((size, axis) => axisSlice(op, ranges[axis], size));
  const reversed = range(shape.length).filter((axis) => parts[axis].reversed);
  const dropped = range(shape.length).filter((axis) => parts[axis].dropped);
  const forward = reversed.length > 0 ? emit('reverse', [x], { axes: reversed }) : x;
  const isWhole = parts.every(({ start, limit, stride }, axis) => start === 0 && limit === shape[axis] && stride === 1);
  const part = isWhole
    ? forward
    : emit('slice', [forward], {
        start: parts.map(({ start }) => start),
        limit: parts.map(({ limit }) => limit),
        strides: parts.map(({ stride }) => stride),
      });
  return dropped.length > 0 ? emit('reshape', [part], { shape: shapeWithout(part.type.shape, dropped) }) : part;
}

/** Axes a window can be moved along with its place as data. */
const windowRank = 6;

/** The part of fixed sizes at starts that are data, without some of its axes of size 1. */
const windowAt = operation<
  [x: Tensor, sizes: readonly number[], dropped: readonly number[], ...starts: TensorLike[]],
  Tensor
>(
  'window',
  (x, sizes, dropped, ...starts) => {
    const part = emit('dynamic_slice', [x, ...(starts as readonly Tensor[])], { sizes });
    return dropped.length > 0 ? emit('reshape', [part], { shape: shapeWithout(sizes, dropped) }) : part;
  },
  { operands: range(windowRank).map((i) => i + 3), numberDType: () => 'int32' },
);

/**
 * Outside traces: a slice without steps as a window whose place is data, so that walking over a tensor batch by batch
 * needs one program and not one for each batch. `undefined` when it is no such slice, or an error that the operation
 * itself reports.
 */
export function windowNow(x: Tensor, ranges: readonly SliceRange[]): Tensor | undefined {
  if (!(x instanceof Tensor) || x.ndim === 0 || x.ndim > windowRank || ranges.length > x.ndim) return undefined;
  try {
    const parts = x.shape.map((size, axis) => axisSlice('slice', ranges[axis], size));
    const isWhole = parts.every(({ limit }, axis) => limit === x.shape[axis] && parts[axis].start === 0);
    if (isWhole || parts.some(({ stride, reversed }) => stride !== 1 || reversed)) return undefined;
    const starts = parts.map(({ start }) => Number(start));
    const sizes = parts.map(({ limit }, axis) => Number(limit) - starts[axis]);
    const dropped = range(x.ndim).filter((axis) => parts[axis].dropped);
    return windowAt(x, sizes, dropped, ...starts);
  } catch (error) {
    if (error instanceof KilnError) return undefined;
    throw error;
  }
}
