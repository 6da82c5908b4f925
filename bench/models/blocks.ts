/**
 * Norms, softmaxes and losses by themselves, each forward and as a gradient: given the gradient of its result, the
 * gradients of its operands. The gradient recomputes of the forward pass what it needs.
 *
 *     rowBlocks({ rows: 256, size: 512 })
 *       softmax forward     (x) → y
 *       softmax gradient    (dy, x) → [dx]
 */
import { crossEntropy, layerNorm, logSoftmax, rmsNorm, softmax, type Tensor, vjp } from '../../index.ts';
import { defineModel, inputs, type Model } from './model.ts';

/** A block as two models. `result` is the shape of what it gives. */
function forwardAndGradient<A extends readonly Tensor[]>(
  name: string,
  fn: (...args: A) => Tensor,
  specs: () => readonly unknown[],
  result: readonly number[],
): Model[] {
  const gradient = (dy: Tensor, ...args: A) => {
    const [, pullback] = vjp(fn)(...args);
    return pullback(dy as never);
  };
  return [
    defineModel(`${name} forward`, fn, specs),
    defineModel(`${name} gradient`, gradient, () => [inputs.floats(result), ...specs()]),
  ];
}

export interface RowOptions {
  readonly rows: number;
  readonly size: number;
  /** Rows of a batch whose losses are averaged. */
  readonly batch: number;
}

/** Blocks over the rows of `x: f32[rows, size]`. */
export function rowBlocks({ rows, size, batch }: RowOptions): Model[] {
  const shape = [rows, size];
  const x = () => inputs.floats(shape, 2);
  const gain = () => inputs.gain([size]);
  const bias = () => inputs.floats([size], 0.1);
  return [
    ...forwardAndGradient(
      'softmax',
      (x: Tensor) => softmax(x),
      () => [x()],
      shape,
    ),
    ...forwardAndGradient(
      'logSoftmax',
      (x: Tensor) => logSoftmax(x),
      () => [x()],
      shape,
    ),
    ...forwardAndGradient(
      'layerNorm',
      (x: Tensor, weight: Tensor, bias: Tensor) => layerNorm(x, weight, bias),
      () => [x(), gain(), bias()],
      shape,
    ),
    ...forwardAndGradient(
      'rmsNorm',
      (x: Tensor, weight: Tensor) => rmsNorm(x, weight),
      () => [x(), gain()],
      shape,
    ),
    ...forwardAndGradient(
      'cross-entropy of rows',
      (logits: Tensor, labels: Tensor) => crossEntropy(logits, labels, { reduction: 'none' }),
      () => [x(), inputs.integers([rows], size)],
      [rows],
    ),
    ...forwardAndGradient(
      'mean cross-entropy',
      (logits: Tensor, labels: Tensor) => crossEntropy(logits, labels),
      () => [inputs.floats([batch, size], 2), inputs.integers([batch], size)],
      [],
    ),
  ];
}

/** Batch norm of training (Ioffe and Szegedy, 2015): the statistics of the batch itself, for each channel of NCHW. */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const axes = [0, 2, 3];
  const channel = (values: Tensor): Tensor => values.reshape([1, -1, 1, 1]);
  const centred = x.sub(x.mean(axes, { keepdims: true }));
  const variance = centred.square().mean(axes, { keepdims: true });
  return centred.mul(variance.add(1e-5).rsqrt()).mul(channel(weight)).add(channel(bias));
}

/** Mean and variance of each channel. */
export function batchStatistics(x: Tensor): [mean: Tensor, variance: Tensor] {
  const axes = [0, 2, 3];
  const mean = x.mean(axes, { keepdims: true });
  return [mean.reshape([-1]), x.sub(mean).square().mean(axes)];
}

export interface ImageOptions {
  readonly batch: number;
  readonly channels: number;
  readonly image: number;
}

export function batchNormBlocks({ batch, channels, image }: ImageOptions): Model[] {
  const shape = [batch, channels, image, image];
  const x = () => inputs.floats(shape, 2);
  const parameters = () => [inputs.gain([channels]), inputs.floats([channels], 0.1)];
  return [
    defineModel('batchNorm statistics', batchStatistics, () => [x()]),
    ...forwardAndGradient('batchNorm', batchNorm, () => [x(), ...parameters()], shape),
  ];
}
