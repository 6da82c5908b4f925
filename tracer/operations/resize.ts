/**
 * Resizing of images, with the meaning of `torch.nn.functional.interpolate`: nearest neighbours, or linear between
 * neighbours along each axis. Positions are numbers of the shapes, so that a resize is loads at constant places.
 *
 *     interpolate(x, { scaleFactor: 2 })                            // f32[1,3,64,64] of f32[1,3,32,32]
 *     interpolate(x, { size: [50, 70], mode: 'bilinear' })
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { take } from './indexing.ts';
import { plus, times } from './primitives.ts';
import { inChannelsFirst, type Layout, type PerAxis, perAxis } from './spatial.ts';
import { convert, describe, expandAt, range, requireStatic, requireTensor, toFloat } from './support.ts';

export type InterpolateMode = 'nearest' | 'linear' | 'bilinear' | 'trilinear';

export interface InterpolateOptions {
  /** Sizes of the spatial axes of the result: this or `scaleFactor`. */
  readonly size?: PerAxis;
  /** What sizes are multiplied by, and rounded down. */
  readonly scaleFactor?: number | readonly number[];
  /** `'nearest'` unless given; the others are named after the number of spatial axes, 1 to 3. */
  readonly mode?: InterpolateMode;
  /** Whether the first and last elements of an axis stay where they are, rather than its ends. */
  readonly alignCorners?: boolean;
  readonly layout?: Layout;
}

const linearModes: readonly InterpolateMode[] = ['linear', 'bilinear', 'trilinear'];

/** How an axis is resized. */
interface Resize {
  readonly from: number;
  readonly to: number;
  /** Elements of the input for one of the result, where the caller gave it. */
  readonly scale: number | undefined;
}

/** The sizes of each spatial axis. @throws KilnError `invalid_argument` */
function resizesOf(sizes: readonly number[], { size, scaleFactor }: InterpolateOptions): readonly Resize[] {
  const count = sizes.length;
  if ((size === undefined) === (scaleFactor === undefined)) {
    throw new KilnError('invalid_argument', 'interpolate: size or scaleFactor, one of the two', {
      given: JSON.stringify({ size, scaleFactor }),
    });
  }
  if (size !== undefined) {
    const to = perAxis('interpolate', 'size', size, count, 1);
    return sizes.map((from, i) => ({ from, to: to[i], scale: undefined }));
  }
  const factors = typeof scaleFactor === 'number' ? range(count).map(() => scaleFactor) : (scaleFactor ?? []);
  if (factors.length !== count || !factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
    throw new KilnError('invalid_argument', 'interpolate: scaleFactor does not fit', {
      given: JSON.stringify(scaleFactor),
      expected: `a number above 0, or ${count} of them`,
    });
  }
  return sizes.map((from, i) => {
    const to = Math.floor(from * factors[i]);
    if (to >= 1) return { from, to, scale: 1 / factors[i] };
    throw new KilnError('invalid_argument', 'interpolate: nothing is left of an axis', {
      given: `${from} elements, scaleFactor ${factors[i]}`,
    });
  });
}

/** Neighbours of the elements of a result's axis, and how much of the second each takes. */
function neighbours(
  { from, to, scale }: Resize,
  alignCorners: boolean,
): readonly (readonly [number, number, number])[] {
  const step = alignCorners ? (to > 1 ? (from - 1) / (to - 1) : 0) : (scale ?? from / to);
  return range(to).map((i) => {
    const place = alignCorners ? i * step : Math.max(0, (i + 0.5) * step - 0.5);
    const first = Math.min(Math.floor(place), from - 1);
    return [first, Math.min(first + 1, from - 1), Math.min(place - first, 1)];
  });
}

const constant = (dtype: DType, data: readonly number[]): Tensor =>
  emit('constant', [], { value: { dtype, shape: [data.length], data: Float64Array.from(data) } });

const at = (x: Tensor, positions: readonly number[], axis: number): Tensor =>
  take(x, constant('int32', positions), axis, { mode: 'clamp' });

/** Each element of an axis `count` times. */
function repeated(x: Tensor, axis: number, count: number): Tensor {
  const { shape } = x.type;
  const spread = [...shape.slice(0, axis + 1), count, ...shape.slice(axis + 1)];
  const axes = range(shape.length).map((i) => (i <= axis ? i : i + 1));
  const size = requireStatic('interpolate', shape[axis], 'a spatial axis') * count;
  return emit('reshape', [expandAt(x, spread, axes)], { shape: shape.map((each, i) => (i === axis ? size : each)) });
}

function nearest(x: Tensor, axis: number, resize: Resize): Tensor {
  const { from, to, scale } = resize;
  const step = Math.fround(scale ?? from / to);
  const positions = range(to).map((i) => Math.min(Math.floor(Math.fround(i * step)), from - 1));
  const isRepeated = to % from === 0 && positions.every((position, i) => position === Math.floor(i / (to / from)));
  return isRepeated ? repeated(x, axis, to / from) : at(x, positions, axis);
}

function linear(x: Tensor, axis: number, resize: Resize, alignCorners: boolean): Tensor {
  const places = neighbours(resize, alignCorners);
  const pick = (side: 0 | 1): Tensor => {
    const read = at(
      x,
      places.map((place) => place[side]),
      axis,
    );
    const weights = places.map(([, , second]) => (side === 1 ? second : 1 - second));
    const weight = convert(constant('float32', weights.map(Math.fround)), x.dtype);
    return times(read, expandAt(weight, read.type.shape, [axis]));
  };
  return plus(pick(0), pick(1));
}

/**
 * Resizes the spatial axes of images, as `torch.nn.functional.interpolate`.
 * @param x `[batch, channels, ...spatial]` with one to three spatial axes of known size, or channels last (`layout`)
 * @param options `size` or `scaleFactor`; `mode`; `alignCorners` for linear modes
 * @returns the dtype of `x` for `'nearest'`, else its floating dtype
 * @throws KilnError `shape_mismatch` for another rank, `invalid_argument` for options that do not fit
 */
export const interpolate = operation<[x: Tensor, options: InterpolateOptions], Tensor>('interpolate', (x, options) => {
  requireTensor('interpolate', x);
  const { mode = 'nearest', alignCorners = false, layout = 'NCHW' } = options;
  const spatial = x.ndim - 2;
  if (spatial < 1 || spatial > 3) {
    throw new KilnError('shape_mismatch', 'interpolate: rank of the input', {
      given: describe(x),
      expected: 'batch, channels and one to three spatial axes',
    });
  }
  const isLinear = mode === linearModes[spatial - 1];
  if ((mode !== 'nearest' && !isLinear) || (alignCorners && !isLinear)) {
    throw new KilnError('invalid_argument', 'interpolate: no such mode for the input', {
      given: `${String(mode)}${alignCorners ? ' with alignCorners' : ''} for ${describe(x)}`,
      expected: `'nearest', or '${linearModes[spatial - 1]}', which alone may align corners`,
    });
  }
  return inChannelsFirst('interpolate', isLinear ? toFloat(x) : x, spatial, layout, (input) => {
    const sizes = input.type.shape.slice(2).map((size) => requireStatic('interpolate', size, 'a spatial axis'));
    return resizesOf(sizes, options).reduce((image, resize, i) => {
      if (resize.from === resize.to && resize.scale === undefined) return image;
      return isLinear ? linear(image, i + 2, resize, alignCorners) : nearest(image, i + 2, resize);
    }, input);
  });
}) as <D extends DType>(x: Tensor<D>, options: InterpolateOptions) => Tensor<D>;
