/**
 * Index expressions as algebra. A scheduler asks of an index: how does it move with this axis, is it bounded below by
 * zero, what is it when an axis is renamed or split?
 *
 *     index     N*i + j + floordiv(k, 2)
 *     linear    { offset: 0, terms: [N*i, 1*j, 1*floordiv(k,2)] }      equal factors merged, zero terms gone
 */
import { addDims, type Dim, dimBounds, equalDims, mulDims } from '../../base/dim.ts';
import type { IndexExpression, IndexFactor, IndexTerm, ScalarId } from '../../ir/kernel.ts';

/** Text that two factors share exactly when they are equal. */
function factorKey(factor: IndexFactor): string {
  if (factor.kind === 'axis') return factor.axis;
  if (factor.kind === 'value') return `%${factor.id}`;
  return `${factor.kind}(${indexKey(factor.dividend)},${factor.divisor})`;
}

/** Text that two normalised indices share exactly when they are equal. */
export function indexKey({ offset, terms }: IndexExpression): string {
  return [...terms.map((term) => `${term.coefficient}*${factorKey(term.factor)}`), String(offset)].join('+');
}

/** Merges equal factors and drops terms whose coefficient is zero; the order of first mention is kept. */
export function normalizeIndex({ offset, terms }: IndexExpression): IndexExpression {
  const merged = new Map<string, IndexTerm>();
  for (const { coefficient, factor } of terms) {
    const key = factorKey(factor);
    const before = merged.get(key);
    merged.set(key, { factor, coefficient: before ? addDims(before.coefficient, coefficient) : coefficient });
  }
  return { offset, terms: [...merged.values()].filter((term) => !equalDims(term.coefficient, 0)) };
}

/** Replaces axes by index expressions, also inside floordiv and mod. */
export function substituteAxes(
  index: IndexExpression,
  replacements: ReadonlyMap<string, IndexExpression>,
): IndexExpression {
  let offset = index.offset;
  const terms: IndexTerm[] = [];
  for (const { coefficient, factor } of index.terms) {
    if (factor.kind === 'axis') {
      const replacement = replacements.get(factor.axis);
      if (!replacement) terms.push({ coefficient, factor });
      else {
        offset = addDims(offset, mulDims(coefficient, replacement.offset));
        for (const term of replacement.terms) {
          terms.push({ coefficient: mulDims(coefficient, term.coefficient), factor: term.factor });
        }
      }
    } else if (factor.kind === 'value') terms.push({ coefficient, factor });
    else {
      const dividend = substituteAxes(factor.dividend, replacements);
      terms.push({ coefficient, factor: { ...factor, dividend } });
    }
  }
  return normalizeIndex({ offset, terms });
}

/** Calls `visit` for each axis or value that occurs in a factor, however deep. */
export function visitLeaves(
  factor: IndexFactor,
  visit: (leaf: Extract<IndexFactor, { kind: 'axis' | 'value' }>) => void,
): void {
  if (factor.kind === 'axis' || factor.kind === 'value') visit(factor);
  else for (const term of factor.dividend.terms) visitLeaves(term.factor, visit);
}

/** The values an index depends on. */
export function valuesOfIndex(index: IndexExpression): ScalarId[] {
  const ids: ScalarId[] = [];
  for (const { factor } of index.terms) visitLeaves(factor, (leaf) => leaf.kind === 'value' && ids.push(leaf.id));
  return ids;
}

/** The axes an index depends on. */
export function axesOfIndex(index: IndexExpression): Set<string> {
  const axes = new Set<string>();
  for (const { factor } of index.terms) visitLeaves(factor, (leaf) => leaf.kind === 'axis' && axes.add(leaf.axis));
  return axes;
}

/** What the index gains when `axis` grows by one: a size, or undefined when it does not move linearly. */
export function coefficientOf(index: IndexExpression, axis: string): Dim | undefined {
  let coefficient: Dim = 0;
  for (const { coefficient: c, factor } of index.terms) {
    if (factor.kind === 'axis') {
      if (factor.axis === axis) coefficient = addDims(coefficient, c);
    } else if (factor.kind !== 'value') {
      let inside = false;
      visitLeaves(factor, (leaf) => {
        if (leaf.kind === 'axis' && leaf.axis === axis) inside = true;
      });
      if (inside) return undefined;
    }
  }
  return coefficient;
}

/** Inclusive bounds of an index; axes not named in `extents` and values are unbounded. */
export function indexBounds(index: IndexExpression, extents: ReadonlyMap<string, Dim>): readonly [number, number] {
  let [low, high] = dimBounds(index.offset);
  for (const { coefficient, factor } of index.terms) {
    const [fl, fh] = factorBounds(factor, extents);
    const [cl, ch] = dimBounds(coefficient);
    const corners = [fl * cl, fl * ch, fh * cl, fh * ch].map((corner) => (Number.isNaN(corner) ? 0 : corner));
    low += Math.min(...corners);
    high += Math.max(...corners);
  }
  return [low, high];
}

function factorBounds(factor: IndexFactor, extents: ReadonlyMap<string, Dim>): readonly [number, number] {
  if (factor.kind === 'value') return [-Infinity, Infinity];
  if (factor.kind === 'axis') {
    const extent = extents.get(factor.axis);
    return extent === undefined ? [0, Infinity] : [0, Math.max(dimBounds(extent)[1] - 1, 0)];
  }
  const [divisorLow, divisorHigh] = dimBounds(factor.divisor);
  if (factor.kind === 'mod') return [0, divisorHigh - 1];
  const [low, high] = indexBounds(factor.dividend, extents);
  const corners = [low / divisorLow, low / divisorHigh, high / divisorLow, high / divisorHigh];
  return [Math.floor(Math.min(...corners)), Math.floor(Math.max(...corners))];
}
