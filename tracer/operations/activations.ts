/**
 * Activation functions of `torch.nn.functional`. Each is a composition of primitives whose gradient is right at kinks
 * and free of NaN at large arguments; NaN in gives NaN out.
 *
 *     relu(tensor([-1, 0, 2]))       // 0, 0, 2; gradient 0, 0, 1
 *     softmax(x, -1)                 // rows that sum to 1
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation, type TensorLike } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { clip, minimum, multiply, subtract } from './arithmetic.ts';
import { where } from './logic.ts';
import { compare, minus, over, plain, plus, select, times } from './primitives.ts';
import {
  axisOf,
  constantLike,
  type Floating,
  reduceAxes,
  requireTensor,
  requireTensors,
  shiftOf,
  spread,
  toFloat,
} from './support.ts';
import { abs, erf, exp, expm1, log1p, negative, tanh } from './unary.ts';

type Activation = <D extends DType>(x: Tensor<D>) => Tensor<Floating<D>>;

const activation = (name: string, body: (x: Tensor) => Tensor): Activation =>
  operation<[x: Tensor], Tensor>(name, (x) => {
    requireTensor(name, x);
    return body(toFloat(x));
  }) as Activation;

/** `max(x, 0)`, of the same dtype. The gradient at 0 is 0. */
export const relu = operation<[x: Tensor], Tensor>('relu', (x) => {
  requireTensor('relu', x);
  const zero = constantLike(x, 0);
  return select(compare(x, 'LE', 0), zero, x);
}) as <D extends DType>(x: Tensor<D>) => Tensor<D>;

/** `min(max(x, 0), 6)`, of the same dtype. */
export const relu6 = operation<[x: Tensor], Tensor>('relu6', (x) => minimum(relu(x), 6)) as <D extends DType>(
  x: Tensor<D>,
) => Tensor<D>;

export interface LeakyReluOptions {
  /** Slope below 0: 0.01 unless given. */
  readonly negativeSlope?: number;
}

/** `x` above 0, `negativeSlope * x` below. */
export const leakyRelu = operation<[x: Tensor, options?: LeakyReluOptions], Tensor>(
  'leakyRelu',
  (operand, { negativeSlope = 0.01 }: LeakyReluOptions = {}) => {
    requireTensor('leakyRelu', operand);
    const x = toFloat(operand);
    return select(compare(x, 'LT', 0), times(x, negativeSlope), x);
  },
) as <D extends DType>(x: Tensor<D>, options?: LeakyReluOptions) => Tensor<Floating<D>>;

/** `x` above 0, `weight * x` below; the weight is learned. */
export const prelu = operation<[x: Tensor, weight: TensorLike], Tensor>(
  'prelu',
  (x, weight) => {
    const [operand, slope] = requireTensors('prelu', x, weight);
    return where(compare(operand, 'LT', 0), multiply(slope, operand), operand);
  },
  { operands: [0, 1] },
);

/**
 * Whether `x` is below 0, and `-|x|`. One question decides both, so that what is put together of them has the slope of
 * one side at 0, whatever `abs` has there.
 */
function signed(x: Tensor): { readonly below: Tensor; readonly distance: Tensor } {
  const below = compare(x, 'LT', 0);
  return { below, distance: select(below, x, negative(x)) };
}

/** `1 / (1 + exp(-x))`, accurate in both tails: the exponential is taken of `-|x|`. */
export const sigmoid = activation('sigmoid', (x) => {
  const { below, distance } = signed(x);
  const e = exp(distance);
  const one = constantLike(x, 1);
  return over(select(below, e, one), plus(one, e));
});

/** `log(sigmoid(x))` without loss in the tails. */
export const logSigmoid = activation('logSigmoid', (x) => negative(softplus(negative(x))));

/** `x * sigmoid(x)`, also called swish. */
export const silu = activation('silu', (x) => multiply(x, sigmoid(x)));

/** `log(1 + exp(x))`, as `max(x, 0) + log1p(exp(-|x|))`; its slope at 0 is 1/2. */
export const softplus = activation('softplus', (x) => {
  const { below, distance } = signed(x);
  return plus(select(below, constantLike(x, 0), x), log1p(exp(distance)));
});

/** `x * tanh(softplus(x))`. */
export const mish = activation('mish', (x) => multiply(x, tanh(softplus(x))));

/** `x / (1 + |x|)`. */
export const softsign = activation('softsign', (x) => over(x, plus(constantLike(x, 1), abs(x))));

/** `min(max(x, -1), 1)`. */
export const hardtanh = activation('hardtanh', (x) => clip(x, -1, 1));

/** `relu6(x + 3) / 6`. */
export const hardsigmoid = activation('hardsigmoid', (x) => over(relu6(plus(x, 3)), 6));

/** `x * hardsigmoid(x)`. */
export const hardswish = activation('hardswish', (x) => multiply(x, hardsigmoid(x)));

export interface GeluOptions {
  /** `'none'` (default) is `x Φ(x)` through erf; `'tanh'` the approximation through tanh. */
  readonly approximate?: 'none' | 'tanh';
}

/**
 * Gaussian error linear unit `x Φ(x)` (Hendrycks and Gimpel, 2016).
 * @throws KilnError `invalid_argument` for an unknown approximation
 */
export const gelu = operation<[x: Tensor, options?: GeluOptions], Tensor>(
  'gelu',
  (operand, { approximate = 'none' }: GeluOptions = {}) => {
    requireTensor('gelu', operand);
    const x = toFloat(operand);
    const weighted = (sigmoidal: Tensor): Tensor => multiply(times(x, 0.5), plus(constantLike(x, 1), sigmoidal));
    if (approximate === 'none') return weighted(erf(times(x, Math.SQRT1_2)));
    if (approximate === 'tanh') {
      const cubic = times(multiply(multiply(x, x), x), 0.044715);
      return weighted(tanh(times(plus(x, cubic), Math.sqrt(2 / Math.PI))));
    }
    throw new KilnError('invalid_argument', 'gelu: no such approximation', {
      given: String(approximate),
      expected: "'none' or 'tanh'",
    });
  },
) as <D extends DType>(x: Tensor<D>, options?: GeluOptions) => Tensor<Floating<D>>;

export interface EluOptions {
  /** What the function tends to far below 0, negated: 1 unless given. */
  readonly alpha?: number;
}

/** The branch `expm1(x)` below 0, of finite arguments only. */
const expm1Below = (x: Tensor, above: Tensor): Tensor => expm1(select(above, constantLike(x, 0), x));

/** `x` above 0, `alpha * (exp(x) - 1)` below. */
export const elu = operation<[x: Tensor, options?: EluOptions], Tensor>(
  'elu',
  (operand, { alpha = 1 }: EluOptions = {}) => {
    requireTensor('elu', operand);
    const x = toFloat(operand);
    const above = compare(x, 'GT', 0);
    return select(above, x, times(expm1Below(x, above), alpha));
  },
) as <D extends DType>(x: Tensor<D>, options?: EluOptions) => Tensor<Floating<D>>;

/** Scaled elu with the constants of self-normalising networks (Klambauer et al., 2017). */
export const selu = activation('selu', (x) => {
  const above = compare(x, 'GT', 0);
  return times(select(above, x, times(expm1Below(x, above), 1.6732632423543772)), 1.0507009873554805);
});

// Over an axis.

const overAxis = (name: string, body: (x: Tensor, axes: readonly number[]) => Tensor) =>
  operation<[x: Tensor, axis?: number], Tensor>(name, (x, axis = -1) => {
    requireTensor(name, x);
    return body(toFloat(x), [axisOf(name, axis, x.ndim)]);
  }) as <D extends DType>(x: Tensor<D>, axis?: number) => Tensor<Floating<D>>;

/** `x` with the greatest element along axes taken out, which no exponential overflows. */
const shifted = (x: Tensor, axes: readonly number[]): Tensor => minus(x, spread(shiftOf(x, axes), x.type.shape, axes));

/**
 * `exp(x) / Σ exp(x)` along an axis.
 * @param axis the last unless given
 * @throws KilnError `invalid_argument` for an axis out of range
 */
export const softmax = overAxis('softmax', (x, axes) => {
  const e = exp(shifted(x, axes));
  return over(e, spread(reduceAxes(e, 'sum', axes), x.type.shape, axes));
});

/** `log(softmax(x))` without loss where it is small. @throws KilnError `invalid_argument` for an axis out of range */
export const logSoftmax = overAxis('logSoftmax', (x, axes) => {
  const z = shifted(x, axes);
  const total = plain('log', reduceAxes(exp(z), 'sum', axes));
  return subtract(z, spread(total, x.type.shape, axes));
});

/** Methods of this family; each does what the function of its name does. */
export interface ActivationMethods<D extends DType> {
  relu(): Tensor<D>;
  relu6(): Tensor<D>;
  leakyRelu(options?: LeakyReluOptions): Tensor<Floating<D>>;
  prelu(weight: TensorLike): Tensor;
  sigmoid(): Tensor<Floating<D>>;
  logSigmoid(): Tensor<Floating<D>>;
  silu(): Tensor<Floating<D>>;
  softplus(): Tensor<Floating<D>>;
  mish(): Tensor<Floating<D>>;
  softsign(): Tensor<Floating<D>>;
  hardtanh(): Tensor<Floating<D>>;
  hardsigmoid(): Tensor<Floating<D>>;
  hardswish(): Tensor<Floating<D>>;
  gelu(options?: GeluOptions): Tensor<Floating<D>>;
  elu(options?: EluOptions): Tensor<Floating<D>>;
  selu(): Tensor<Floating<D>>;
  softmax(axis?: number): Tensor<Floating<D>>;
  logSoftmax(axis?: number): Tensor<Floating<D>>;
}
