/**
 * Pooling: the maximum or mean of windows that slide over one to three spatial axes, with the meaning of
 * `torch.nn.functional`.
 *
 *     maxPool2d(x, 2)                                   // f32[8,3,16,16] of f32[8,3,32,32]
 *     avgPool2d(x, 3, { stride: 1, padding: 1 })
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { WindowReduceKind } from '../../ir/opcodes.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { over } from './primitives.ts';
import { inChannelsFirst, type Layout, type Padding, type PerAxis, paddingOf, perAxis } from './spatial.ts';
import { constant, constantLike, type Floating, requireTensor, toFloat } from './support.ts';

export interface MaxPoolOptions {
  /** Distance between windows; the size of the window unless given. */
  readonly stride?: PerAxis;
  /** As for convolutions; padding never wins. */
  readonly padding?: Padding;
  /** Distance between the elements of a window. */
  readonly dilation?: PerAxis;
  readonly layout?: Layout;
}

export interface AvgPoolOptions {
  /** Distance between windows; the size of the window unless given. */
  readonly stride?: PerAxis;
  readonly padding?: Padding;
  /** Whether padding counts as zeros in the mean (true unless given) or is left out of it. */
  readonly countIncludePad?: boolean;
  readonly layout?: Layout;
}

interface Windows {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding;
}

function windowsOf(op: string, kernelSize: PerAxis, spatial: number, options: MaxPoolOptions): Windows {
  const window = perAxis(op, 'the window', kernelSize, spatial, 1);
  return {
    window,
    strides: perAxis(op, 'stride', options.stride ?? window, spatial, 1),
    dilations: perAxis(op, 'dilation', options.dilation ?? 1, spatial, 1),
    padding: options.padding ?? 0,
  };
}

/** One reduction of windows over the spatial axes of `[N, C, ...spatial]`. */
function reduceWindows(op: string, x: Tensor, kind: WindowReduceKind, windows: Windows): Tensor {
  const { window, strides, dilations, padding } = windows;
  const reach = window.map((size, i) => (size - 1) * dilations[i] + 1);
  const pairs = paddingOf(op, padding, x.type.shape.slice(2), reach, strides);
  const tooMuch = typeof padding !== 'string' && pairs.some((pair, i) => pair.some((n) => n < 0 || 2 * n > reach[i]));
  if (tooMuch) {
    throw new KilnError('invalid_argument', `${op}: padding is at most half the window`, {
      given: `padding ${JSON.stringify(padding)}, window [${window}]`,
    });
  }
  return emit('reduce_window', [x], {
    kind,
    window: [1, 1, ...window],
    strides: [1, 1, ...strides],
    padding: [[0, 0], [0, 0], ...pairs],
    base_dilation: [1, 1, ...window.map(() => 1)],
    window_dilation: [1, 1, ...dilations],
  });
}

type MaxPool = <D extends DType>(x: Tensor<D>, kernelSize: PerAxis, options?: MaxPoolOptions) => Tensor<Floating<D>>;

const maxPool = (op: string, spatial: number): MaxPool =>
  operation<[x: Tensor, kernelSize: PerAxis, options?: MaxPoolOptions], Tensor>(
    op,
    (x, kernelSize, options: MaxPoolOptions = {}) => {
      requireTensor(op, x);
      const windows = windowsOf(op, kernelSize, spatial, options);
      return inChannelsFirst(op, toFloat(x), spatial, options.layout ?? 'NCHW', (input) =>
        reduceWindows(op, input, 'max', windows),
      );
    },
  ) as MaxPool;

/**
 * Greatest element of each window along one spatial axis.
 * @param x `[batch, channels, length]` or without batch
 * @param kernelSize size of the window
 * @throws KilnError `shape_mismatch` for another rank, `invalid_argument` for options out of range
 */
export const maxPool1d = maxPool('maxPool1d', 1);

/** Greatest element of each window over two spatial axes, as `maxPool1d`. */
export const maxPool2d = maxPool('maxPool2d', 2);

/** Greatest element of each window over three spatial axes, as `maxPool1d`. */
export const maxPool3d = maxPool('maxPool3d', 3);

type AvgPool = <D extends DType>(x: Tensor<D>, kernelSize: PerAxis, options?: AvgPoolOptions) => Tensor<Floating<D>>;

const avgPool = (op: string, spatial: number): AvgPool =>
  operation<[x: Tensor, kernelSize: PerAxis, options?: AvgPoolOptions], Tensor>(
    op,
    (x, kernelSize, options: AvgPoolOptions = {}) => {
      requireTensor(op, x);
      const windows = windowsOf(op, kernelSize, spatial, options);
      return inChannelsFirst(op, toFloat(x), spatial, options.layout ?? 'NCHW', (input) => {
        const total = reduceWindows(op, input, 'sum', windows);
        const counts =
          (options.countIncludePad ?? true)
            ? constantLike(
                total,
                windows.window.reduce((a, b) => a * b, 1),
              )
            : reduceWindows(op, constant(input.dtype, input.type.shape, 1), 'sum', windows);
        return over(total, counts);
      });
    },
  ) as AvgPool;

/**
 * Mean of each window along one spatial axis.
 * @param x `[batch, channels, length]` or without batch
 * @param kernelSize size of the window
 * @throws KilnError `shape_mismatch` for another rank, `invalid_argument` for options out of range
 */
export const avgPool1d = avgPool('avgPool1d', 1);

/** Mean of each window over two spatial axes, as `avgPool1d`. */
export const avgPool2d = avgPool('avgPool2d', 2);

/** Mean of each window over three spatial axes, as `avgPool1d`. */
export const avgPool3d = avgPool('avgPool3d', 3);

/** Methods of this family; each does what the function of its name does. */
export interface PoolingMethods<D extends DType> {
  maxPool1d(kernelSize: PerAxis, options?: MaxPoolOptions): Tensor<Floating<D>>;
  maxPool2d(kernelSize: PerAxis, options?: MaxPoolOptions): Tensor<Floating<D>>;
  maxPool3d(kernelSize: PerAxis, options?: MaxPoolOptions): Tensor<Floating<D>>;
  avgPool1d(kernelSize: PerAxis, options?: AvgPoolOptions): Tensor<Floating<D>>;
  avgPool2d(kernelSize: PerAxis, options?: AvgPoolOptions): Tensor<Floating<D>>;
  avgPool3d(kernelSize: PerAxis, options?: AvgPoolOptions): Tensor<Floating<D>>;
}
