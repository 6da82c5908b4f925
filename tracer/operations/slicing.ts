/**
 * Parts of tensors, and tensors out of parts: slices, padding, joining, splitting.
 *
 *     slice(x, [1, -1], null, [null, null, 2])    // Python x[1:-1, :, ::2]
 *     slice(x, 0)                                 // x[0]: a number takes one element and drops the axis
 *     concat([a, b], 1)                           // f32[2,5] of f32[2,3] and f32[2,2]
 */
import { addDims, type Dim, isStatic, mulDims, subDims } from '../../base/dim.ts';
import { type DType, promoteTypes } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { currentTrace, emit } from '../trace.ts';
import { type SliceRange, sliceAxes, windowNow } from './ranges.ts';
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
} from './support.ts';

export type { SliceRange } from './ranges.ts';

/**
 * The part of a tensor that ranges select, one for each of the first axes; the other axes are taken whole.
 * @param ranges `null`, a number, or `[start, stop, step]` with negative positions counted from the end, as Python's
 *   `x[start:stop:step]`
 * @throws KilnError `invalid_argument` for too many ranges, a number out of range or a step of 0; `unknown_size` where
 *   the bounds of a symbolic size do not tell
 */
export const slice = ((x: Tensor, ...ranges: readonly SliceRange[]): Tensor =>
  (currentTrace() ? undefined : windowNow(x, ranges)) ?? sliceByRanges(x, ...ranges)) as <D extends DType>(
  x: Tensor<D>,
  ...ranges: readonly SliceRange[]
) => Tensor<D>;

const sliceByRanges = operation<[x: Tensor, ...ranges: SliceRange[]], Tensor>('slice', (x, ...ranges) => {
  requireTensor('slice', x);
  return sliceAxes('slice', x, ranges as readonly SliceRange[]);
});

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

/** Methods of this family; each does what the function of its name does. */
export interface SlicingMethods<D extends DType> {
  slice(...ranges: readonly SliceRange[]): Tensor<D>;
  flip(axis?: Axes): Tensor<D>;
  roll(shift: number | readonly number[], axis?: Axes): Tensor<D>;
  pad(amounts: PadAmounts, options?: PadOptions): Tensor<D>;
  split(sections: number | readonly number[], axis?: number): Tensor<D>[];
  unstack(axis?: number): Tensor<D>[];
}
