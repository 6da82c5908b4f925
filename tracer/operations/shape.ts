/**
 * Operations that give the same elements another shape or order of axes, or repeat them. None computes anything.
 *
 *     reshape(x, [2, -1])                  // f32[2,6] of f32[3,4]
 *     permuteDims(x, [0, 2, 1])            // f32[8,4,3] of f32[8,3,4]
 *     broadcastTo(tensor([1, 2]), [3, 2])  // f32[3,2]
 */
import { type Dim, dimProduct, equalDims, floorDivDims, isStaticShape, mulDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, plus, select } from './primitives.ts';
import {
  type Axes,
  axesOf,
  axisOf,
  broadcastShapes,
  constant,
  describe,
  expandAt,
  expandTo,
  range,
  requireEqualSizes,
  requireInt,
  requireShape,
  requireSize,
  requireTensor,
  type Shape,
  shapeWithout,
} from './support.ts';

const text = (shape: Shape): string => `[${shape.join(',')}]`;

const reshapeTo = (x: Tensor, shape: Shape): Tensor =>
  shape.length === x.ndim && shape.every((size, i) => equalDims(size, x.type.shape[i]))
    ? x
    : emit('reshape', [x], { shape });

/** A shape in which one size may be -1, with that size worked out. */
function completeShape(x: Tensor, wanted: Shape): Shape {
  const given = `${describe(x)} to ${text(wanted)}`;
  const unknown = wanted.indexOf(-1);
  const shape = wanted.map((size, i) => (i === unknown ? 1 : size));
  requireShape('reshape', shape);
  const [total, known] = [dimProduct(x.type.shape), dimProduct(shape)];
  if (unknown < 0) {
    requireEqualSizes('reshape', total, known, 'the number of elements differs', given);
    return shape;
  }
  if (known === 0) throw new KilnError('shape_mismatch', 'reshape: -1 is ambiguous beside a size of 0', { given });
  const quotient = floorDivDims(total, known);
  requireEqualSizes('reshape', mulDims(quotient, known), total, '-1 does not come out even', given);
  return shape.map((size, i) => (i === unknown ? quotient : size));
}

/**
 * The same elements in row-major order under another shape.
 * @param shape sizes; one of them may be -1 and is worked out
 * @throws KilnError `shape_mismatch` when the number of elements differs, `invalid_size`, `unknown_size`
 */
export const reshape = operation<[x: Tensor, shape: Shape], Tensor>('reshape', (x, shape) => {
  requireTensor('reshape', x);
  if (!Array.isArray(shape)) requireShape('reshape', shape);
  return reshapeTo(x, completeShape(x, shape));
}) as <D extends DType>(x: Tensor<D>, shape: Shape) => Tensor<D>;

/**
 * Axes from `start` to `end` (both included) as one axis; all unless given. A 0-d tensor becomes one of shape [1].
 * @throws KilnError `invalid_argument` for an axis out of range
 */
export const flatten = operation<[x: Tensor, start?: number, end?: number], Tensor>(
  'flatten',
  (x, start = 0, end = -1) => {
    requireTensor('flatten', x);
    const { shape } = x.type;
    if (shape.length === 0) return reshapeTo(x, [1]);
    const [from, to] = [axisOf('flatten', start, shape.length), axisOf('flatten', end, shape.length) + 1];
    return reshapeTo(x, [...shape.slice(0, from), dimProduct(shape.slice(from, to)), ...shape.slice(to)]);
  },
) as <D extends DType>(x: Tensor<D>, start?: number, end?: number) => Tensor<D>;

// Order of axes.

const permute = (x: Tensor, permutation: readonly number[]): Tensor =>
  permutation.every((axis, i) => axis === i) ? x : emit('transpose', [x], { permutation });

function requirePermutation(op: string, axes: readonly number[], rank: number): number[] {
  const permutation = axes.map((axis) => axisOf(op, axis, rank));
  if (permutation.length === rank && new Set(permutation).size === rank) return permutation;
  throw new KilnError('invalid_argument', `${op}: not a permutation of the axes`, {
    given: `[${axes.join(',')}] for a tensor of rank ${rank}`,
    expected: 'every axis once',
  });
}

/**
 * Axes in another order: result axis `i` is axis `axes[i]` of `x`.
 * @throws KilnError `invalid_argument` unless `axes` names every axis once
 */
export const permuteDims = operation<[x: Tensor, axes: readonly number[]], Tensor>('permuteDims', (x, axes) => {
  requireTensor('permuteDims', x);
  return permute(x, requirePermutation('permuteDims', axes, x.ndim));
}) as <D extends DType>(x: Tensor<D>, axes: readonly number[]) => Tensor<D>;

/**
 * Axes in reverse order, or as `axes` says.
 * @throws KilnError `invalid_argument` unless `axes` names every axis once
 */
export const transpose = operation<[x: Tensor, axes?: readonly number[] | null], Tensor>('transpose', (x, axes) => {
  requireTensor('transpose', x);
  return permute(x, axes ? requirePermutation('transpose', axes, x.ndim) : range(x.ndim).reverse());
}) as <D extends DType>(x: Tensor<D>, axes?: readonly number[] | null) => Tensor<D>;

/** The last two axes exchanged. @throws KilnError `shape_mismatch` for rank 0 and 1 */
export const matrixTranspose = operation<[x: Tensor], Tensor>('matrixTranspose', (x) => {
  requireTensor('matrixTranspose', x);
  if (x.ndim < 2) {
    throw new KilnError('shape_mismatch', 'matrixTranspose: a matrix has two axes', { given: describe(x) });
  }
  return swap(x, x.ndim - 2, x.ndim - 1);
}) as <D extends DType>(x: Tensor<D>) => Tensor<D>;

const swap = (x: Tensor, a: number, b: number): Tensor =>
  permute(
    x,
    range(x.ndim).map((axis) => (axis === a ? b : axis === b ? a : axis)),
  );

/** Two axes exchanged. @throws KilnError `invalid_argument` for an axis out of range */
export const swapaxes = operation<[x: Tensor, axis1: number, axis2: number], Tensor>('swapaxes', (x, axis1, axis2) => {
  requireTensor('swapaxes', x);
  return swap(x, axisOf('swapaxes', axis1, x.ndim), axisOf('swapaxes', axis2, x.ndim));
}) as <D extends DType>(x: Tensor<D>, axis1: number, axis2: number) => Tensor<D>;

type AxisList = number | readonly number[];

/**
 * Axes moved to other places; the others keep their order.
 * @throws KilnError `invalid_argument` for axes out of range, named twice, or lists of different lengths
 */
export const moveaxis = operation<[x: Tensor, source: AxisList, destination: AxisList], Tensor>(
  'moveaxis',
  (x, source, destination) => {
    requireTensor('moveaxis', x);
    const [from, to] = [source, destination].map((axes) => {
      axesOf('moveaxis', axes, x.ndim);
      return [axes].flat().map((axis) => axisOf('moveaxis', axis, x.ndim));
    });
    if (from.length !== to.length) {
      throw new KilnError('invalid_argument', 'moveaxis: as many destinations as sources', {
        given: `${from.length} and ${to.length}`,
      });
    }
    const rest = range(x.ndim).filter((axis) => !from.includes(axis));
    const permutation = range(x.ndim).map((axis) => {
      const moved = to.indexOf(axis);
      return moved >= 0 ? from[moved] : -1;
    });
    return permute(
      x,
      permutation.map((axis) => (axis >= 0 ? axis : (rest.shift() as number))),
    );
  },
) as <D extends DType>(x: Tensor<D>, source: AxisList, destination: AxisList) => Tensor<D>;

// Axes of size 1.

/**
 * New axes of size 1 at places of the result.
 * @param axis one place or several, counted in the result; negative ones from its end
 * @throws KilnError `invalid_argument` for a place out of range or named twice
 */
export const expandDims = operation<[x: Tensor, axis?: AxisList], Tensor>('expandDims', (x, axis = 0) => {
  requireTensor('expandDims', x);
  const rank = x.ndim + [axis].flat().length;
  const axes = axesOf('expandDims', axis, rank);
  const sizes = [...x.type.shape];
  return reshapeTo(
    x,
    range(rank).map((i) => (axes.includes(i) ? 1 : (sizes.shift() as Dim))),
  );
}) as <D extends DType>(x: Tensor<D>, axis?: AxisList) => Tensor<D>;

/**
 * Without axes of size 1.
 * @param axis which; all axes whose size is 1 unless given
 * @throws KilnError `shape_mismatch` for a named axis of another size, `unknown_size` if its size is symbolic
 */
export const squeeze = operation<[x: Tensor, axis?: Axes], Tensor>('squeeze', (x, axis) => {
  requireTensor('squeeze', x);
  const { shape } = x.type;
  const named = axis !== undefined && axis !== null;
  const axes = named ? axesOf('squeeze', axis, shape.length) : range(shape.length).filter((i) => shape[i] === 1);
  for (const i of axes)
    requireEqualSizes('squeeze', shape[i], 1, 'the axis has a size other than 1', `${describe(x)}, axis ${i}`);
  return reshapeTo(x, shapeWithout(shape, axes));
}) as <D extends DType>(x: Tensor<D>, axis?: Axes) => Tensor<D>;

// Repetition.

/**
 * `x` repeated to a shape, aligned at the last axis.
 * @throws KilnError `shape_mismatch` unless each size of `x` is 1 or that of `shape`; `unknown_size`, `invalid_size`
 */
export const broadcastTo = operation<[x: Tensor, shape: Shape], Tensor>('broadcastTo', (x, shape) => {
  requireTensor('broadcastTo', x);
  requireShape('broadcastTo', shape);
  const result = broadcastShapes('broadcastTo', [x.type.shape, shape]);
  const given = `${describe(x)} to ${text(shape)}`;
  if (result.length !== shape.length) {
    throw new KilnError('shape_mismatch', 'broadcastTo: the shape has fewer axes than the tensor', { given });
  }
  for (let i = 0; i < shape.length; i++) {
    requireEqualSizes('broadcastTo', result[i], shape[i], 'a size other than 1 can not change', given);
  }
  return expandTo(x, shape);
}) as <D extends DType>(x: Tensor<D>, shape: Shape) => Tensor<D>;

/**
 * The whole tensor `repetitions[i]` times along each axis, as NumPy's `tile`.
 * @param repetitions numbers of copies, aligned at the last axis; missing ones are 1
 * @throws KilnError `invalid_size` unless they are non-negative integers
 */
export const tile = operation<[x: Tensor, repetitions: number | readonly number[]], Tensor>(
  'tile',
  (x, repetitions) => {
    requireTensor('tile', x);
    const given = [repetitions].flat();
    requireShape('tile', given);
    const rank = Math.max(given.length, x.ndim);
    const shape = [...range(rank - x.ndim).map(() => 1), ...x.type.shape];
    const copies = [...range(rank - given.length).map(() => 1), ...given];
    const repeated = expandAt(
      x,
      shape.flatMap((size, i) => [copies[i], size]),
      range(x.ndim).map((axis) => 2 * (axis + rank - x.ndim) + 1),
    );
    return reshapeTo(
      repeated,
      shape.map((size, i) => mulDims(size, copies[i])),
    );
  },
) as <D extends DType>(x: Tensor<D>, repetitions: number | readonly number[]) => Tensor<D>;

/**
 * Each element `count` times in a row along an axis; without `axis` of the flattened tensor.
 * @throws KilnError `invalid_size` unless `count` is a non-negative integer, `invalid_argument` for a bad axis
 */
export const repeat = operation<[x: Tensor, count: number, axis?: number | null], Tensor>(
  'repeat',
  (x, count, axis) => {
    requireTensor('repeat', x);
    requireSize('repeat', count);
    const flat = axis === undefined || axis === null;
    const operand = flat ? reshapeTo(x, [dimProduct(x.type.shape)]) : x;
    const { shape } = operand.type;
    const at = flat ? 0 : axisOf('repeat', axis, shape.length);
    const wide = expandAt(
      operand,
      [...shape.slice(0, at + 1), count, ...shape.slice(at + 1)],
      range(shape.length).map((i) => (i <= at ? i : i + 1)),
    );
    return reshapeTo(
      wide,
      shape.map((size, i) => (i === at ? mulDims(size, count) : size)),
    );
  },
) as <D extends DType>(x: Tensor<D>, count: number, axis?: number | null) => Tensor<D>;

// Triangles and diagonals.

const triangle = (name: string, direction: 'GE' | 'LE') =>
  operation<[x: Tensor, k?: number], Tensor>(name, (x, k = 0) => {
    requireTensor(name, x);
    requireInt(name, k, 'the diagonal');
    if (x.ndim < 2) throw new KilnError('shape_mismatch', `${name}: a matrix has two axes`, { given: describe(x) });
    const shape = x.type.shape.slice(-2);
    const row = emit('iota', [], { dtype: 'int32', shape, axis: 0 });
    const column = emit('iota', [], { dtype: 'int32', shape, axis: 1 });
    const shifted = plus(row, constant('int32', shape, k));
    const kept = expandTo(compare(shifted, direction, column), x.type.shape);
    return select(kept, x, constant(x.dtype, x.type.shape, 0));
  }) as <D extends DType>(x: Tensor<D>, k?: number) => Tensor<D>;

/**
 * Matrices (the last two axes) with zeros above the `k`-th diagonal. @throws KilnError `shape_mismatch` below rank 2
 */
export const tril = triangle('tril', 'GE');

/**
 * Matrices (the last two axes) with zeros below the `k`-th diagonal. @throws KilnError `shape_mismatch` below rank 2
 */
export const triu = triangle('triu', 'LE');

/**
 * The `offset`-th diagonal of the last two axes, as the last axis of the result: every (n+1)-th element of the
 * flattened matrix.
 * @throws KilnError `shape_mismatch` below rank 2, `unknown_size` for matrices of symbolic size
 */
export const diagonal = operation<[x: Tensor, offset?: number], Tensor>('diagonal', (x, offset = 0) => {
  requireTensor('diagonal', x);
  requireInt('diagonal', offset, 'the offset');
  if (x.ndim < 2) throw new KilnError('shape_mismatch', 'diagonal: a matrix has two axes', { given: describe(x) });
  const [batch, matrix] = [x.type.shape.slice(0, -2), x.type.shape.slice(-2)];
  if (!isStaticShape(matrix)) {
    throw new KilnError('unknown_size', 'diagonal: the matrix must have a fixed size', { given: describe(x) });
  }
  const [rows, columns] = matrix;
  const length = Math.max(0, offset >= 0 ? Math.min(rows, columns - offset) : Math.min(rows + offset, columns));
  const first = length === 0 ? 0 : offset >= 0 ? offset : -offset * columns;
  const flat = reshapeTo(x, [...batch, rows * columns]);
  return emit('slice', [flat], {
    start: [...batch.map(() => 0), first],
    limit: [...batch, length === 0 ? 0 : first + (length - 1) * (columns + 1) + 1],
    strides: [...batch.map(() => 1), columns + 1],
  });
}) as <D extends DType>(x: Tensor<D>, offset?: number) => Tensor<D>;

/** Methods of this family; each does what the function of its name does. */
export interface ShapeMethods<D extends DType> {
  reshape(shape: Shape): Tensor<D>;
  flatten(start?: number, end?: number): Tensor<D>;
  permuteDims(axes: readonly number[]): Tensor<D>;
  transpose(axes?: readonly number[] | null): Tensor<D>;
  matrixTranspose(): Tensor<D>;
  swapaxes(axis1: number, axis2: number): Tensor<D>;
  moveaxis(source: AxisList, destination: AxisList): Tensor<D>;
  expandDims(axis?: AxisList): Tensor<D>;
  squeeze(axis?: Axes): Tensor<D>;
  broadcastTo(shape: Shape): Tensor<D>;
  tile(repetitions: number | readonly number[]): Tensor<D>;
  repeat(count: number, axis?: number | null): Tensor<D>;
  tril(k?: number): Tensor<D>;
  triu(k?: number): Tensor<D>;
  diagonal(offset?: number): Tensor<D>;
  /** Axes in reverse order. */
  readonly T: Tensor<D>;
  /** The last two axes exchanged. */
  readonly mT: Tensor<D>;
}
