/**
 * Convolution (cross-correlation, as in every deep learning library) and its transpose, in one to three spatial
 * dimensions, with the meaning of `torch.nn.functional`. The primitive has the layout `[N, C, ...spatial]`; a layout
 * with channels last is a transposition before and after.
 *
 *     conv2d(x, w, b, { stride: 2, padding: 'same' })     // f32[8,16,16,16] of f32[8,3,32,32] and f32[16,3,3,3]
 */
import { addDims, type Dim, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { plus } from './primitives.ts';
import { inChannelsFirst, type Layout, type Padding, type PerAxis, paddingOf, perAxis } from './spatial.ts';
import {
  convert,
  describe,
  expandAt,
  floatDType,
  promote,
  range,
  requireEqualSizes,
  requireStatic,
  requireTensor,
  trailingOptions,
} from './support.ts';

export interface ConvOptions {
  readonly stride?: PerAxis;
  readonly padding?: Padding;
  /** Distance between the elements of the kernel. */
  readonly dilation?: PerAxis;
  /** Channels are split into that many groups that do not see each other. */
  readonly groups?: number;
  /** Of `x` and of the result; the weight is always `[out, in / groups, ...kernel]`. */
  readonly layout?: Layout;
}

export interface ConvTransposeOptions {
  readonly stride?: PerAxis;
  /** How many elements to leave out on both sides. */
  readonly padding?: PerAxis;
  /** Further elements at the end of each axis, for sizes that several inputs share. */
  readonly outputPadding?: PerAxis;
  readonly dilation?: PerAxis;
  readonly groups?: number;
  readonly layout?: Layout;
}

function requireWeight(op: string, weight: Tensor, spatial: number): void {
  requireTensor(op, weight, 'the weight');
  if (weight.ndim === spatial + 2) return;
  throw new KilnError('shape_mismatch', `${op}: rank of the weight`, {
    given: describe(weight),
    expected: `${spatial + 2} axes: channels, channels, ${spatial} of the kernel`,
  });
}

function requireGroups(op: string, groups: number, ...channels: readonly Dim[]): void {
  const divides = channels.every((size) => !isStatic(size) || size % groups === 0);
  if (Number.isSafeInteger(groups) && groups >= 1 && divides) return;
  throw new KilnError('shape_mismatch', `${op}: groups do not divide the channels`, {
    given: `${String(groups)} groups, channels ${channels.join(' and ')}`,
  });
}

const kernelSizes = (op: string, weight: Tensor): number[] =>
  weight.type.shape.slice(2).map((size) => requireStatic(op, size, 'the kernel'));

/** `[N, C, ...spatial]` plus one number for each channel. */
function withBias(op: string, x: Tensor, bias: Tensor | null | undefined): Tensor {
  if (bias === null || bias === undefined) return x;
  requireTensor(op, bias, 'the bias');
  if (bias.ndim !== 1) throw new KilnError('shape_mismatch', `${op}: the bias has one axis`, { given: describe(bias) });
  requireEqualSizes(
    op,
    bias.type.shape[0],
    x.type.shape[1],
    'the bias has one element for each channel',
    `${describe(bias)} for ${describe(x)}`,
  );
  return plus(x, expandAt(convert(bias, x.dtype), x.type.shape, [1]));
}

type Conv = <D extends DType>(
  x: Tensor<D>,
  weight: Tensor,
  bias?: Tensor | ConvOptions | null,
  options?: ConvOptions,
) => Tensor<D>;

const convolution = (op: string, spatial: number): Conv =>
  operation<[x: Tensor, weight: Tensor, bias?: Tensor | ConvOptions | null, options?: ConvOptions], Tensor>(
    op,
    (x, weight, ...rest) => {
      requireTensor(op, x);
      requireWeight(op, weight, spatial);
      const {
        operands: [bias],
        options = {},
      } = trailingOptions<ConvOptions>(rest);
      const { stride = 1, padding = 0, dilation = 1, groups = 1, layout = 'NCHW' } = options;
      const dtype = floatDType(promote([x, weight]));
      const strides = perAxis(op, 'stride', stride, spatial, 1);
      const dilations = perAxis(op, 'dilation', dilation, spatial, 1);
      const reach = kernelSizes(op, weight).map((size, i) => (size - 1) * dilations[i] + 1);
      return inChannelsFirst(op, convert(x, dtype), spatial, layout, (input) => {
        const [, channels, ...sizes] = input.type.shape;
        const [outputs, perGroup] = weight.type.shape;
        requireGroups(op, groups, channels, outputs);
        const given = `${describe(x)} and weight ${describe(weight)} in ${groups} groups`;
        const wanted = isStatic(channels) ? channels / groups : channels;
        requireEqualSizes(op, wanted, perGroup, 'channels of the input and of the weight differ', given);
        const result = emit('convolution', [input, convert(weight, dtype)], {
          strides,
          padding: paddingOf(op, padding, sizes, reach, strides),
          lhs_dilation: strides.map(() => 1),
          rhs_dilation: dilations,
          groups,
        });
        return withBias(op, result, bias);
      });
    },
  ) as Conv;

/**
 * Convolution over one spatial axis.
 * @param x `[batch, channels, length]` or without batch
 * @param weight `[out, channels / groups, kernel]`
 * @param bias `[out]`; it may be left out, the options then follow the weight
 * @throws KilnError `shape_mismatch` when ranks or channels do not fit, `invalid_argument` for options out of range
 */
export const conv1d = convolution('conv1d', 1);

/** Convolution over two spatial axes: `x` is `[batch, channels, height, width]`; otherwise as `conv1d`. */
export const conv2d = convolution('conv2d', 2);

/** Convolution over three spatial axes: `x` is `[batch, channels, depth, height, width]`; otherwise as `conv1d`. */
export const conv3d = convolution('conv3d', 3);

/** `[in, out / groups, ...kernel]` as the weight `[out, in / groups, ...kernel]` of the convolution that undoes it. */
function turnedWeight(weight: Tensor, groups: number): Tensor {
  const [inputs, perGroup, ...kernel] = weight.type.shape as readonly number[];
  const grouped = emit('reshape', [weight], { shape: [groups, inputs / groups, perGroup, ...kernel] });
  const axes = range(kernel.length);
  const swapped = emit('transpose', [grouped], { permutation: [0, 2, 1, ...axes.map((i) => i + 3)] });
  const joined = emit('reshape', [swapped], { shape: [groups * perGroup, inputs / groups, ...kernel] });
  return emit('reverse', [joined], { axes: axes.map((i) => i + 2) });
}

type ConvTranspose = <D extends DType>(
  x: Tensor<D>,
  weight: Tensor,
  bias?: Tensor | ConvTransposeOptions | null,
  options?: ConvTransposeOptions,
) => Tensor<D>;

const transposed = (op: string, spatial: number): ConvTranspose =>
  operation<
    [x: Tensor, weight: Tensor, bias?: Tensor | ConvTransposeOptions | null, options?: ConvTransposeOptions],
    Tensor
  >(op, (x, weight, ...rest) => {
    requireTensor(op, x);
    requireWeight(op, weight, spatial);
    const {
      operands: [bias],
      options = {},
    } = trailingOptions<ConvTransposeOptions>(rest);
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1, layout = 'NCHW' } = options;
    const dtype = floatDType(promote([x, weight]));
    const dilations = perAxis(op, 'dilation', dilation, spatial, 1);
    const cropped = perAxis(op, 'padding', padding, spatial, 0);
    const extra = perAxis(op, 'outputPadding', outputPadding, spatial, 0);
    const reach = kernelSizes(op, weight).map((size, i) => (size - 1) * dilations[i]);
    weight.type.shape.slice(0, 2).map((size) => requireStatic(op, size, 'the channels'));
    return inChannelsFirst(op, convert(x, dtype), spatial, layout, (input) => {
      const channels = input.type.shape[1];
      const inputs = weight.type.shape[0];
      requireGroups(op, groups, inputs);
      requireEqualSizes(op, channels, inputs, 'channels differ', `${describe(x)} and weight ${describe(weight)}`);
      const result = emit('convolution', [input, turnedWeight(convert(weight, dtype), groups)], {
        strides: dilations.map(() => 1),
        padding: reach.map((n, i) => [n - cropped[i], addDims(n - cropped[i], extra[i])] as const),
        lhs_dilation: perAxis(op, 'stride', stride, spatial, 1),
        rhs_dilation: dilations,
        groups,
      });
      return withBias(op, result, bias);
    });
  }) as ConvTranspose;

/**
 * The transpose of `conv1d` (its gradient with respect to the input), along one spatial axis: the size becomes
 * `(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + outputPadding + 1`.
 * @param weight `[channels, out / groups, kernel]`
 * @throws KilnError `shape_mismatch`, `invalid_argument`
 */
export const convTranspose1d = transposed('convTranspose1d', 1);

/** The transpose of `conv2d`, as `convTranspose1d`. */
export const convTranspose2d = transposed('convTranspose2d', 2);

/** The transpose of `conv3d`, as `convTranspose1d`. */
export const convTranspose3d = transposed('convTranspose3d', 3);

/** Methods of this family; each does what the function of its name does. */
export interface ConvolutionMethods<D extends DType> {
  conv1d(weight: Tensor, bias?: Tensor | ConvOptions | null, options?: ConvOptions): Tensor<D>;
  conv2d(weight: Tensor, bias?: Tensor | ConvOptions | null, options?: ConvOptions): Tensor<D>;
  conv3d(weight: Tensor, bias?: Tensor | ConvOptions | null, options?: ConvOptions): Tensor<D>;
  convTranspose1d(
    weight: Tensor,
    bias?: Tensor | ConvTransposeOptions | null,
    options?: ConvTransposeOptions,
  ): Tensor<D>;
  convTranspose2d(
    weight: Tensor,
    bias?: Tensor | ConvTransposeOptions | null,
    options?: ConvTransposeOptions,
  ): Tensor<D>;
  convTranspose3d(
    weight: Tensor,
    bias?: Tensor | ConvTransposeOptions | null,
    options?: ConvTransposeOptions,
  ): Tensor<D>;
}
