/**
 * Reductions: one number out of all elements along some axes. `axis` is a number, several, or all of them when it is
 * left out or null; with `keepdims` a reduced axis stays with size 1, so that the result broadcasts against the
 * operand.
 *
 *     sum(tensor([[1, 2], [3, 4]]), 0)                     // f32[2]: 4, 6
 *     mean(x, -1, { keepdims: true })                      // f32[8,1] of f32[8,4]
 */
import { dimProduct } from '../../base/dim.ts';
import { type DType, isHalf, isNarrowInteger, isSigned } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, minus, over, plain, plus, select, times } from './primitives.ts';
import {
  type Axes,
  axesOf,
  axisOf,
  constantLike,
  convert,
  describe,
  expandTo,
  type Floating,
  range,
  reduceAxes,
  requireTensor,
  shapeWithout,
  shiftOf,
  sizeScalar,
  spread,
  toBool,
  toFloat,
  toNumber,
} from './support.ts';

export interface ReduceOptions {
  /** Keep reduced axes with size 1. */
  readonly keepdims?: boolean;
}

export interface VarianceOptions extends ReduceOptions {
  /** What is subtracted from the number of elements before dividing: 0, or 1 for an unbiased estimate. */
  readonly correction?: number;
}

export interface NormOptions extends ReduceOptions {
  /** Which norm: 2 unless given; 1, Infinity, -Infinity, 0 (how many are not zero), or any other power. */
  readonly ord?: number;
}

/** The dtype of sums: bool and narrow integers are counted in 32 bits, everything else stays. */
type Summed<D extends DType> = D extends 'bool' | 'int8' | 'int16'
  ? 'int32'
  : D extends 'uint8' | 'uint16'
    ? 'uint32'
    : D;

/** An operand in the dtype of its sums. */
const summed = (x: Tensor): Tensor =>
  isNarrowInteger(x.dtype) ? convert(x, isSigned(x.dtype) ? 'int32' : 'uint32') : toNumber(x);

function withKept(reduced: Tensor, x: Tensor, axes: readonly number[], keepdims: boolean | undefined): Tensor {
  return keepdims && axes.length > 0
    ? emit('reshape', [reduced], { shape: shapeWithout(x.type.shape, axes, true) })
    : reduced;
}

/** Statistics of floats of 16 bits are taken in float32, where sums do not overflow, and then rounded. */
function inFloat32(body: AxesFunction): AxesFunction {
  return (operand, axes) => {
    const x = toFloat(operand);
    return isHalf(x.dtype) ? convert(body(convert(x, 'float32'), axes), x.dtype) : body(x, axes);
  };
}

type AxesFunction = (x: Tensor, axes: readonly number[]) => Tensor;
type Reduction<R> = (x: Tensor, axis?: Axes, options?: ReduceOptions) => R;

/** A reduction written over the operand and its sorted axes; `keepdims` is dealt with here. */
function reduction(name: string, body: AxesFunction): Reduction<Tensor> {
  return operation<[x: Tensor, axis?: Axes, options?: ReduceOptions], Tensor>(name, (x, axis, options) => {
    requireTensor(name, x);
    const axes = axesOf(name, axis, x.ndim);
    return withKept(body(x, axes), x, axes, options?.keepdims);
  });
}

/** Along axes without elements there is no extremum. */
function requireElements(name: string, x: Tensor, axes: readonly number[]): void {
  if (!axes.some((axis) => x.type.shape[axis] === 0)) return;
  throw new KilnError('shape_mismatch', `${name}: no elements along the reduced axes`, {
    given: `${describe(x)}, axes [${axes}]`,
    expected: 'at least one element',
  });
}

/**
 * Sum. Of bools the int32 count; of integers in at least 32 bits of the same kind, wrapping. The sum of nothing is 0.
 * @param axis axes to reduce; all unless given
 * @throws KilnError `invalid_argument` for an axis out of range or named twice
 */
export const sum = reduction('sum', (x, axes) => reduceAxes(summed(x), 'sum', axes)) as <D extends DType>(
  x: Tensor<D>,
  axis?: Axes,
  options?: ReduceOptions,
) => Tensor<Summed<D>>;

/** Product, in the dtype of `sum`. The product of nothing is 1. @throws KilnError `invalid_argument` for a bad axis */
export const prod = reduction('prod', (x, axes) => reduceAxes(summed(x), 'product', axes)) as typeof sum;

const meanAxes = (x: Tensor, axes: readonly number[], correction = 0): Tensor => {
  const total = reduceAxes(x, 'sum', axes);
  const size = sizeScalar(dimProduct(axes.map((axis) => x.type.shape[axis])), x.dtype);
  const count = correction === 0 ? size : plain('maximum', minus(size, correction), constantLike(size, 0));
  return over(total, expandTo(count, total.type.shape));
};

/**
 * Arithmetic mean, in float32 for integers and bool. The mean of nothing is NaN.
 * @throws KilnError `invalid_argument` for an axis out of range or named twice
 */
export const mean = reduction(
  'mean',
  inFloat32((x, axes) => meanAxes(x, axes)),
) as FloatReduction;

type FloatReduction = <D extends DType>(x: Tensor<D>, axis?: Axes, options?: ReduceOptions) => Tensor<Floating<D>>;
type SameReduction = <D extends DType>(x: Tensor<D>, axis?: Axes, options?: ReduceOptions) => Tensor<D>;

const extremum = (name: string, kind: 'max' | 'min', boolKind: 'or' | 'and'): SameReduction =>
  reduction(name, (x, axes) => {
    requireElements(name, x, axes);
    return reduceAxes(x, x.dtype === 'bool' ? boolKind : kind, axes);
  }) as SameReduction;

/**
 * Greatest element, NaN if there is one. Elements that tie share the gradient equally.
 * @throws KilnError `shape_mismatch` without elements, `invalid_argument` for a bad axis
 */
export const max = extremum('max', 'max', 'or');

/**
 * Least element, NaN if there is one. Elements that tie share the gradient equally.
 * @throws KilnError `shape_mismatch` without elements, `invalid_argument` for a bad axis
 */
export const min = extremum('min', 'min', 'and');

const truth = (name: string, kind: 'and' | 'or'): Reduction<Tensor<'bool'>> =>
  reduction(name, (x, axes) => reduceAxes(toBool(x), kind, axes)) as Reduction<Tensor<'bool'>>;

/** Whether any element is true (not 0). Of nothing, false. @throws KilnError `invalid_argument` for a bad axis */
export const any = truth('any', 'or');

/** Whether all elements are true (not 0). Of nothing, true. @throws KilnError `invalid_argument` for a bad axis */
export const all = truth('all', 'and');

/** How many elements are not 0, as int32. @throws KilnError `invalid_argument` for a bad axis */
export const countNonzero = reduction('countNonzero', (x, axes) =>
  reduceAxes(toNumber(toBool(x)), 'sum', axes),
) as Reduction<Tensor<'int32'>>;

// Positions.

type ArgReduction = (x: Tensor, axis?: number | null, options?: ReduceOptions) => Tensor<'int32'>;

const position = (name: string, kind: 'argmax' | 'argmin'): ArgReduction =>
  operation<[x: Tensor, axis?: number | null, options?: ReduceOptions], Tensor>(name, (operand, axis, options) => {
    requireTensor(name, operand);
    const x = toNumber(operand);
    const all = axis === undefined || axis === null;
    const axes = all ? range(x.ndim) : [axisOf(name, axis, x.ndim)];
    requireElements(name, x, axes);
    const flat = all && x.ndim !== 1 ? emit('reshape', [x], { shape: [dimProduct(x.type.shape)] }) : x;
    const found = emit('reduce', [flat], { kind, axes: all ? [0] : axes });
    return withKept(found, x, axes, options?.keepdims);
  }) as ArgReduction;

/**
 * Position of the greatest element as int32: the first of several, the first NaN if there is one. Without `axis`, the
 * position in the flattened tensor.
 * @throws KilnError `shape_mismatch` without elements, `invalid_argument` for a bad axis
 */
export const argmax = position('argmax', 'argmax');

/** Position of the least element as int32, as `argmax`. */
export const argmin = position('argmin', 'argmin');

// Spread and size.

function varianceAxes(x: Tensor, axes: readonly number[], correction: number): Tensor {
  const centred = minus(x, spread(meanAxes(x, axes), x.type.shape, axes));
  return meanAxes(times(centred, centred), axes, correction);
}

type VarianceFunction = <D extends DType>(x: Tensor<D>, axis?: Axes, options?: VarianceOptions) => Tensor<Floating<D>>;

const varianceFunction = (name: string, finish: (variance: Tensor) => Tensor): VarianceFunction =>
  operation<[x: Tensor, axis?: Axes, options?: VarianceOptions], Tensor>(name, (x, axis, options = {}) => {
    requireTensor(name, x);
    const axes = axesOf(name, axis, x.ndim);
    const body = inFloat32((operand) => finish(varianceAxes(operand, axes, options.correction ?? 0)));
    return withKept(body(x, axes), x, axes, options.keepdims);
  }) as VarianceFunction;

/**
 * Variance: the mean square of the distance to the mean, in two passes, in float32 for integers.
 * @throws KilnError `invalid_argument` for a bad axis
 */
export const variance = varianceFunction('variance', (x) => x);

/** Standard deviation, the root of `variance`. @throws KilnError `invalid_argument` for a bad axis */
export const std = varianceFunction('std', (x) => plain('sqrt', x));

/** Root of a sum of squares with slope 0 instead of NaN where the sum is 0. */
function safeSqrt(x: Tensor): Tensor {
  const isZero = compare(x, 'EQ', 0);
  const root = plain('sqrt', select(isZero, constantLike(x, 1), x));
  return select(isZero, constantLike(x, 0), root);
}

function normAxes(x: Tensor, axes: readonly number[], ord: number): Tensor {
  const size = () => plain('abs', x);
  switch (ord) {
    case 2:
      return safeSqrt(reduceAxes(times(x, x), 'sum', axes));
    case 1:
      return reduceAxes(size(), 'sum', axes);
    case 0:
      return reduceAxes(emit('convert', [toBool(x)], { dtype: x.dtype }), 'sum', axes);
    case Number.POSITIVE_INFINITY:
      return reduceAxes(size(), 'max', axes);
    case Number.NEGATIVE_INFINITY:
      return reduceAxes(size(), 'min', axes);
    default: {
      const total = reduceAxes(plain('power', size(), constantLike(x, ord)), 'sum', axes);
      return plain('power', total, constantLike(total, 1 / ord));
    }
  }
}

/**
 * Vector norm `(Σ |x|^ord)^(1/ord)`, in float32 for integers. The gradient of the 2-norm at 0 is 0.
 * @throws KilnError `invalid_argument` for a bad axis or an `ord` that is NaN
 */
export const vectorNorm = operation<[x: Tensor, axis?: Axes, options?: NormOptions], Tensor>(
  'vectorNorm',
  (x, axis, { ord = 2, keepdims }: NormOptions = {}) => {
    requireTensor('vectorNorm', x);
    if (typeof ord !== 'number' || Number.isNaN(ord)) {
      throw new KilnError('invalid_argument', 'vectorNorm: ord is not a number', { given: String(ord) });
    }
    const axes = axesOf('vectorNorm', axis, x.ndim);
    if (!Number.isFinite(ord)) requireElements('vectorNorm', x, axes);
    const body = inFloat32((operand) => normAxes(operand, axes, ord));
    return withKept(body(x, axes), x, axes, keepdims);
  },
) as <D extends DType>(x: Tensor<D>, axis?: Axes, options?: NormOptions) => Tensor<Floating<D>>;

/**
 * `log(Σ exp(x))` along axes, without overflow: the maximum is taken out first. Of nothing, -inf.
 * @throws KilnError `invalid_argument` for a bad axis
 */
export const logsumexp = reduction(
  'logsumexp',
  inFloat32((x, axes) => {
    const shift = shiftOf(x, axes);
    const shifted = minus(x, spread(shift, x.type.shape, axes));
    const total = reduceAxes(plain('exponential', shifted), 'sum', axes);
    return plus(plain('log', total), shift);
  }),
) as FloatReduction;

/** Methods of this family; each does what the function of its name does. */
export interface ReductionMethods<D extends DType> {
  sum(axis?: Axes, options?: ReduceOptions): Tensor<Summed<D>>;
  prod(axis?: Axes, options?: ReduceOptions): Tensor<Summed<D>>;
  mean(axis?: Axes, options?: ReduceOptions): Tensor<Floating<D>>;
  max(axis?: Axes, options?: ReduceOptions): Tensor<D>;
  min(axis?: Axes, options?: ReduceOptions): Tensor<D>;
  any(axis?: Axes, options?: ReduceOptions): Tensor<'bool'>;
  all(axis?: Axes, options?: ReduceOptions): Tensor<'bool'>;
  countNonzero(axis?: Axes, options?: ReduceOptions): Tensor<'int32'>;
  argmax(axis?: number | null, options?: ReduceOptions): Tensor<'int32'>;
  argmin(axis?: number | null, options?: ReduceOptions): Tensor<'int32'>;
  variance(axis?: Axes, options?: VarianceOptions): Tensor<Floating<D>>;
  std(axis?: Axes, options?: VarianceOptions): Tensor<Floating<D>>;
  vectorNorm(axis?: Axes, options?: NormOptions): Tensor<Floating<D>>;
  logsumexp(axis?: Axes, options?: ReduceOptions): Tensor<Floating<D>>;
}
