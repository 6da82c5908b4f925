/**
 * Recognises contractions over windows: products whose right factor depends on positions and taps only through sums of
 * the two, as a convolution's does. Such a factor is an image that overlapping windows look at, and is computed once
 * for each element of the image, not once for each element of each window.
 *
 *     reduce c < 64, r < 3, t < 3 { ... x[3136*c + 56*(h + r) + (w + t) - 57] when 0 <= h + r - 1 ... }
 *
 *     lines     h with tap r, stride 1, dilation 1        columns   w with tap t        depth   [c]
 */
import type { Axis } from '../../../ir/kernel.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Sum } from '../../common/products.ts';
import type { Contraction } from '../contraction/match.ts';
import {
  type CountedAxis,
  countOf,
  type Direction,
  directionOf,
  flatIndices,
  isCounted,
  lengthOf,
  phaseCount,
  single,
} from './directions.ts';
import type { ImageSource } from './image.ts';

export interface WindowContraction {
  readonly contraction: Contraction;
  readonly sum: Sum;
  readonly row: CountedAxis;
  readonly lines: Direction;
  readonly columns: Direction;
  /** Outer axes of the contraction but for the lines: the image's own, and those that only the left factor has. */
  readonly outer: readonly CountedAxis[];
  readonly imageAxes: readonly CountedAxis[];
  readonly reduced: readonly CountedAxis[];
  /** Its planes: one for each element of the image's outer axes, and of the reduce axes that are no taps. */
  readonly image: ImageSource;
}

/** Images with more elements than this are not kept whole. */
const longestImage = 2 ** 26;
const mostPhases = 16;

/** The contraction as one over windows, if it is one and an image pays. */
export function matchWindow(contraction: Contraction): WindowContraction | undefined {
  const { sums, row, column, outer } = contraction;
  const [sum] = sums;
  if (sums.length !== 1 || contraction.lets.length > 0) return undefined;
  const { left, right, reduced } = sum;
  if (![row, column, ...outer].every(isCounted) || !reduced.every(isCounted)) return undefined;
  const flat = flatIndices(right.lets);
  if (!flat) return undefined;
  const isOwn = ({ name }: Axis): boolean => right.axes.has(name) && !left.axes.has(name);
  const taken = new Set<string>();
  const columns = directionOf(flat, column as CountedAxis, reduced, taken);
  if (columns.tap) taken.add(columns.tap.name);
  const line = [...outer].reverse().find(isOwn) as CountedAxis | undefined;
  const lines = line ? directionOf(flat, line, reduced, taken) : single;
  if (lines.tap) taken.add(lines.tap.name);
  const others = outer.filter((axis) => axis !== line) as CountedAxis[];
  const depth = reduced.filter(({ name }) => !taken.has(name));
  const imageAxes = others.filter(({ name }) => right.axes.has(name));
  const { value, lets } = right;
  const image: ImageSource = { value, lets, dtype: sum.dtype, lines, columns, axes: [...imageAxes, ...depth] };
  const found: WindowContraction = {
    contraction,
    sum,
    row: row as CountedAxis,
    lines,
    columns,
    outer: others,
    imageAxes,
    reduced,
    image,
  };
  return pays(found) ? found : undefined;
}

/** Whether windows overlap, or would be gathered element by element, and the image is not longer than all windows. */
function pays({ sum, lines, columns, imageAxes, reduced, image: { axes } }: WindowContraction): boolean {
  const positions = (lines.position?.extent ?? 1) * (columns.position?.extent ?? 1);
  const image = countOf(axes) * lengthOf(lines) * lengthOf(columns);
  const windows = countOf(imageAxes) * countOf(reduced) * positions;
  if (phaseCount(lines) * phaseCount(columns) > mostPhases || image > longestImage) return false;
  if (lines.tap || columns.tap) return image < windows;
  const last = reduced[reduced.length - 1].name;
  // What lies along the sum is packed in squares of four by four.
  const isGathered = sum.right.lets.some(
    ({ expression }) =>
      expression.kind === 'load' &&
      coefficientOf(expression.index, columns.position!.name) !== 1 &&
      coefficientOf(expression.index, last) !== 1,
  );
  return isGathered && image <= windows;
}
