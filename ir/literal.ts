/**
 * Concrete arrays: the values of constants and what the reference evaluator computes with. Elements are JavaScript
 * numbers for every dtype (bool as 0 and 1). A splat keeps one element for all:
 *
 *     splat('float32', [2, 3], 0.5)                  // data [0.5], six equal elements
 *     literal('int32', [2, 2], [1, 2, 3, 4])         // row-major
 */
import type { DType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import type { Literal } from './types.ts';

export const elementCount = (shape: readonly number[]): number => shape.reduce((count, size) => count * size, 1);

/**
 * An array of the given elements.
 * @throws KilnError `shape_mismatch` when there are neither as many elements as the shape has nor exactly one
 */
export function literal(dtype: DType, shape: readonly number[], data: ArrayLike<number>): Literal {
  if (data.length !== 1 && data.length !== elementCount(shape)) {
    throw new KilnError('shape_mismatch', 'literal: number of elements', {
      given: `${data.length} elements for the shape [${shape}]`,
      expected: `${elementCount(shape)} elements, or one to be repeated`,
    });
  }
  return { dtype, shape, data };
}

/** An array whose elements are all `value`. */
export const splat = (dtype: DType, shape: readonly number[], value: number): Literal => ({
  dtype,
  shape,
  data: [value],
});

export const isSplat = (array: Literal): boolean => array.data.length === 1;

/** The element at a row-major position. */
export const elementAt = ({ data }: Literal, index: number): number => data[data.length === 1 ? 0 : index];

/** All elements, one for each position; a copy unless it is dense already. */
export function denseData(array: Literal): ArrayLike<number> {
  const count = elementCount(array.shape);
  return array.data.length === count ? array.data : new Float64Array(count).fill(array.data[0]);
}

/** Whether types and elements are the same; -0 differs from 0, NaN equals NaN, a splat equals its dense form. */
export function equalLiterals(a: Literal, b: Literal): boolean {
  if (a.dtype !== b.dtype || a.shape.length !== b.shape.length || a.shape.some((size, i) => size !== b.shape[i])) {
    return false;
  }
  const count = isSplat(a) && isSplat(b) ? 1 : elementCount(a.shape);
  for (let i = 0; i < count; i++) {
    if (!Object.is(elementAt(a, i), elementAt(b, i))) return false;
  }
  return true;
}

/** Distance in elements between neighbours along each axis of a dense row-major array. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/**
 * Calls `visit` with every index of a shape in row-major order. The index array is reused: copy it to keep it.
 */
export function forEachIndex(
  shape: readonly number[],
  visit: (index: readonly number[], position: number) => void,
): void {
  const count = elementCount(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let position = 0; position < count; position++) {
    visit(index, position);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/** Row-major position of an index. */
export function positionOf(index: readonly number[], strides: readonly number[]): number {
  let position = 0;
  for (let axis = 0; axis < index.length; axis++) position += index[axis] * strides[axis];
  return position;
}

/** A dense array whose element at each index is computed from the index. */
export function generate(
  dtype: DType,
  shape: readonly number[],
  element: (index: readonly number[], position: number) => number,
): Literal {
  const data = new Float64Array(elementCount(shape));
  forEachIndex(shape, (index, position) => {
    data[position] = element(index, position);
  });
  return { dtype, shape, data };
}
