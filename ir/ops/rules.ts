/**
 * What the type rules of several ops share: questions about sizes, axes and dtypes that end in a labelled error.
 *
 *     requireEqualDims('dot_general_c3', k1, k2, () => 'f32[2,3] and f32[4,5], axes 1 and 0')
 *
 * A question the bounds of symbolic sizes do not answer is an `unknown_size` error. Texts for errors are made only
 * when there is one, since type rules run for every traced op.
 */
import { type Answer, type Dim, isAtMostDim, isEqualDim } from '../../base/dim.ts';
import { type DType, dtypeInfo, isFloat, isInteger } from '../../base/dtype.ts';
import type { TensorType } from '../types.ts';
import { type DTypeClass, violate } from './definition.ts';

type Text = () => string;

/** `f32[2,B+1]`. */
export function formatType(type: TensorType): string {
  return `${dtypeInfo(type.dtype).short}[${type.shape.join(',')}]`;
}

export const formatTypes = (types: readonly TensorType[]): string => types.map(formatType).join(', ');

const hintUnknown = 'give the symbolic size tighter bounds or make it a fixed number';

function settle(answer: Answer, label: string, given: Text): void {
  if (answer === 'always') return;
  if (answer === 'never') violate(label, 'shape_mismatch', given());
  violate(label, 'unknown_size', given(), hintUnknown);
}

export function requireEqualDims(label: string, a: Dim, b: Dim, given: Text): void {
  if (a !== b) settle(isEqualDim(a, b), label, given);
}

export function requireAtMost(label: string, a: Dim, b: Dim, given: Text): void {
  settle(
    typeof a === 'number' && typeof b === 'number' ? (a <= b ? 'always' : 'never') : isAtMostDim(a, b),
    label,
    given,
  );
}

export function requireEqualShapes(label: string, a: TensorType, b: TensorType): void {
  if (a === b || a.shape === b.shape) return;
  const given: Text = () => `${formatType(a)} and ${formatType(b)}`;
  if (a.shape.length !== b.shape.length) violate(label, 'shape_mismatch', given());
  for (let i = 0; i < a.shape.length; i++) requireEqualDims(label, a.shape[i], b.shape[i], given);
}

const classTests: Readonly<Record<DTypeClass, (dtype: DType) => boolean>> = {
  any: () => true,
  float: isFloat,
  integer: isInteger,
  number: (dtype) => dtype !== 'bool',
  bits: (dtype) => dtype === 'bool' || isInteger(dtype),
  bool: (dtype) => dtype === 'bool',
};

export const inClass = (dtype: DType, dtypeClass: DTypeClass): boolean => classTests[dtypeClass](dtype);

/** How constraints name the classes. */
export const classNames: Readonly<Record<DTypeClass, string>> = {
  any: 'any dtype',
  float: 'a float dtype',
  integer: 'an integer dtype',
  number: 'a float or integer dtype',
  bits: 'an integer dtype or bool',
  bool: 'bool',
};

export function requireClass(label: string, type: TensorType, dtypeClass: DTypeClass): void {
  if (!inClass(type.dtype, dtypeClass)) violate(label, 'dtype_mismatch', formatType(type));
}

export function requireEqualDTypes(label: string, types: readonly TensorType[]): void {
  for (let i = 1; i < types.length; i++) {
    if (types[i].dtype !== types[0].dtype) violate(label, 'dtype_mismatch', formatTypes(types));
  }
}

/** A true condition on attributes. */
export function requireArgument(label: string, holds: boolean, given: Text): void {
  if (!holds) violate(label, 'invalid_argument', given());
}

export function requireRank(label: string, holds: boolean, given: Text): void {
  if (!holds) violate(label, 'shape_mismatch', given());
}

const inRange = (axis: number, rank: number): boolean => Number.isInteger(axis) && axis >= 0 && axis < rank;

/** Axes that are integers in `[0, rank)`, each at most once. */
export function requireAxes(label: string, axes: readonly number[], rank: number): void {
  const distinct = axes.length < 2 || new Set(axes).size === axes.length;
  if (distinct && axes.every((axis) => inRange(axis, rank))) return;
  violate(label, 'invalid_argument', `axes [${axes}] of rank ${rank}`);
}

/** Distinct axes in ascending order. */
export function requireSortedAxes(label: string, axes: readonly number[], rank: number): void {
  requireAxes(label, axes, rank);
  requireArgument(
    label,
    axes.every((axis, i) => i === 0 || axes[i - 1] < axis),
    () => `axes [${axes}], which are not in ascending order`,
  );
}

/** Numbers that are integers and at least `least`. */
export function requireIntegers(label: string, values: readonly number[], least: number, what: string): void {
  requireArgument(
    label,
    values.every((value) => Number.isSafeInteger(value) && value >= least),
    () => `${what} [${values}]`,
  );
}

/** Sizes that are integers when they are numbers, and never negative. */
export function requireSizes(label: string, sizes: readonly Dim[]): void {
  for (const size of sizes) {
    if (typeof size === 'number') {
      if (!Number.isSafeInteger(size) || size < 0) violate(label, 'invalid_size', `sizes [${sizes}]`);
    } else requireAtMost(label, 0, size, () => `sizes [${sizes}]`);
  }
}

/** Axes of `[0, rank)` that are not listed. */
export function otherAxes(rank: number, ...lists: readonly (readonly number[])[]): number[] {
  const rest: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    if (!lists.some((list) => list.includes(axis))) rest.push(axis);
  }
  return rest;
}

export const scalarType = (dtype: DType): TensorType => ({ dtype, shape: [] });
