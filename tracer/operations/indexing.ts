/**
 * Indexing with data: `take` and its kin read elements at positions that a tensor holds, `indexAdd` and `scatterAdd`
 * add there, dynamic slices move a window. Negative positions count from the end. No position traps: a position out of
 * range reads NaN (for integers the least or, unsigned, the greatest value) or is clamped, and writes nothing.
 *
 *     take(table, tokens, 0)                  // f32[2,16,32] of f32[128,32] and i32[2,16]
 *     at(x, step)                             // x[step], step: i32[]
 */
import { type Dim, isAtMostDim } from '../../base/dim.ts';
import { type DType, dtypeInfo, isInteger } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import { Tensor } from '../tensor.ts';
import { currentTrace, emit } from '../trace.ts';
import { compare, plain, plus, select } from './primitives.ts';
import { type SliceRange, sliceAxes, windowNow } from './ranges.ts';
import {
  axisOf,
  broadcastShapes,
  constant,
  convert,
  describe,
  dtypeMismatch,
  expandAt,
  expandTo,
  range,
  requireDType,
  requireEqualSizes,
  requireInt,
  requireInteger,
  requireShape,
  requireSize,
  requireTensor,
  type Shape,
  scalar,
  sizeScalar,
  toPositions,
} from './support.ts';

/** What a position out of range reads: the fill value of the dtype, or the nearest element. */
export interface TakeOptions {
  readonly mode?: 'fill' | 'clamp';
}

/** The size of an axis as a tensor like `positions`. */
const sizeLike = (positions: Tensor, size: Dim): Tensor =>
  expandTo(sizeScalar(size, positions.dtype), positions.type.shape);

const isUnsigned = (dtype: DType): boolean => dtypeInfo(dtype).kind === 'unsigned';

/** Positions with negative ones counted from the end. */
function wrapped(given: Tensor, size: Dim): Tensor {
  const positions = toPositions(given);
  if (isUnsigned(positions.dtype)) return positions;
  const fromEnd = plus(positions, sizeLike(positions, size));
  return select(compare(positions, 'LT', 0), fromEnd, positions);
}

function isInRange(positions: Tensor, size: Dim): Tensor {
  const below = compare(positions, 'LT', sizeLike(positions, size));
  if (isUnsigned(positions.dtype)) return below;
  return plain('and', compare(positions, 'GE', 0), below);
}

/** What JAX reads out of range: NaN, the least signed, the greatest unsigned value, true. */
function fillValue(dtype: DType): number {
  const { kind, bytes } = dtypeInfo(dtype);
  if (kind === 'float') return Number.NaN;
  if (kind === 'bool') return 1;
  return kind === 'signed' ? -(2 ** (bytes * 8 - 1)) : 2 ** (bytes * 8) - 1;
}

/** `read` where `inRange`, whose axes lie at `axes` of the result; the fill value elsewhere. */
function filled(read: Tensor, inRange: Tensor, axes: readonly number[]): Tensor {
  const { shape } = read.type;
  return select(expandAt(inRange, shape, axes), read, constant(read.dtype, shape, fillValue(read.dtype)));
}

function requireMode(op: string, mode: unknown): void {
  if (mode === 'fill' || mode === 'clamp') return;
  throw new KilnError('invalid_argument', `${op}: no such mode`, {
    given: String(mode),
    expected: "'fill' or 'clamp'",
  });
}

/** @throws KilnError `shape_mismatch` when there is nothing to read from. */
function requireNonEmpty(op: string, x: Tensor, axis: number): void {
  if (isAtMostDim(1, x.type.shape[axis]) !== 'never') return;
  throw new KilnError('shape_mismatch', `${op}: the axis has no elements`, { given: `${describe(x)}, axis ${axis}` });
}

/**
 * Elements at positions along an axis. The shape of `indices` takes the place of the axis:
 * `[...before, ...indices.shape, ...after]`.
 * @param indices integers; negative ones count from the end
 * @param axis 0 unless given
 * @param options.mode what a position out of range reads: `'fill'` (default) NaN, for integers the least or, unsigned,
 *   the greatest value; `'clamp'` the nearest element
 * @throws KilnError `dtype_mismatch` for indices that are not integers, `shape_mismatch` for an empty axis,
 *   `invalid_argument` for a bad axis
 */
export const take = operation<[x: Tensor, indices: Tensor, axis?: number, options?: TakeOptions], Tensor>(
  'take',
  (x, indices, axis = 0, { mode = 'fill' }: TakeOptions = {}) => {
    requireTensor('take', x);
    requireInteger('take', 'indices', indices);
    requireMode('take', mode);
    const at = axisOf('take', axis, x.ndim);
    requireNonEmpty('take', x, at);
    const { shape } = x.type;
    const positions = wrapped(indices, shape[at]);
    const places = range(indices.ndim).map((i) => i + at);
    const read = emit('gather', [x, positions], {
      offset_axes: range(x.ndim + indices.ndim - 1).filter((i) => !places.includes(i)),
      collapsed_axes: [at],
      start_index_map: [at],
      index_vector_axis: indices.ndim,
      slice_sizes: shape.map((size, i) => (i === at ? 1 : size)),
      mode: 'clamp',
    });
    return mode === 'clamp' ? read : filled(read, isInRange(positions, shape[at]), places);
  },
) as <D extends DType>(x: Tensor<D>, indices: Tensor, axis?: number, options?: TakeOptions) => Tensor<D>;

/** Index vectors that are `positions` along one axis and the place itself along the others: `[...shape, rank]`. */
function indexVectors(positions: Tensor, axis: number): Tensor {
  const { shape } = positions.type;
  const components = shape.map((_, i) => {
    const component = i === axis ? positions : emit('iota', [], { dtype: positions.dtype, shape, axis: i });
    return emit('reshape', [component], { shape: [...shape, 1] });
  });
  return components.length === 1 ? components[0] : emit('concatenate', components, { axis: shape.length });
}

function requireSameRank(op: string, x: Tensor, indices: Tensor): void {
  if (x.ndim === indices.ndim && x.ndim > 0) return;
  throw new KilnError('shape_mismatch', `${op}: indices have the rank of the tensor, at least 1`, {
    given: `${describe(x)} and ${describe(indices)}`,
  });
}

/**
 * Elements at positions that differ from place to place: along `axis` the result at `i` is `x` at `indices[i]`, the
 * other axes go together (and broadcast). Of the shape of `indices`.
 * @param axis the last unless given
 * @param options.mode as in `take`
 * @throws KilnError `dtype_mismatch`, `shape_mismatch`, `invalid_argument`
 */
export const takeAlongAxis = operation<[x: Tensor, indices: Tensor, axis?: number, options?: TakeOptions], Tensor>(
  'takeAlongAxis',
  (x, indices, axis = -1, { mode = 'fill' }: TakeOptions = {}) => {
    requireTensor('takeAlongAxis', x);
    requireInteger('takeAlongAxis', 'indices', indices);
    requireMode('takeAlongAxis', mode);
    requireSameRank('takeAlongAxis', x, indices);
    const at = axisOf('takeAlongAxis', axis, x.ndim);
    requireNonEmpty('takeAlongAxis', x, at);
    const without = (t: Tensor): Shape => t.type.shape.map((size, i) => (i === at ? 1 : size));
    const common = broadcastShapes('takeAlongAxis', [without(x), without(indices)]);
    const withSize = (t: Tensor): Tensor =>
      expandTo(
        t,
        common.map((size, i) => (i === at ? t.type.shape[at] : size)),
      );
    const [operand, positions] = [withSize(x), wrapped(withSize(indices), x.type.shape[at])];
    const rank = x.ndim;
    const read = emit('gather', [operand, indexVectors(positions, at)], {
      offset_axes: [],
      collapsed_axes: range(rank),
      start_index_map: range(rank),
      index_vector_axis: rank,
      slice_sizes: range(rank).map(() => 1),
      mode: 'clamp',
    });
    return mode === 'clamp' ? read : filled(read, isInRange(positions, x.type.shape[at]), range(rank));
  },
) as <D extends DType>(x: Tensor<D>, indices: Tensor, axis?: number, options?: TakeOptions) => Tensor<D>;

/**
 * `x` with updates added at positions along an axis; equal positions add up, positions out of range are dropped.
 * @param updates of shape `[...before, ...indices.shape, ...after]`, as `take` gives it, or one that broadcasts to it
 * @param axis 0 unless given
 * @throws KilnError `dtype_mismatch`, `shape_mismatch`, `invalid_argument`
 */
export const indexAdd = operation<[x: Tensor, indices: Tensor, updates: Tensor, axis?: number], Tensor>(
  'indexAdd',
  (x, indices, updates, axis = 0) => {
    requireTensor('indexAdd', x);
    requireInteger('indexAdd', 'indices', indices);
    requireTensor('indexAdd', updates, 'updates');
    const at = axisOf('indexAdd', axis, x.ndim);
    const { shape } = x.type;
    const wanted = [...shape.slice(0, at), ...indices.type.shape, ...shape.slice(at + 1)];
    broadcastsTo('indexAdd', updates, wanted);
    if (shape[at] === 0) return x;
    const places = range(indices.ndim).map((i) => i + at);
    return emit('scatter', [x, wrapped(indices, shape[at]), expandTo(convertUpdates('indexAdd', updates, x), wanted)], {
      update_window_axes: range(wanted.length).filter((i) => !places.includes(i)),
      inserted_window_axes: [at],
      scatter_axes_to_operand_axes: [at],
      index_vector_axis: indices.ndim,
      kind: 'add',
    });
  },
) as <D extends DType>(x: Tensor<D>, indices: Tensor, updates: Tensor, axis?: number) => Tensor<D>;

function broadcastsTo(op: string, x: Tensor, shape: Shape): void {
  const result = broadcastShapes(op, [x.type.shape, shape]);
  const given = `updates ${describe(x)} for [${shape.join(',')}]`;
  if (result.length !== shape.length)
    throw new KilnError('shape_mismatch', `${op}: updates have too many axes`, { given });
  result.forEach((size, i) => {
    requireEqualSizes(op, size, shape[i], 'updates do not fit', given);
  });
}

function convertUpdates(op: string, updates: Tensor, x: Tensor): Tensor {
  if (x.dtype === 'bool') throw dtypeMismatch(op, describe(x), 'a number dtype');
  if (isInteger(x.dtype) && !isInteger(updates.dtype) && updates.dtype !== 'bool') {
    throw dtypeMismatch(op, `updates ${describe(updates)} into ${describe(x)}`, 'updates that fit the dtype');
  }
  return convert(updates, x.dtype);
}

/**
 * `x` with updates added at positions that differ from place to place, the inverse of `takeAlongAxis` (torch
 * `scatter_add`): along `axis`, `updates[i]` is added at `indices[i]`. Positions out of range are dropped.
 * @param updates of the shape of `indices`, or one that broadcasts to it
 * @param axis the last unless given
 * @throws KilnError `dtype_mismatch`; `shape_mismatch` also when `indices` is larger than `x` on another axis
 */
export const scatterAdd = operation<[x: Tensor, indices: Tensor, updates: Tensor, axis?: number], Tensor>(
  'scatterAdd',
  (x, indices, updates, axis = -1) => {
    requireTensor('scatterAdd', x);
    requireInteger('scatterAdd', 'indices', indices);
    requireTensor('scatterAdd', updates, 'updates');
    requireSameRank('scatterAdd', x, indices);
    const at = axisOf('scatterAdd', axis, x.ndim);
    const { shape } = indices.type;
    shape.forEach((size, i) => {
      if (i === at || isAtMostDim(size, x.type.shape[i]) !== 'never') return;
      throw new KilnError('shape_mismatch', 'scatterAdd: indices are larger than the tensor', {
        given: `${describe(indices)} for ${describe(x)}, axis ${i}`,
      });
    });
    broadcastsTo('scatterAdd', updates, shape);
    if (x.type.shape.includes(0)) return x;
    const positions = wrapped(indices, x.type.shape[at]);
    return emit(
      'scatter',
      [x, indexVectors(positions, at), expandTo(convertUpdates('scatterAdd', updates, x), shape)],
      {
        update_window_axes: [],
        inserted_window_axes: range(x.ndim),
        scatter_axes_to_operand_axes: range(x.ndim),
        index_vector_axis: x.ndim,
        kind: 'add',
      },
    );
  },
) as <D extends DType>(x: Tensor<D>, indices: Tensor, updates: Tensor, axis?: number) => Tensor<D>;

// Dynamic slices.

/** A position that may depend on data. */
export type Position = number | Tensor;

/** Positions as int32 scalars, negative ones counted from the end. */
function startScalars(op: string, starts: readonly Position[], x: Tensor): readonly Tensor[] {
  if (!Array.isArray(starts) || starts.length !== x.ndim) {
    throw new KilnError('invalid_argument', `${op}: one start for each axis`, {
      given: `${Array.isArray(starts) ? starts.length : describe(starts)} for ${describe(x)}`,
    });
  }
  return starts.map((start, axis) => {
    if (typeof start === 'number') {
      requireInt(op, start, 'a start');
      if (start >= 0) return scalar('int32', start);
    } else {
      requireInteger(op, 'a start', start);
      if (start.ndim !== 0)
        throw new KilnError('shape_mismatch', `${op}: a start is a 0-d tensor`, { given: describe(start) });
    }
    return wrapped(typeof start === 'number' ? scalar('int32', start) : convert(start, 'int32'), x.type.shape[axis]);
  });
}

/**
 * The part of fixed size that starts where data says; a start is moved so that the part fits.
 * @param starts for each axis a number or an integer 0-d tensor; negative ones count from the end
 * @param sizes of the part
 * @throws KilnError `shape_mismatch` when a size is larger than the axis, `invalid_argument`, `invalid_size`
 */
export const dynamicSlice = operation<[x: Tensor, starts: readonly Position[], sizes: Shape], Tensor>(
  'dynamicSlice',
  (x, starts, sizes) => {
    requireTensor('dynamicSlice', x);
    requireShape('dynamicSlice', sizes);
    return emit('dynamic_slice', [x, ...startScalars('dynamicSlice', starts, x)], { sizes });
  },
) as <D extends DType>(x: Tensor<D>, starts: readonly Position[], sizes: Shape) => Tensor<D>;

/**
 * `x` with a part replaced by `update`, where data says; a start is moved so that the update fits.
 * @param starts as in `dynamicSlice`
 * @throws KilnError `shape_mismatch` when the update is larger than `x`, `dtype_mismatch`, `invalid_argument`
 */
export const dynamicUpdateSlice = operation<[x: Tensor, update: Tensor, starts: readonly Position[]], Tensor>(
  'dynamicUpdateSlice',
  (x, update, starts) => {
    requireTensor('dynamicUpdateSlice', x);
    requireTensor('dynamicUpdateSlice', update, 'the update');
    return emit('dynamic_update_slice', [x, update, ...startScalars('dynamicUpdateSlice', starts, x)], {});
  },
) as <D extends DType>(x: Tensor<D>, update: Tensor, starts: readonly Position[]) => Tensor<D>;

/**
 * One element, or the part that is left, at positions along the first axes: `x[i, j]`. Numbers are checked; a position
 * that is a 0-d tensor is moved inside when it is out of range.
 * @throws KilnError `invalid_argument` for a number out of range or too many positions, `dtype_mismatch`
 */
export const at = ((x: Tensor, ...positions: readonly Position[]): Tensor => {
  const fixed = positions.filter((position) => typeof position === 'number');
  const window = currentTrace() || fixed.length < positions.length ? undefined : windowNow(x, fixed);
  return window ?? atPositions(x, ...positions);
}) as <D extends DType>(x: Tensor<D>, ...positions: readonly Position[]) => Tensor<D>;

const atPositions = operation<[x: Tensor, ...positions: Position[]], Tensor>('at', (x, ...given) => {
  const positions = given as readonly Position[];
  requireTensor('at', x);
  if (positions.length > x.ndim) {
    throw new KilnError('invalid_argument', 'at: more positions than axes', {
      given: `${positions.length} positions for ${describe(x)}`,
    });
  }
  const fixed = positions.map((position): SliceRange => (position instanceof Tensor ? null : position));
  const part = sliceAxes('at', x, fixed);
  const dynamic = positions.filter((position) => position instanceof Tensor);
  if (dynamic.length === 0) return part;
  // The positions that are tensors lie on the first axes of what the fixed ones leave.
  const { shape } = part.type;
  const starts = range(shape.length).map((axis) => dynamic[axis] ?? 0);
  const sizes = shape.map((size, axis) => (axis < dynamic.length ? 1 : size));
  const element = emit('dynamic_slice', [part, ...startScalars('at', starts, part)], { sizes });
  return emit('reshape', [element], { shape: shape.slice(dynamic.length) });
});

export interface OneHotOptions<D extends DType = DType> {
  /** Place of the new axis in the result; the last unless given. */
  readonly axis?: number;
  /** float32 unless given. */
  readonly dtype?: D;
}

/**
 * 1 at the position that each index names along a new axis, 0 elsewhere; all 0 for an index out of range.
 * @param numClasses size of the new axis
 * @throws KilnError `dtype_mismatch` for indices that are not integers, `invalid_size`, `invalid_argument`
 */
export const oneHot = operation<[indices: Tensor, numClasses: number, options?: OneHotOptions], Tensor>(
  'oneHot',
  (indices, numClasses, { axis = -1, dtype = 'float32' }: OneHotOptions = {}) => {
    requireInteger('oneHot', 'indices', indices);
    requireSize('oneHot', numClasses);
    requireDType('oneHot', dtype);
    const place = axisOf('oneHot', axis, indices.ndim + 1);
    const shape = [...indices.type.shape];
    shape.splice(place, 0, numClasses);
    const others = range(shape.length).filter((i) => i !== place);
    const positions = toPositions(indices);
    const classes = emit('iota', [], { dtype: positions.dtype, shape, axis: place });
    return convert(compare(expandAt(positions, shape, others), 'EQ', classes), dtype);
  },
) as <D extends DType = 'float32'>(indices: Tensor, numClasses: number, options?: OneHotOptions<D>) => Tensor<D>;

/** Methods of this family; each does what the function of its name does. */
export interface IndexingMethods<D extends DType> {
  take(indices: Tensor, axis?: number, options?: TakeOptions): Tensor<D>;
  takeAlongAxis(indices: Tensor, axis?: number, options?: TakeOptions): Tensor<D>;
  indexAdd(indices: Tensor, updates: Tensor, axis?: number): Tensor<D>;
  scatterAdd(indices: Tensor, updates: Tensor, axis?: number): Tensor<D>;
  dynamicSlice(starts: readonly Position[], sizes: Shape): Tensor<D>;
  dynamicUpdateSlice(update: Tensor, starts: readonly Position[]): Tensor<D>;
  at(...positions: readonly Position[]): Tensor<D>;
  oneHot<E extends DType = 'float32'>(numClasses: number, options?: OneHotOptions<E>): Tensor<E>;
}
