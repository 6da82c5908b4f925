/**
 * Parts of tensors, and tensors out of parts: slices, padding, joining, splitting.
 *
 *     slice(x, [1, -1], null, [null, null, 2])    // Python x[1:-1, :, ::2]
 *     slice(x, 0)                                 // x[0]: a number takes one element and drops the axis
 *     concat([a, b], 1)                           // f32[2,5] of f32[2,3] and f32[2,2]
 */
import { addDims, type Dim, isAtMostDim, isStatic, mulDims, SymbolicDim, subDims } from '../../base/dim.ts';
import { type DType, promoteTypes } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import {
  type Axes,
  axesOf,
  axisOf,
  convert,
  describe,
  isAtMost,
  range,
  requireEqualSizes,
  requireInt,
  requireSize,
  requireStatic,
  requireTensor,
  type Shape,
  scalar,
  shapeWithout,
} from './support.ts';

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

function sliceAxes(op: string, x: Tensor, ranges: readonly SliceRange[]): Tensor {
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

/**
 * The part of a tensor that ranges select, one for each of the first axes; the other axes are taken whole.
 * @param ranges `null`, a number, or `[start, stop, step]` with negative positions counted from the end, as Python's
 *   `x[start:stop:step]`
 * @throws KilnError `invalid_argument` for too many ranges, a number out of range or a step of 0; `unknown_size` where
 *   the bounds of a symbolic size do not tell
 */
export const slice = operation<[x: Tensor, ...ranges: SliceRange[]], Tensor>('slice', (x, ...ranges) => {
  requireTensor('slice', x);
  return sliceAxes('slice', x, ranges as readonly SliceRange[]);
}) as <D extends DType>(x: Tensor<D>, ...ranges: readonly SliceRange[]) => Tensor<D>;

/** Elements in reverse order along axes; all unless given. @throws KilnError `invalid_argument` for a bad axis */
export const flip = operation<[x: Tensor, axis?: Axes], Tensor>('flip', (x, axis) => {
  requireTensor('flip', x);
  const axes = axesOf('flip', axis, x.ndim);
  return axes.length > 0 ? emit('reverse', [x], { axes }) : x;
}) as <D extends DType>(x: Tensor<D>, axis?: Axes) => Tensor<D>;

function rollAxis(x: Tensor, shift: number, axis: number): Tensor {
  const size = x.type.shape[axis];
  if (isStatic(size) && size === 0) return x;
  const steps = isStatic(size) ? shift - size * Math.floor(shift / size) : shift;
  if (steps === 0) return x;
  const cut = steps > 0 ? subDims(size, steps) : -steps;
  if (!isAtMost('roll', 0, cut) || !isAtMost('roll', cut, size)) requireStatic('roll', size, 'the rolled axis');
  const along = (start: Dim, stop: Dim): Tensor =>
    sliceAxes('roll', x, [...range(axis).map(() => null), [start, stop]]);
  return emit('concatenate', [along(cut, size), along(0, cut)], { axis });
}

/**
 * Elements moved along axes; what leaves at the end enters at the start.
 * @param shift how far, for each axis
 * @param axis which; the flattened tensor unless given
 * @throws KilnError `invalid_argument` for a bad axis or a shift that is not an integer
 */
export const roll = operation<[x: Tensor, shift: number | readonly number[], axis?: Axes], Tensor>(
  'roll',
  (x, shift, axis) => {
    requireTensor('roll', x);
    const shifts = [shift].flat();
    for (const steps of shifts) requireInt('roll', steps, 'the shift');
    if (axis === undefined || axis === null) {
      const flat = emit('reshape', [x], { shape: [x.type.shape.reduce<Dim>(mulDims, 1)] });
      const moved = rollAxis(
        flat,
        shifts.reduce((a, b) => a + b, 0),
        0,
      );
      return emit('reshape', [moved], { shape: x.type.shape });
    }
    const axes = [axis].flat().map((i) => axisOf('roll', i, x.ndim));
    if (shifts.length !== 1 && shifts.length !== axes.length) {
      throw new KilnError('invalid_argument', 'roll: one shift for all axes or one for each', {
        given: `${shifts.length} shifts, ${axes.length} axes`,
      });
    }
    return axes.reduce((moved, i, at) => rollAxis(moved, shifts[at] ?? shifts[0], i), x);
  },
) as <D extends DType>(x: Tensor<D>, shift: number | readonly number[], axis?: Axes) => Tensor<D>;

// Padding.

/** The same on all sides, `[before, after]` on all axes, or one pair for each axis. Negative amounts crop. */
export type PadAmounts = number | readonly [number, number] | readonly (readonly [number, number])[];

export interface PadOptions {
  /** What is put around the elements: 0 unless given. */
  readonly value?: number | Tensor;
}

/** One `[before, after]` for each of `rank` axes. */
function padPairs(op: string, amounts: PadAmounts, rank: number): readonly (readonly [number, number])[] {
  const pairs = Array.isArray(amounts) && amounts.some(Array.isArray) ? amounts : undefined;
  const single = pairs?.length === 1 ? pairs[0] : amounts;
  const list =
    pairs && pairs.length !== 1
      ? pairs
      : range(rank).map(() => (typeof single === 'number' ? [single, single] : single));
  const fits =
    list.length === rank &&
    list.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger));
  if (fits) return list as readonly (readonly [number, number])[];
  throw new KilnError('invalid_argument', `${op}: padding does not fit the tensor`, {
    given: `${JSON.stringify(amounts)} for ${rank} axes`,
    expected: 'an integer, [before, after], or one such pair for each axis',
  });
}

/**
 * Elements put around a tensor.
 * @param amounts how many, on all sides, or `[before, after]` for all axes or for each; negative amounts crop
 * @throws KilnError `invalid_argument` for amounts that do not fit, `invalid_size` when more is cropped than there is
 */
export const pad = operation<[x: Tensor, amounts: PadAmounts, options?: PadOptions], Tensor>(
  'pad',
  (x, amounts, { value = 0 }: PadOptions = {}) => {
    requireTensor('pad', x);
    const pairs = padPairs('pad', amounts, x.ndim);
    const outside = typeof value === 'number' ? scalar(x.dtype, value) : convert(value, x.dtype);
    pairs.forEach(([before, after], axis) => {
      const size = addDims(x.type.shape[axis], before + after);
      if (isStatic(size)) requireSize('pad', size, `${describe(x)} with padding ${JSON.stringify(pairs)}`);
    });
    return emit('pad', [x, outside], {
      low: pairs.map(([before]) => before),
      high: pairs.map(([, after]) => after),
      interior: pairs.map(() => 0),
    });
  },
) as <D extends DType>(x: Tensor<D>, amounts: PadAmounts, options?: PadOptions) => Tensor<D>;

// Joining and splitting.

function requireList(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new KilnError('invalid_argument', `${op}: an array of at least one tensor is needed`, {
      given: describe(tensors),
    });
  }
  for (const x of tensors) requireTensor(op, x, 'an element of the array');
}

/** All of one dtype, and of one shape but for one axis. */
function requireAlike(op: string, tensors: readonly Tensor[], axis: number | undefined): readonly Tensor[] {
  const given = tensors.map(describe).join(' and ');
  const [first] = tensors;
  for (const { ndim, type } of tensors) {
    if (ndim !== first.ndim) throw new KilnError('shape_mismatch', `${op}: ranks differ`, { given });
    type.shape.forEach((size, i) => {
      if (i !== axis) requireEqualSizes(op, size, first.type.shape[i], 'sizes differ on another axis', given);
    });
  }
  const dtype = tensors.map((x) => x.dtype).reduce(promoteTypes);
  return tensors.map((x) => convert(x, dtype));
}

type Join = <D extends DType>(tensors: readonly Tensor<D>[], axis?: number) => Tensor<D>;

/**
 * Tensors one after the other along an axis; dtypes promote.
 * @param axis the axis they are joined on, 0 unless given
 * @throws KilnError `shape_mismatch` when ranks or other sizes differ, `invalid_argument` for no tensors or a bad axis
 */
export const concat = operation<[tensors: readonly Tensor[], axis?: number], Tensor>('concat', (tensors, axis = 0) => {
  requireList('concat', tensors);
  const at = axisOf('concat', axis, tensors[0].ndim);
  const operands = requireAlike('concat', tensors, at);
  return operands.length === 1 ? operands[0] : emit('concatenate', operands, { axis: at });
}) as Join;

const insertAxis = (shape: Shape, axis: number, size: Dim): Shape => [
  ...shape.slice(0, axis),
  size,
  ...shape.slice(axis),
];

/**
 * Tensors of one shape along a new axis; dtypes promote.
 * @param axis place of the new axis in the result, 0 unless given
 * @throws KilnError `shape_mismatch` when shapes differ, `invalid_argument` for no tensors or a bad axis
 */
export const stack = operation<[tensors: readonly Tensor[], axis?: number], Tensor>('stack', (tensors, axis = 0) => {
  requireList('stack', tensors);
  const at = axisOf('stack', axis, tensors[0].ndim + 1);
  const layers = requireAlike('stack', tensors, undefined).map((x) =>
    emit('reshape', [x], { shape: insertAxis(x.type.shape, at, 1) }),
  );
  return layers.length === 1 ? layers[0] : emit('concatenate', layers, { axis: at });
}) as Join;

type Split = <D extends DType>(x: Tensor<D>, sections: number | readonly number[], axis?: number) => Tensor<D>[];

/**
 * A tensor cut along an axis, as NumPy's `split`.
 * @param sections the number of equal parts, or the positions of the cuts
 * @throws KilnError `shape_mismatch` when equal parts do not come out even, `invalid_size`, `invalid_argument`,
 *   `unknown_size` for a symbolic axis
 */
export const split = operation<[x: Tensor, sections: number | readonly number[], axis?: number], Tensor[]>(
  'split',
  (x, sections, axis = 0) => {
    requireTensor('split', x);
    const at = axisOf('split', axis, x.ndim);
    const before = range(at).map(() => null);
    if (typeof sections !== 'number') {
      const cuts = [0, ...sections, x.type.shape[at]];
      return range(cuts.length - 1).map((i) => sliceAxes('split', x, [...before, [cuts[i], cuts[i + 1]]]));
    }
    requireSize('split', sections, String(sections), 1);
    const size = requireStatic('split', x.type.shape[at], 'the axis that is cut');
    if (size % sections !== 0) {
      throw new KilnError('shape_mismatch', 'split: parts do not come out even', {
        given: `${describe(x)}, axis ${at}, ${sections} parts`,
        hint: 'give the positions of the cuts instead',
      });
    }
    const length = size / sections;
    return range(sections).map((i) => sliceAxes('split', x, [...before, [i * length, (i + 1) * length]]));
  },
) as Split;

/**
 * The slices along an axis as an array of tensors without that axis: the inverse of `stack`.
 * @throws KilnError `invalid_argument` for a bad axis, `unknown_size` for a symbolic one
 */
export const unstack = operation<[x: Tensor, axis?: number], Tensor[]>('unstack', (x, axis = 0) => {
  requireTensor('unstack', x);
  const at = axisOf('unstack', axis, x.ndim);
  const size = requireStatic('unstack', x.type.shape[at], 'the axis');
  return range(size).map((i) => sliceAxes('unstack', x, [...range(at).map(() => null), i]));
}) as <D extends DType>(x: Tensor<D>, axis?: number) => Tensor<D>[];

/** Running combinations by doubling: after step s each element covers the 2^s before it. */
function runningAxis(x: Tensor, opcode: 'add' | 'multiply', axis: number, size: number): Tensor {
  const identity = scalar(x.dtype, opcode === 'add' ? 0 : 1);
  const only = (amount: number): number[] => range(x.ndim).map((i) => (i === axis ? amount : 0));
  let running = x;
  for (let distance = 1; distance < size; distance *= 2) {
    const shifted = emit('pad', [running, identity], { low: only(distance), high: only(-distance), interior: only(0) });
    running = emit(opcode, [running, shifted], {});
  }
  return running;
}

const cumulative = (name: string, opcode: 'add' | 'multiply') =>
  operation<[x: Tensor, axis?: number], Tensor>(name, (operand, axis) => {
    requireTensor(name, operand);
    const x = operand.dtype === 'bool' ? convert(operand, 'int32') : operand;
    if (axis === undefined && x.ndim !== 1) {
      throw new KilnError('invalid_argument', `${name}: which axis?`, { given: describe(x), hint: 'pass the axis' });
    }
    const at = axisOf(name, axis ?? 0, x.ndim);
    return runningAxis(x, opcode, at, requireStatic(name, x.type.shape[at], 'the axis'));
  }) as <D extends DType>(x: Tensor<D>, axis?: number) => Tensor<D extends 'bool' ? 'int32' : D>;

/**
 * Sums of the elements up to and including each, along an axis (which only a vector may leave out).
 * @throws KilnError `invalid_argument` for a bad axis, `unknown_size` for a symbolic one
 */
export const cumulativeSum = cumulative('cumulativeSum', 'add');

/** Products of the elements up to and including each, as `cumulativeSum`. */
export const cumulativeProd = cumulative('cumulativeProd', 'multiply');

/** Methods of this family; each does what the function of its name does. */
export interface SlicingMethods<D extends DType> {
  slice(...ranges: readonly SliceRange[]): Tensor<D>;
  flip(axis?: Axes): Tensor<D>;
  roll(shift: number | readonly number[], axis?: Axes): Tensor<D>;
  pad(amounts: PadAmounts, options?: PadOptions): Tensor<D>;
  split(sections: number | readonly number[], axis?: number): Tensor<D>[];
  unstack(axis?: number): Tensor<D>[];
  cumulativeSum(axis?: number): Tensor<D extends 'bool' ? 'int32' : D>;
  cumulativeProd(axis?: number): Tensor<D extends 'bool' ? 'int32' : D>;
}
