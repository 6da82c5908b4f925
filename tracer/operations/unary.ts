/**
 * Elementwise functions of one tensor. Float functions take integers and bool as float32; rounding, `abs`, `sign`
 * and the like keep the dtype. What has no primitive is composed so that it stays accurate over the whole range and
 * its gradient has no NaN where the function is smooth: both sides of a `where` are finite wherever they are used.
 *
 *     exp(tensor([0, 1]))      // f32[2]: 1, 2.7182817
 *     round(tensor([0.5]))     // f32[1]: 0, half to even
 */
import { type DType, isFloat, isSigned } from '../../base/dtype.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { compare, minus, over, plain, plus, select, times } from './primitives.ts';
import {
  constant,
  constantLike,
  convert,
  describe,
  dtypeMismatch,
  type Floating,
  requireDType,
  requireTensor,
  toFloat,
} from './support.ts';

type FloatFunction = <D extends DType>(x: Tensor<D>) => Tensor<Floating<D>>;
type SameFunction = <D extends DType>(x: Tensor<D>) => Tensor<D>;
type Predicate = (x: Tensor) => Tensor<'bool'>;

const one = (x: Tensor): Tensor => constantLike(x, 1);

/** A float function: any dtype in, a float dtype out. */
const floatFunction = (name: string, body: (x: Tensor) => Tensor): FloatFunction =>
  operation<[x: Tensor], Tensor>(name, (x) => {
    requireTensor(name, x);
    return body(toFloat(x));
  }) as FloatFunction;

/** A function that leaves the dtype as it is. `body` sees numbers; bool is an error. */
const sameFunction = (name: string, body: (x: Tensor) => Tensor): SameFunction =>
  operation<[x: Tensor], Tensor>(name, (x) => {
    requireTensor(name, x);
    if (x.dtype === 'bool') throw dtypeMismatch(name, describe(x), 'a number dtype', "convert with .astype('int32')");
    return body(x);
  }) as SameFunction;

const rounding = (name: string, body: (x: Tensor) => Tensor): SameFunction =>
  sameFunction(name, (x) => (isFloat(x.dtype) ? body(x) : x));

// Signs and rounding.

/** `-x`, of the same dtype (unsigned wraps). @throws KilnError `dtype_mismatch` for bool. */
export const negative = sameFunction('negative', (x) => plain('negate', x));

export { negative as neg };

/** `x` itself, for symmetry with `negative`. @throws KilnError `dtype_mismatch` for bool. */
export const positive = sameFunction('positive', (x) => x);

/** `|x|`, of the same dtype. The gradient at 0 is 0. @throws KilnError `dtype_mismatch` for bool. */
export const abs = sameFunction('abs', (x) => (isSigned(x.dtype) ? plain('abs', x) : x));

/** -1, 0 or 1 (-0 and NaN stay), of the same dtype. @throws KilnError `dtype_mismatch` for bool. */
export const sign = sameFunction('sign', (x) => plain('sign', x));

/** The largest integer not above `x`; integers stay as they are. Gradient 0. */
export const floor = rounding('floor', (x) => plain('floor', x));

/** The smallest integer not below `x`; integers stay as they are. Gradient 0. */
export const ceil = rounding('ceil', (x) => plain('ceil', x));

/** The nearest integer, half to even; integers stay as they are. Gradient 0. */
export const round = rounding('round', (x) => plain('round_nearest_even', x));

/** The integer part, towards zero; integers stay as they are. Gradient 0. */
export const trunc = rounding('trunc', (x) => select(compare(x, 'LT', 0), plain('ceil', x), plain('floor', x)));

/** `x * x`, of the same dtype. */
export const square = sameFunction('square', (x) => times(x, x));

// Roots and reciprocals.

/** Square root; NaN below zero. */
export const sqrt = floatFunction('sqrt', (x) => plain('sqrt', x));

/** `1 / sqrt(x)`. */
export const rsqrt = floatFunction('rsqrt', (x) => plain('rsqrt', x));

/** `1 / x`. */
export const reciprocal = floatFunction('reciprocal', (x) => over(one(x), x));

// Exponentials and logarithms.

/** e to the power `x`. */
export const exp = floatFunction('exp', (x) => plain('exponential', x));

/** `exp(x) - 1`, accurate near 0. */
export const expm1 = floatFunction('expm1', (x) => plain('exponential_minus_one', x));

/** 2 to the power `x`. */
export const exp2 = floatFunction('exp2', (x) => plain('power', constantLike(x, 2), x));

/** Natural logarithm; -inf at 0, NaN below. */
export const log = floatFunction('log', (x) => plain('log', x));

/** `log(1 + x)`, accurate near 0. */
export const log1p = floatFunction('log1p', (x) => plain('log_plus_one', x));

/** Logarithm to base 2, as `log(x) / log(2)`. */
export const log2 = floatFunction('log2', (x) => over(plain('log', x), Math.LN2));

/** Logarithm to base 10, as `log(x) / log(10)`. */
export const log10 = floatFunction('log10', (x) => over(plain('log', x), Math.LN10));

/** The error function. */
export const erf = floatFunction('erf', (x) => plain('erf', x));

// Trigonometry.

/** Sine of radians. */
export const sin = floatFunction('sin', (x) => plain('sine', x));

/** Cosine of radians. */
export const cos = floatFunction('cos', (x) => plain('cosine', x));

/** Tangent of radians, as `sin(x) / cos(x)`. */
export const tan = floatFunction('tan', (x) => over(plain('sine', x), plain('cosine', x)));

/** The angle whose sine is `x`, in [-π/2, π/2]; NaN outside [-1, 1]. */
export const asin = floatFunction('asin', (x) => plain('atan2', x, sqrtOneMinusSquare(x)));

/** The angle whose cosine is `x`, in [0, π]; NaN outside [-1, 1]. */
export const acos = floatFunction('acos', (x) => plain('atan2', sqrtOneMinusSquare(x), x));

/** `sqrt(1 - x²)` as a product, which loses nothing near ±1. */
const sqrtOneMinusSquare = (x: Tensor) => plain('sqrt', times(minus(one(x), x), plus(one(x), x)));

/** The angle whose tangent is `x`, in [-π/2, π/2]. */
export const atan = floatFunction('atan', (x) => plain('atan2', x, one(x)));

// Hyperbolic functions.

/** Hyperbolic tangent. */
export const tanh = floatFunction('tanh', (x) => plain('tanh', x));

/**
 * Hyperbolic sine: `(e + e/(e+1))/2` of `e = expm1(x)` near 0, elsewhere of `exp(|x|/2)` squared, which does not
 * overflow before the result does.
 */
export const sinh = floatFunction('sinh', (x) => {
  const near = compare(plain('abs', x), 'LT', 1);
  const e = plain('exponential_minus_one', select(near, x, constantLike(x, 0)));
  const small = times(plus(e, over(e, plus(e, one(x)))), 0.5);
  const { half, inverse } = halfExponentials(x);
  return select(near, small, times(plain('sign', x), minus(half, inverse)));
});

/** Hyperbolic cosine, of `exp(|x|/2)` squared, which does not overflow before the result does. */
export const cosh = floatFunction('cosh', (x) => {
  const { half, inverse } = halfExponentials(x);
  return plus(half, inverse);
});

/** `exp(|x|)/2` and `exp(-|x|)/2`. */
function halfExponentials(x: Tensor): { readonly half: Tensor; readonly inverse: Tensor } {
  const e = plain('exponential', times(plain('abs', x), 0.5));
  return { half: times(times(e, 0.5), e), inverse: over(constantLike(x, 0.5), times(e, e)) };
}

/** Inverse hyperbolic sine: `log1p(a + a²/(1 + sqrt(1 + a²)))` of `a = |x|`; above 2^13 `log(a) + log(2)`. */
export const asinh = floatFunction('asinh', (x) => {
  const a = plain('abs', x);
  const near = compare(a, 'LT', 8192);
  const b = select(near, a, one(x));
  const b2 = times(b, b);
  const small = plain('log_plus_one', plus(b, over(b2, plus(one(x), plain('sqrt', plus(one(x), b2))))));
  const large = plus(plain('log', select(near, one(x), a)), Math.LN2);
  // The sign of x at 0 has slope 1: the sum is multiplied by the sign outside 0 and is x itself there.
  const size = select(near, small, large);
  return select(compare(a, 'EQ', 0), x, times(plain('sign', x), size));
});

/** Inverse hyperbolic cosine: `log1p(t + sqrt(2t + t²))` of `t = x - 1`; beyond 2^13 `log(x) + log(2)`. NaN below 1. */
export const acosh = floatFunction('acosh', (x) => {
  const near = compare(plain('abs', x), 'LT', 8192);
  const t = minus(select(near, x, constantLike(x, 2)), one(x));
  const small = plain('log_plus_one', plus(t, plain('sqrt', times(t, plus(t, 2)))));
  const large = plus(plain('log', select(near, one(x), x)), Math.LN2);
  return select(near, small, large);
});

/** Inverse hyperbolic tangent: `(log1p(x) - log1p(-x))/2`; NaN outside [-1, 1]. */
export const atanh = floatFunction('atanh', (x) =>
  times(minus(plain('log_plus_one', x), plain('log_plus_one', plain('negate', x))), 0.5),
);

// Questions about numbers.

const predicate = (name: string, otherwise: 0 | 1, body: (x: Tensor) => Tensor): Predicate =>
  operation<[x: Tensor], Tensor>(name, (x) => {
    requireTensor(name, x);
    return isFloat(x.dtype) ? body(x) : constant('bool', x.type.shape, otherwise);
  }) as Predicate;

/** Whether each element is NaN (never for integers and bool). */
export const isnan = predicate('isnan', 0, (x) => compare(x, 'NE', x));

/** Whether each element is neither infinite nor NaN (always for integers and bool). */
export const isfinite = predicate('isfinite', 1, (x) => plain('is_finite', x));

/** Whether each element is infinite (never for integers and bool). */
export const isinf = predicate('isinf', 0, (x) => compare(plain('abs', x), 'EQ', Number.POSITIVE_INFINITY));

// Dtypes and gradients.

/**
 * `x` in another dtype. Float to integer truncates towards zero, saturates, and takes NaN to 0; to bool means
 * `x != 0`; bool becomes 0 and 1.
 * @throws KilnError `invalid_argument` for a name that is no dtype, `unsupported_dtype`
 */
export const astype = operation<[x: Tensor, dtype: DType], Tensor>('astype', (x, dtype) => {
  requireTensor('astype', x);
  requireDType('astype', dtype);
  return convert(x, dtype);
}) as <D extends DType>(x: Tensor, dtype: D) => Tensor<D>;

/** `x`, seen by gradients as a constant. */
export const stopGradient = operation<[x: Tensor], Tensor>('stopGradient', (x) => {
  requireTensor('stopGradient', x);
  return plain('stop_gradient', x);
}) as SameFunction;

type FloatMethod<D extends DType> = () => Tensor<Floating<D>>;
type SameMethod<D extends DType> = () => Tensor<D>;

/** Methods of this family; each does what the function of its name does. */
export interface UnaryMethods<D extends DType> {
  readonly negative: SameMethod<D>;
  /** Short for `negative`. */
  readonly neg: SameMethod<D>;
  readonly positive: SameMethod<D>;
  readonly abs: SameMethod<D>;
  readonly sign: SameMethod<D>;
  readonly floor: SameMethod<D>;
  readonly ceil: SameMethod<D>;
  readonly round: SameMethod<D>;
  readonly trunc: SameMethod<D>;
  readonly square: SameMethod<D>;
  readonly sqrt: FloatMethod<D>;
  readonly rsqrt: FloatMethod<D>;
  readonly reciprocal: FloatMethod<D>;
  readonly exp: FloatMethod<D>;
  readonly expm1: FloatMethod<D>;
  readonly exp2: FloatMethod<D>;
  readonly log: FloatMethod<D>;
  readonly log1p: FloatMethod<D>;
  readonly log2: FloatMethod<D>;
  readonly log10: FloatMethod<D>;
  readonly erf: FloatMethod<D>;
  readonly sin: FloatMethod<D>;
  readonly cos: FloatMethod<D>;
  readonly tan: FloatMethod<D>;
  readonly asin: FloatMethod<D>;
  readonly acos: FloatMethod<D>;
  readonly atan: FloatMethod<D>;
  readonly tanh: FloatMethod<D>;
  readonly sinh: FloatMethod<D>;
  readonly cosh: FloatMethod<D>;
  readonly asinh: FloatMethod<D>;
  readonly acosh: FloatMethod<D>;
  readonly atanh: FloatMethod<D>;
  readonly isnan: () => Tensor<'bool'>;
  readonly isfinite: () => Tensor<'bool'>;
  readonly isinf: () => Tensor<'bool'>;
  astype<E extends DType>(dtype: E): Tensor<E>;
  readonly stopGradient: SameMethod<D>;
}
