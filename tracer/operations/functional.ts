/**
 * Layers without parameters of their own, after `torch.nn.functional`: linear maps, embeddings, normalisation, dropout,
 * attention. Layers that hold parameters (`kilnjs/nn`) are built on these.
 *
 *     linear(x, w, b)                                  // f32[8,10] of f32[8,32], f32[10,32], f32[10]
 *     layerNorm(x, weight, bias, { axis: -1 })
 */
import { dimProduct } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { softmax } from './activations.ts';
import { add, divide, multiply, subtract } from './arithmetic.ts';
import { type TakeOptions, take } from './indexing.ts';
import { matmul } from './linear-algebra.ts';
import { less, where } from './logic.ts';
import { minus, over, plus, times } from './primitives.ts';
import { randomWords, unitFloats } from './random-bits.ts';
import { matrixTranspose, tril } from './shape.ts';
import {
  type Axes,
  axesOf,
  constant,
  constantLike,
  convert,
  describe,
  expandAt,
  expandTo,
  type Floating,
  range,
  reduceAxes,
  requireEqualSizes,
  requireTensor,
  sizeScalar,
  spread,
  toBool,
  toFloat,
  trailingOptions,
} from './support.ts';
import { rsqrt } from './unary.ts';

/**
 * `x @ weightᵀ + bias`.
 * @param x `[..., in]`
 * @param weight `[out, in]`, as torch has it
 * @param bias `[out]`
 * @throws KilnError `shape_mismatch`
 */
export const linear = operation<[x: Tensor, weight: Tensor, bias?: Tensor | null], Tensor>(
  'linear',
  (x, weight, bias) => {
    requireTensor('linear', x);
    requireTensor('linear', weight, 'the weight');
    const product = matmul(x, weight.ndim < 2 ? weight : matrixTranspose(weight));
    return bias === undefined || bias === null ? product : add(product, bias);
  },
);

/**
 * Rows of a table.
 * @param indices integers of any shape
 * @param weight the table `[rows, size]`
 * @returns `[...indices.shape, size]`
 * @throws KilnError `dtype_mismatch` for indices that are not integers
 */
export const embedding = operation<[indices: Tensor, weight: Tensor, options?: TakeOptions], Tensor>(
  'embedding',
  (indices, weight, options) => take(weight, indices, 0, options),
) as <D extends DType>(indices: Tensor, weight: Tensor<D>, options?: TakeOptions) => Tensor<D>;

// Normalisation.

export interface NormalizationOptions {
  /** Axes that are normalised over: those of the weight, aligned at the last; without a weight the last. */
  readonly axis?: Axes;
  /** Added to the variance: 1e-5 unless given. */
  readonly eps?: number;
}

function normalizedAxes(op: string, x: Tensor, weight: Tensor | null | undefined, axis: Axes | undefined): number[] {
  if (axis !== undefined) return axesOf(op, axis, x.ndim);
  const count = weight ? weight.ndim : 1;
  return axesOf(
    op,
    range(count).map((i) => i - count),
    x.ndim,
  );
}

function meanAlong(x: Tensor, axes: readonly number[]): Tensor {
  const total = reduceAxes(x, 'sum', axes);
  const size = sizeScalar(dimProduct(axes.map((axis) => x.type.shape[axis])), x.dtype);
  return over(total, expandTo(size, total.type.shape));
}

/** `x / sqrt(mean square + eps)` along axes. */
function scaledToUnit(x: Tensor, axes: readonly number[], eps: number): Tensor {
  const power = meanAlong(times(x, x), axes);
  const factor = rsqrt(plus(power, eps));
  return times(x, spread(factor, x.type.shape, axes));
}

/** A parameter with one element for each place along the normalised axes, repeated along the others. */
function parameterLike(op: string, what: string, parameter: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  requireTensor(op, parameter, what);
  const given = `${what} ${describe(parameter)} for ${describe(x)}, axes [${axes}]`;
  if (parameter.ndim !== axes.length) {
    throw new KilnError('shape_mismatch', `${op}: ${what} does not have the normalised shape`, { given });
  }
  axes.forEach((axis, i) => {
    requireEqualSizes(
      op,
      parameter.type.shape[i],
      x.type.shape[axis],
      `${what} does not have the normalised shape`,
      given,
    );
  });
  return expandAt(convert(parameter, x.dtype), x.type.shape, axes);
}

type LayerNorm = <D extends DType>(
  x: Tensor<D>,
  weight?: Tensor | NormalizationOptions | null,
  bias?: Tensor | NormalizationOptions | null,
  options?: NormalizationOptions,
) => Tensor<Floating<D>>;

/**
 * `(x - mean) / sqrt(variance + eps) * weight + bias` along axes (Ba et al., 2016), the variance in two passes.
 * @param weight and bias of the normalised shape; either may be left out, the options then follow what is there
 * @throws KilnError `shape_mismatch` for parameters of another shape, `invalid_argument` for a bad axis
 */
export const layerNorm = operation<
  [
    x: Tensor,
    weight?: Tensor | NormalizationOptions | null,
    bias?: Tensor | NormalizationOptions | null,
    options?: NormalizationOptions,
  ],
  Tensor
>('layerNorm', (operand, ...rest) => {
  requireTensor('layerNorm', operand);
  const {
    operands: [weight, bias],
    options = {},
  } = trailingOptions<NormalizationOptions>(rest);
  const { axis, eps = 1e-5 } = options;
  const x = toFloat(operand);
  const axes = normalizedAxes('layerNorm', x, weight ?? bias, axis);
  const centred = minus(x, spread(meanAlong(x, axes), x.type.shape, axes));
  let result = scaledToUnit(centred, axes, eps);
  if (weight) result = times(result, parameterLike('layerNorm', 'the weight', weight, result, axes));
  if (bias) result = plus(result, parameterLike('layerNorm', 'the bias', bias, result, axes));
  return result;
}) as LayerNorm;

/**
 * `x / sqrt(mean(x²) + eps) * weight` along axes (Zhang and Sennrich, 2019).
 * @param weight of the normalised shape
 * @throws KilnError `shape_mismatch` for a weight of another shape, `invalid_argument` for a bad axis
 */
export const rmsNorm = operation<
  [x: Tensor, weight?: Tensor | NormalizationOptions | null, options?: NormalizationOptions],
  Tensor
>('rmsNorm', (operand, ...rest) => {
  requireTensor('rmsNorm', operand);
  const {
    operands: [weight],
    options = {},
  } = trailingOptions<NormalizationOptions>(rest);
  const { axis, eps = 1e-5 } = options;
  const x = toFloat(operand);
  const axes = normalizedAxes('rmsNorm', x, weight, axis);
  const result = scaledToUnit(x, axes, eps);
  return weight ? times(result, parameterLike('rmsNorm', 'the weight', weight, result, axes)) : result;
}) as <D extends DType>(
  x: Tensor<D>,
  weight?: Tensor | NormalizationOptions | null,
  options?: NormalizationOptions,
) => Tensor<Floating<D>>;

// Dropout.

export interface DropoutOptions {
  /** Probability that an element becomes 0: 0.5 unless given. */
  readonly p?: number;
  /** Whether anything is dropped at all: true unless given. */
  readonly training?: boolean;
}

/**
 * Elements set to 0 at random, the others divided by `1 - p`.
 * @param key a random key
 * @throws KilnError `invalid_argument` for a `p` outside [0, 1] or what is no key
 */
export const dropout = operation<[x: Tensor, key: Tensor, options?: DropoutOptions], Tensor>(
  'dropout',
  (operand, key, { p = 0.5, training = true }: DropoutOptions = {}) => {
    requireTensor('dropout', operand);
    if (!(p >= 0 && p <= 1)) {
      throw new KilnError('invalid_argument', 'dropout: p is not a probability', {
        given: String(p),
        expected: '0 to 1',
      });
    }
    const x = toFloat(operand);
    if (!training || p === 0) return x;
    const zero = constantLike(x, 0);
    if (p === 1) return zero;
    const kept = less(unitFloats(randomWords('dropout', key, x.type.shape)), 1 - p);
    return where(kept, divide(x, 1 - p), zero);
  },
) as <D extends DType>(x: Tensor<D>, key: Tensor, options?: DropoutOptions) => Tensor<Floating<D>>;

// Attention.

export interface AttentionOptions {
  /** Bool: true where a query may look at a key. Float: added to the scores. Broadcasts to `[..., queries, keys]`. */
  readonly mask?: Tensor;
  /** Each query looks only at keys up to its own position. */
  readonly isCausal?: boolean;
  /** Factor of the scores: `1 / sqrt(size)` unless given. */
  readonly scale?: number;
}

/**
 * `softmax(query @ keyᵀ * scale + mask) @ value`.
 * @param query `[..., queries, size]`
 * @param key `[..., keys, size]`
 * @param value `[..., keys, out]`
 * @throws KilnError `shape_mismatch`, `unknown_size`
 */
export const scaledDotProductAttention = operation<
  [query: Tensor, key: Tensor, value: Tensor, options?: AttentionOptions],
  Tensor
>('scaledDotProductAttention', (query, key, value, { mask, isCausal = false, scale }: AttentionOptions = {}) => {
  const op = 'scaledDotProductAttention';
  for (const x of [query, key, value]) requireTensor(op, x);
  if (query.ndim < 2 || key.ndim < 2) {
    throw new KilnError('shape_mismatch', `${op}: operands are matrices`, {
      given: `${describe(query)} and ${describe(key)}`,
    });
  }
  const size = query.type.shape[query.ndim - 1];
  const factor = scale === undefined ? rsqrt(sizeScalar(size, 'float32')) : constant('float32', [], scale);
  let scores = multiply(matmul(query, matrixTranspose(key)), factor);
  const masked = (allowed: Tensor): Tensor => where(allowed, scores, constantLike(scores, Number.NEGATIVE_INFINITY));
  if (isCausal) scores = masked(tril(constant('bool', scores.type.shape.slice(-2), 1)));
  if (mask) scores = mask.dtype === 'bool' ? masked(toBool(mask)) : add(scores, mask);
  return matmul(softmax(scores, -1), value);
});

/** `(x - mean) / std`-like scaling with statistics that are given, as batch normalisation does at inference. */
export interface BatchNormOptions {
  /** The axis of the channels: 1 unless given. */
  readonly axis?: number;
  readonly eps?: number;
}

/**
 * `(x - mean) / sqrt(variance + eps) * weight + bias` for each channel, with statistics that are given.
 * @param mean, variance, weight and bias of shape `[channels]`
 * @throws KilnError `shape_mismatch` for another number of channels, `invalid_argument` for a bad axis
 */
export const batchNorm = operation<
  [x: Tensor, mean: Tensor, variance: Tensor, weight?: Tensor | null, bias?: Tensor | null, options?: BatchNormOptions],
  Tensor
>('batchNorm', (operand, mean, variance, weight, bias, { axis = 1, eps = 1e-5 }: BatchNormOptions = {}) => {
  requireTensor('batchNorm', operand);
  const x = toFloat(operand);
  const axes = axesOf('batchNorm', axis, x.ndim);
  const like = (what: string, parameter: Tensor): Tensor => parameterLike('batchNorm', what, parameter, x, axes);
  const factor = rsqrt(add(like('the variance', variance), eps));
  let result = multiply(subtract(x, like('the mean', mean)), factor);
  if (weight) result = multiply(result, like('the weight', weight));
  if (bias) result = add(result, like('the bias', bias));
  return result;
});
