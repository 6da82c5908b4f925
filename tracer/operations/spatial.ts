/**
 * What convolution and pooling share: options for each spatial axis, padding by name, and the two layouts.
 *
 *     perAxis('conv2d', 'stride', 2, 2, 1)                           // [2, 2]
 *     paddingOf('conv2d', 'same', [32, 32], [3, 3], [1, 1])          // [[1, 1], [1, 1]]
 */
import type { Dim } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { describe, range, requireStatic } from './support.ts';

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

/**
 * `'valid'` (none), `'same'` (the result has `ceil(size / stride)` elements along an axis; an odd one goes to the end),
 * or how many zeros on both sides: one number, one for each axis, or `[before, after]` for each axis.
 */
export type Padding = 'valid' | 'same' | number | readonly (number | readonly [number, number])[];

/** Where the channels are: second (`'NCHW'`, also for one and three dimensions), or last. */
export type Layout = 'NCHW' | 'NHWC';

type Pair = readonly [number, number];

/** One integer of at least `least` for each of `count` axes. @throws KilnError `invalid_argument` */
export function perAxis(op: string, what: string, given: PerAxis, count: number, least: number): readonly number[] {
  const list = typeof given === 'number' ? range(count).map(() => given) : given;
  const fits = Array.isArray(list) && list.length === count && list.every((n) => Number.isSafeInteger(n) && n >= least);
  if (fits) return list;
  throw new KilnError('invalid_argument', `${op}: ${what} does not fit`, {
    given: JSON.stringify(given),
    expected: `an integer of at least ${least}, or ${count} of them`,
  });
}

/** Padding of each axis; `'same'` as XLA's SAME. */
export function paddingOf(
  op: string,
  padding: Padding,
  sizes: readonly Dim[],
  reach: readonly number[],
  strides: readonly number[],
): readonly Pair[] {
  if (padding === 'valid') return sizes.map((): Pair => [0, 0]);
  if (padding === 'same') {
    return sizes.map((size, axis): Pair => {
      const stride = strides[axis];
      const n = stride === 1 ? 0 : requireStatic(op, size, "an axis padded with 'same' and a stride");
      const total = Math.max(
        0,
        stride === 1 ? reach[axis] - 1 : (Math.ceil(n / stride) - 1) * stride + reach[axis] - n,
      );
      return [Math.floor(total / 2), Math.ceil(total / 2)];
    });
  }
  const list = typeof padding === 'number' ? sizes.map(() => padding) : padding;
  const pairs = Array.isArray(list) ? list.map((p): Pair => (typeof p === 'number' ? [p, p] : (p as Pair))) : [];
  const fits = pairs.length === sizes.length && pairs.every((p) => p.length === 2 && p.every(Number.isSafeInteger));
  if (fits) return pairs;
  throw new KilnError('invalid_argument', `${op}: padding does not fit`, {
    given: JSON.stringify(padding),
    expected: `'same', 'valid', an integer, or one integer or [before, after] for each of ${sizes.length} axes`,
  });
}

/** Runs `body` on `x` as `[N, C, ...spatial]` and brings its result back to the layout and rank of `x`. */
export function inChannelsFirst(
  op: string,
  x: Tensor,
  spatial: number,
  layout: Layout,
  body: (x: Tensor) => Tensor,
): Tensor {
  if (layout !== 'NCHW' && layout !== 'NHWC') {
    throw new KilnError('invalid_argument', `${op}: no such layout`, {
      given: String(layout),
      expected: "'NCHW' or 'NHWC'",
    });
  }
  if (x.ndim !== spatial + 1 && x.ndim !== spatial + 2) {
    throw new KilnError('shape_mismatch', `${op}: rank of the input`, {
      given: describe(x),
      expected: `${spatial + 2} axes (batch, channels, ${spatial} spatial), or ${spatial + 1} without batch`,
    });
  }
  const single = x.ndim === spatial + 1;
  const batch = single ? emit('reshape', [x], { shape: [1, ...x.type.shape] }) : x;
  const space = range(spatial);
  const last = layout === 'NHWC';
  const first = last
    ? emit('transpose', [batch], { permutation: [0, spatial + 1, ...space.map((i) => i + 1)] })
    : batch;
  const result = body(first);
  const back = last ? emit('transpose', [result], { permutation: [0, ...space.map((i) => i + 2), 1] }) : result;
  return single ? emit('reshape', [back], { shape: back.type.shape.slice(1) }) : back;
}
