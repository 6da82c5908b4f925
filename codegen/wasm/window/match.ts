/**
 * Recognises contractions over windows: products whose right factor depends on positions and taps only through sums of
 * the two, as a convolution's does. Such a factor is an image that overlapping windows look at, and is computed once for
 * each element of the image, not once for each element of each window.
 *
 *     reduce c < 64, r < 3, t < 3 { ... x[3136*c + 56*(h + r) + (w + t) - 57] when 0 <= h + r - 1 ... }
 *
 *     lines     h with tap r, stride 1, dilation 1        columns   w with tap t        depth   [c]
 *
 * With strides, the image is kept in phases: an element at `u = stride*h + dilation*r` is number `floor(u / stride)` of
 * phase `u mod stride`, and neighbours along `h` are neighbours in memory.
 */
import { addDims, isStatic, mulDims } from '../../../base/dim.ts';
import type { Axis, IndexExpression, IndexFactor, Let } from '../../../ir/kernel.ts';
import { coefficientOf, normalizeIndex } from '../../common/linear-index.ts';
import type { Contraction, Factor, Sum } from '../contraction/match.ts';

/** An axis whose extent is a number. */
export interface CountedAxis extends Axis {
  readonly extent: number;
}

/** How windows move along one axis of the image. */
export interface Direction {
  /** The parallel axis of the positions; absent where there is one position. */
  readonly position: CountedAxis | undefined;
  /** The reduce axis of the taps; absent where there is one tap. */
  readonly tap: CountedAxis | undefined;
  readonly stride: number;
  readonly dilation: number;
  /** The phases that taps look at, ascending, and how many elements of the image each has. */
  readonly phases: readonly { readonly phase: number; readonly extent: number }[];
}

export interface WindowContraction {
  readonly contraction: Contraction;
  readonly sum: Sum;
  readonly row: CountedAxis;
  readonly lines: Direction;
  readonly columns: Direction;
  /** Outer axes of the contraction but for the lines: the image's own, and those that only the left factor has. */
  readonly outer: readonly CountedAxis[];
  readonly imageAxes: readonly CountedAxis[];
  /** Reduce axes that are no taps: each of their elements has planes of its own. */
  readonly depth: readonly CountedAxis[];
  readonly reduced: readonly CountedAxis[];
}

/** Images with more elements than this are not kept whole. */
const longestImage = 2 ** 26;
const mostPhases = 16;

const isCounted = (axis: Axis): axis is CountedAxis => isStatic(axis.extent) && axis.extent > 0;
const product = (axes: readonly CountedAxis[]): number => axes.reduce((count, { extent }) => count * extent, 1);

/** The contraction as one over windows, if it is one and an image pays. */
export function matchWindow(contraction: Contraction): WindowContraction | undefined {
  const { sums, row, column, outer } = contraction;
  const [sum] = sums;
  if (sums.length !== 1 || contraction.lets.length > 0) return undefined;
  const { left, right, reduced } = sum;
  if (![row, column, ...outer].every(isCounted) || !reduced.every(isCounted)) return undefined;
  const flat = flatIndices(right);
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
  const found: WindowContraction = {
    contraction,
    sum,
    row: row as CountedAxis,
    lines,
    columns,
    outer: others,
    imageAxes,
    depth,
    reduced,
  };
  return pays(found) ? found : undefined;
}

const single: Direction = {
  position: undefined,
  tap: undefined,
  stride: 1,
  dilation: 1,
  phases: [{ phase: 0, extent: 1 }],
};

/** Elements of the image along a direction, all phases together. */
const lengthOf = ({ phases }: Direction): number => phases.reduce((size, { extent }) => size + extent, 0);

/** Whether windows overlap, or would be gathered element by element, and the image is not longer than all windows. */
function pays({ sum, lines, columns, depth, imageAxes, reduced }: WindowContraction): boolean {
  const positions = (lines.position?.extent ?? 1) * (columns.position?.extent ?? 1);
  const image = product(imageAxes) * product(depth) * lengthOf(lines) * lengthOf(columns);
  const windows = product(imageAxes) * product(reduced) * positions;
  if (lines.phases.length * columns.phases.length > mostPhases || image > longestImage) return false;
  if (lines.tap || columns.tap) return image < windows;
  const isGathered = sum.right.lets.some(
    ({ expression }) => expression.kind === 'load' && coefficientOf(expression.index, columns.position!.name) !== 1,
  );
  return isGathered && image <= windows;
}

/** Coefficients by axis, of an index and of what is divided in it, each by itself. */
type Flat = ReadonlyMap<string, number>;

/** Every linear expression in the indices of a factor; `undefined` where one depends on data or on symbols. */
function flatIndices({ lets }: Factor): readonly Flat[] | undefined {
  const found: Flat[] = [];
  const visit = (index: IndexExpression): boolean => {
    const flat = new Map<string, number>();
    found.push(flat);
    return normalizeIndex(index).terms.every(({ coefficient, factor }) => {
      if (factor.kind === 'value' || !isStatic(coefficient)) return false;
      if (factor.kind !== 'axis') return isStatic(factor.divisor) && visit(factor.dividend);
      flat.set(factor.axis, coefficient);
      return true;
    });
  };
  const isFlat = ({ expression }: Let): boolean =>
    (expression.kind !== 'load' && expression.kind !== 'index') || visit(expression.index);
  return lets.every(isFlat) ? found : undefined;
}

/**
 * How the windows move along a position's axis: with a reduce axis that always moves together with it. Of several, the
 * one whose steps are the shortest: a channel moves like a very long dilation. Windows that overlap too little are
 * not taken for such.
 */
function directionOf(
  flat: readonly Flat[],
  position: CountedAxis,
  reduced: readonly CountedAxis[],
  taken: ReadonlySet<string>,
): Direction {
  const candidates = reduced.flatMap((tap): Direction[] => {
    if (taken.has(tap.name)) return [];
    const steps = flat.map((terms) => [terms.get(position.name) ?? 0, terms.get(tap.name) ?? 0] as const);
    const [first] = steps.filter(([p]) => p !== 0);
    if (!first || first[0] * first[1] <= 0) return [];
    if (!steps.every(([p, t]) => p * first[1] === t * first[0])) return [];
    const divisor = greatestCommonDivisor(Math.abs(first[0]), Math.abs(first[1]));
    const [stride, dilation] = [Math.abs(first[0]) / divisor, Math.abs(first[1]) / divisor];
    const direction = { position, tap, stride, dilation, phases: phasesOf(position, tap, stride, dilation) };
    return lengthOf(direction) < position.extent * tap.extent ? [direction] : [];
  });
  const none = { position, tap: undefined, stride: 1, dilation: 1, phases: [{ phase: 0, extent: position.extent }] };
  return candidates.reduce<Direction>(
    (best, each) => (best.tap === undefined || each.dilation < best.dilation ? each : best),
    none,
  );
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function phasesOf(position: CountedAxis, tap: CountedAxis, stride: number, dilation: number): Direction['phases'] {
  const extents = new Map<number, number>();
  for (let t = 0; t < tap.extent; t++) {
    const phase = (dilation * t) % stride;
    extents.set(phase, position.extent + Math.floor((dilation * t) / stride));
  }
  return [...extents].sort(([a], [b]) => a - b).map(([phase, extent]) => ({ phase, extent }));
}

/** A place along a direction of the image, as a sum of axes. */
export interface Place {
  readonly direction: Direction;
  readonly at: IndexExpression;
}

/** The right factor's definitions at places of the image, in the place of positions and taps. */
export function atPlaces(lets: readonly Let[], places: readonly Place[]): readonly Let[] {
  const moved = (index: IndexExpression): IndexExpression => {
    let { offset } = index;
    const terms: IndexExpression['terms'][number][] = [];
    const units = new Map<Place, number>();
    for (const { coefficient, factor } of normalizeIndex(index).terms) {
      const place = factor.kind === 'axis' ? places.find((p) => isAlong(p.direction, factor.axis)) : undefined;
      if (!place) terms.push({ coefficient, factor: movedFactor(factor) });
      else if (factor.kind === 'axis' && factor.axis === place.direction.position?.name) {
        units.set(place, Number(coefficient) / place.direction.stride);
      }
    }
    for (const [{ at }, unit] of units) {
      offset = addDims(offset, mulDims(at.offset, unit));
      terms.push(...at.terms.map((t) => ({ coefficient: mulDims(t.coefficient, unit), factor: t.factor })));
    }
    return normalizeIndex({ offset, terms });
  };
  const movedFactor = (factor: IndexFactor): IndexFactor =>
    factor.kind === 'axis' || factor.kind === 'value' ? factor : { ...factor, dividend: moved(factor.dividend) };
  return lets.map((node): Let => {
    const { expression } = node;
    if (expression.kind !== 'load' && expression.kind !== 'index') return node;
    return { ...node, expression: { ...expression, index: moved(expression.index) } };
  });
}

const isAlong = ({ position, tap }: Direction, axis: string): boolean => axis === position?.name || axis === tap?.name;
