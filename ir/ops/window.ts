/**
 * The arithmetic of windows that slide over an axis, which `pad`, `convolution` and `reduce_window` share.
 *
 * Size 8 with padding [1, 1], window 3 and stride 2 has floor((1 + 8 + 1 - 3) / 2) + 1 = 4 windows; of size B it has
 * floordiv(B-1,2)+1, which the bounds of B must make certain not to be negative.
 */
import { addDims, type Dim, floorDivDims, isAtMostDim, mulDims, subDims } from '../../base/dim.ts';
import { violate } from './definition.ts';

const hint = 'give the symbolic size tighter bounds or make it a fixed number';

/** Size of an axis with `dilation - 1` gaps between neighbours: `(size - 1) * dilation + 1`, and 0 for 0. */
export function dilatedSize(label: string, size: Dim, dilation: number, given: () => string): Dim {
  if (dilation === 1) return size;
  if (size === 0) return 0;
  if (isAtMostDim(1, size) !== 'always') violate(label, 'unknown_size', given(), hint);
  return addDims(mulDims(subDims(size, 1), dilation), 1);
}

/** How many positions a window has on an axis: `floor((low + size + high - window) / stride) + 1`, or 0. */
export function windowCount(
  label: string,
  size: Dim,
  [low, high]: readonly [Dim, Dim],
  window: Dim,
  stride: number,
  given: () => string,
): Dim {
  const slack = subDims(addDims(size, addDims(low, high)), window);
  if (typeof slack === 'number') return slack < 0 ? 0 : Math.floor(slack / stride) + 1;
  if (isAtMostDim(-stride, slack) === 'always') return addDims(floorDivDims(slack, stride), 1);
  if (isAtMostDim(slack, -1) === 'always') return 0;
  return violate(label, 'unknown_size', given(), hint);
}
