/**
 * Order: sorting along an axis, positions of the sorted elements, the greatest few, and order statistics. All sorts are
 * stable. NaN is greater than every number, as in NumPy, JAX and PyTorch: last ascending, first descending.
 *
 *     sort(tensor([3, 1, 2]))                          // f32[3]: 1, 2, 3
 *     topk(logits, 5)                                  // [values, positions] of the five greatest of each row
 *     quantile(x, [0.25, 0.75], 0)
 */
import { type Dim, dimProduct, isAtMostDim, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { SortDirection, SortResult } from '../../ir/opcodes.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, minus, plain, plus, select, times } from './primitives.ts';
import {
  axisOf,
  constantLike,
  convert,
  describe,
  expandTo,
  type Floating,
  isAtMost,
  range,
  requireSize,
  requireTensor,
  scalar,
  shapeWithout,
  sizeScalar,
  toFloat,
} from './support.ts';

export interface SortOptions {
  /** From the greatest to the least. */
  readonly descending?: boolean;
  /** Whether equal elements keep their order: they always do. */
  readonly stable?: boolean;
}

export interface TopkOptions {
  /** The greatest elements, unless this is false: then the least. */
  readonly largest?: boolean;
}

export interface QuantileOptions {
  /** Keep the reduced axis with size 1. */
  readonly keepdims?: boolean;
}

const emitSort = (x: Tensor, axis: number, direction: SortDirection, count: Dim, result: SortResult): Tensor =>
  emit('sort', [x], { axis, direction, count, result });

const sorted = (name: string, result: SortResult) =>
  operation<[x: Tensor, axis?: number, options?: SortOptions], Tensor>(name, (x, axis = -1, options = {}) => {
    requireTensor(name, x);
    const at = axisOf(name, axis, x.ndim);
    return emitSort(x, at, options.descending ? 'descending' : 'ascending', x.type.shape[at], result);
  });

/**
 * The elements in order along an axis, of the shape and dtype of `x`. Stable; NaN comes last, descending first. The
 * gradient goes back to where each element stood.
 * @param axis the last unless given
 * @throws KilnError `invalid_argument` for a bad axis
 */
export const sort = sorted('sort', 'values') as <D extends DType>(
  x: Tensor<D>,
  axis?: number,
  options?: SortOptions,
) => Tensor<D>;

/**
 * The int32 positions of the elements in order along an axis, of the shape of `x`: `takeAlongAxis(x, argsort(x))` is
 * `sort(x)`. Stable in both directions: equal elements are named in the order in which they stand.
 * @param axis the last unless given
 * @throws KilnError `invalid_argument` for a bad axis
 */
export const argsort = sorted('argsort', 'positions') as (
  x: Tensor,
  axis?: number,
  options?: SortOptions,
) => Tensor<'int32'>;

/**
 * The `k` greatest elements along an axis, greatest first, and their int32 positions; of equal ones the first. A NaN
 * counts as greater than every number. As `jax.lax.top_k` and `torch.topk`, sorted.
 * @param axis the last unless given
 * @param options.largest false for the `k` least, least first
 * @throws KilnError `invalid_size` for a `k` that is no size, `shape_mismatch` for one above the size of the axis,
 *   `invalid_argument` for a bad axis
 */
export const topk = operation<[x: Tensor, k: Dim, axis?: number, options?: TopkOptions], [Tensor, Tensor]>(
  'topk',
  (x, k, axis = -1, { largest = true }: TopkOptions = {}) => {
    requireTensor('topk', x);
    const at = axisOf('topk', axis, x.ndim);
    requireSize('topk', k);
    if (!isAtMost('topk', k, x.type.shape[at])) {
      throw new KilnError('shape_mismatch', 'topk: more elements than the axis has', {
        given: `k ${k} of ${describe(x)}, axis ${at}`,
      });
    }
    const direction = largest ? 'descending' : 'ascending';
    return [emitSort(x, at, direction, k, 'values'), emitSort(x, at, direction, k, 'positions')];
  },
) as <D extends DType>(
  x: Tensor<D>,
  k: Dim,
  axis?: number,
  options?: TopkOptions,
) => [values: Tensor<D>, positions: Tensor<'int32'>];

/** Where a quantile lies in a row: between two int32 positions, and how far. */
interface Place {
  readonly below: Tensor;
  readonly above: Tensor;
  readonly weight: Tensor;
}

function placeOf(q: number, size: Dim): Place {
  if (isStatic(size)) {
    const position = q * (size - 1);
    const below = Math.floor(position);
    const [first, second] = [below, Math.ceil(position)].map((at) => scalar('int32', at));
    return { below: first, above: second, weight: scalar('float32', position - below) };
  }
  const position = times(minus(sizeScalar(size, 'float32'), 1), q);
  const lower = plain('floor', position);
  const [below, above] = [lower, plain('ceil', position)].map((at) => convert(at, 'int32'));
  return { below, above, weight: minus(position, lower) };
}

/** The elements of rows at one position, with size 1 in the place of the axis. */
function elementsAt(rows: Tensor, position: Tensor, axis: number): Tensor {
  const { shape } = rows.type;
  const starts = shape.map((_, i) => (i === axis ? position : scalar('int32', 0)));
  return emit('dynamic_slice', [rows, ...starts], { sizes: shape.with(axis, 1) });
}

/** Linear interpolation; an element itself where the position is one, which infinite neighbours do not spoil. */
function interpolated(rows: Tensor, place: Place, axis: number): Tensor {
  const [below, above] = [elementsAt(rows, place.below, axis), elementsAt(rows, place.above, axis)];
  const weight = expandTo(place.weight, below.type.shape);
  const between = plus(times(below, minus(constantLike(weight, 1), weight)), times(above, weight));
  return select(compare(weight, 'EQ', 0), below, between);
}

function quantileAxis(name: string, operand: Tensor, q: number, axis: number | null, keepdims = false): Tensor {
  const x = toFloat(operand);
  const flat = axis === null && x.ndim !== 1 ? emit('reshape', [x], { shape: [dimProduct(x.type.shape)] }) : x;
  const at = axis === null ? 0 : axisOf(name, axis, x.ndim);
  const size = flat.type.shape[at];
  if (isAtMostDim(1, size) === 'never') {
    throw new KilnError('shape_mismatch', `${name}: no elements`, { given: describe(x), expected: 'at least one' });
  }
  const rows = convert(emitSort(flat, at, 'ascending', size, 'values'), 'float32');
  // A NaN anywhere is last in the row, and makes the whole NaN.
  const greatest = elementsAt(rows, minus(sizeScalar(size, 'int32'), 1), at);
  const found = select(compare(greatest, 'NE', greatest), greatest, interpolated(rows, placeOf(q, size), at));
  const reduced = axis === null ? range(x.ndim) : [at];
  return convert(emit('reshape', [found], { shape: shapeWithout(x.type.shape, reduced, keepdims) }), x.dtype);
}

function requireFraction(name: string, q: unknown): asserts q is number {
  if (typeof q === 'number' && q >= 0 && q <= 1) return;
  throw new KilnError('invalid_argument', `${name}: not a fraction`, { given: String(q), expected: 'from 0 to 1' });
}

/**
 * The quantile `q`: the element at `q * (size - 1)` of the sorted axis, by linear interpolation between its neighbours,
 * as NumPy's default method. NaN where there is a NaN. Of integers and bool in float32.
 * @param q from 0 to 1; with a list, the results are stacked along a new first axis
 * @param axis one axis; all elements when left out or null
 * @throws KilnError `invalid_argument` for a bad axis or `q`, `shape_mismatch` without elements
 */
export const quantile = operation<
  [x: Tensor, q: number | readonly number[], axis?: number | null, options?: QuantileOptions],
  Tensor
>('quantile', (x, q, axis = null, { keepdims }: QuantileOptions = {}) => {
  requireTensor('quantile', x);
  const fractions = typeof q === 'object' ? q : [q];
  for (const fraction of fractions) requireFraction('quantile', fraction);
  const found = fractions.map((fraction) => quantileAxis('quantile', x, fraction, axis, keepdims));
  if (typeof q !== 'object') return found[0];
  const parts = found.map((part) => emit('reshape', [part], { shape: [1, ...part.type.shape] }));
  return parts.length === 1 ? parts[0] : emit('concatenate', parts, { axis: 0 });
}) as <D extends DType>(
  x: Tensor<D>,
  q: number | readonly number[],
  axis?: number | null,
  options?: QuantileOptions,
) => Tensor<Floating<D>>;

/**
 * The median: the element in the middle, of an even number the mean of the two there. NaN where there is a NaN. Of
 * integers and bool in float32.
 * @param axis one axis; all elements when left out or null
 * @throws KilnError `invalid_argument` for a bad axis, `shape_mismatch` without elements
 */
export const median = operation<[x: Tensor, axis?: number | null, options?: QuantileOptions], Tensor>(
  'median',
  (x, axis = null, { keepdims }: QuantileOptions = {}) => {
    requireTensor('median', x);
    return quantileAxis('median', x, 0.5, axis, keepdims);
  },
) as <D extends DType>(x: Tensor<D>, axis?: number | null, options?: QuantileOptions) => Tensor<Floating<D>>;

/** Methods of this family; each does what the function of its name does. */
export interface SortingMethods<D extends DType> {
  sort(axis?: number, options?: SortOptions): Tensor<D>;
  argsort(axis?: number, options?: SortOptions): Tensor<'int32'>;
  topk(k: Dim, axis?: number, options?: TopkOptions): [values: Tensor<D>, positions: Tensor<'int32'>];
  quantile(q: number | readonly number[], axis?: number | null, options?: QuantileOptions): Tensor<Floating<D>>;
  median(axis?: number | null, options?: QuantileOptions): Tensor<Floating<D>>;
}
