/**
 * Which values of a row group are computed once for a row and kept in scratch memory. Every reduction of a row sweeps
 * it, and so does what comes after; a value that several sweeps need would be computed again in each, together with all
 * that it is made of, which grows with the square of a long chain.
 *
 *     softmax      %e = exponential(...)  is needed by the sweep that sums and by the one that divides: kept
 *                  %d = subtract(...)     two operations from memory: computed again
 */
import type { Op, Value } from '../../ir/types.ts';
import type { GraphAnalysis } from './analysis.ts';
import type { FusionGroup } from './fusion-group.ts';
import { estimate, isAnchor, isFree } from './graph-uses.ts';
import { unknown, type View } from './view.ts';

/** Values to keep, with a mark on the axes that lie within the row. */
export function scratchRows(group: FusionGroup, analysis: GraphAnalysis): ReadonlyMap<Value, readonly boolean[]> {
  const kept = new Map<Value, readonly boolean[]>();
  if (group.kind !== 'rows' || analysis.without.has('fuse/scratchRows')) return kept;
  const { ops } = analysis.graph;
  const members = [...group.members].sort((a, b) => a - b).map((position) => ops[position]);
  const sweeps = countSweeps(group, members);
  const rows = group.rows.reduce((count, token) => count * estimate(group.domain[token]), 1);
  const costs = new Map<Value, number>();
  for (const op of members) {
    const [value] = op.results;
    const operands = op.operands.reduce((sum, operand) => sum + (costs.get(operand) ?? 0), 0);
    const isOnceARow = isAnchor(op) || analysis.elementsOf(value) <= rows;
    const cost = isOnceARow ? 0 : operands + (isFree(op) ? 0 : Math.max(analysis.flopsOf(op), 1));
    costs.set(value, cost);
    if (cost < analysis.target.scratchFlops || isFree(op) || (sweeps.get(value)?.size ?? 0) < 2) continue;
    if (analysis.elementsOf(value) / Math.max(rows, 1) > analysis.target.longestScratchRow) continue;
    const marks = rowAxes(value, group.views.get(value) ?? [], group);
    if (!marks) continue;
    kept.set(value, marks);
    costs.set(value, 1);
  }
  return kept;
}

/** For each value, two of the sweeps that compute it: reductions by themselves, what comes after as one. */
function countSweeps(group: FusionGroup, members: readonly Op[]): ReadonlyMap<Value, ReadonlySet<Op | 'after'>> {
  const sweeps = new Map<Value, Set<Op | 'after'>>();
  const add = (value: Value, sweep: Op | 'after'): void => {
    const known = sweeps.get(value);
    if (!known) sweeps.set(value, new Set([sweep]));
    else if (known.size < 2) known.add(sweep);
  };
  for (const { value } of group.outputs) add(value, 'after');
  for (const op of [...members].reverse()) {
    const own = isAnchor(op) ? [op] : [...(sweeps.get(op.results[0]) ?? [])];
    for (const operand of op.operands) for (const sweep of own) add(operand, sweep);
  }
  return sweeps;
}

/** Which axes of a value lie within a row, if every view walks one whole row for each index of the rows. */
function rowAxes({ type }: Value, views: readonly View[], { rows }: FusionGroup): readonly boolean[] | undefined {
  if (views.length === 0) return undefined;
  const inRows = (axis: readonly number[]): boolean => axis.every((token) => rows.includes(token));
  const marks = type.shape.map((size, axis) => size !== 1 && !inRows(views[0].axes[axis]));
  const whole = views.every(({ axes, place }) => {
    const tokens = axes.flat();
    const outer = tokens.filter((token) => rows.includes(token));
    const fits = axes.every((axis, at) => (marks[at] ? axis.length === 1 && !inRows(axis) : inRows(axis)));
    const distinct = new Set(tokens).size === tokens.length && outer.length === rows.length;
    return fits && distinct && !tokens.includes(unknown) && (place === 'loops' || place === 'reduction');
  });
  return whole && marks.includes(true) ? marks : undefined;
}
