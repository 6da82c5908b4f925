/**
 * How windows move over an image: an index that grows with a position and with a tap alike, as `h` and `r` do in
 * `56*(h + r)`, is a place of the image. With strides, the image is kept in phases: the element at
 * `u = stride*h + dilation*r` is number `floor(u / stride)` of phase `u mod stride`, so that neighbours along `h` are
 * neighbours in memory.
 */
import { addDims, isStatic, mulDims } from '../../../base/dim.ts';
import type { Axis, IndexExpression, IndexFactor, Let } from '../../../ir/kernel.ts';
import { normalizeIndex } from '../../common/linear-index.ts';

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

export const isCounted = (axis: Axis): axis is CountedAxis => isStatic(axis.extent) && axis.extent > 0;

/** One position and one tap. */
export const single: Direction = {
  position: undefined,
  tap: undefined,
  stride: 1,
  dilation: 1,
  phases: [{ phase: 0, extent: 1 }],
};

export const countOf = (axes: readonly CountedAxis[]): number => axes.reduce((count, { extent }) => count * extent, 1);

/** Phases that are kept: up to the last that a tap looks at. */
export const phaseCount = ({ phases }: Direction): number => phases[phases.length - 1].phase + 1;

/** Elements of the image along a direction, all phases together. */
export const lengthOf = ({ phases }: Direction): number => phases.reduce((size, { extent }) => size + extent, 0);

/** Coefficients by axis, of an index and of what is divided in it, each by itself. */
export type Flat = ReadonlyMap<string, number>;

/** Every linear expression in the indices of a factor; `undefined` where one depends on data or on symbols. */
export function flatIndices(lets: readonly Let[]): readonly Flat[] | undefined {
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
export function directionOf(
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
