/**
 * Groups whose loops one kernel can run become one: groups over the same domain, and groups over the same rows,
 * whatever their rows are part of:
 *
 *     normalisation      domain [32,64,56,56], rows over axis 1
 *     sums for the bias  domain [64], rows over axis 0             the same 64 rows: one kernel
 */
import { equalDims, equalShapes } from '../../base/dim.ts';
import type { GraphAnalysis } from './analysis.ts';
import { buffersOf } from './buffers.ts';
import type { FusionGroup } from './fusion-group.ts';
import { sameTokens, walkRowsApart } from './rules.ts';
import type { ReduceTokens } from './view.ts';

/** Whether two groups have loops that one kernel can run. */
export const haveCommonLoops = (a: FusionGroup, b: FusionGroup, analysis: GraphAnalysis): boolean =>
  fitTogether(a, b, analysis) !== undefined;

/** Makes one group of two with common loops: `a` takes over everything of `b`. */
export function mergeGroups(a: FusionGroup, b: FusionGroup, analysis: GraphAnalysis, tokens: ReduceTokens): void {
  const fit = fitTogether(a, b, analysis);
  if (fit?.loops) fit.short.renameLoops(fit.loops, fit.long.domain, tokens);
  a.absorb(b);
}

interface Fit {
  readonly long: FusionGroup;
  readonly short: FusionGroup;
  /** Tokens of the short one's loops in the long one, where they are not the same. */
  readonly loops?: ReadonlyMap<number, number>;
}

function fitTogether(a: FusionGroup, b: FusionGroup, analysis: GraphAnalysis): Fit | undefined {
  const { mostOps, mostBuffers } = analysis.target;
  if (a.scratch || b.scratch) return undefined;
  if (![a, b].every(({ kind, anchor, pieces }) => (kind === 'map' || kind === 'rows') && !anchor && !pieces)) return;
  if (a.members.size + b.members.size > mostOps || buffersOf([a, b], analysis) > mostBuffers) return undefined;
  const hasRows = a.kind === 'rows' || b.kind === 'rows';
  if (equalShapes(a.domain, b.domain)) {
    const { rows } = a.kind === 'rows' ? a : b;
    if (hasRows && !(walkRowsApart(a.outputs, rows) && walkRowsApart(b.outputs, rows))) return undefined;
    return a.kind !== b.kind || sameTokens(a.rows, b.rows) ? { long: a, short: b } : undefined;
  }
  return fitRows(a, b) ?? fitRows(b, a);
}

/** The loops of a group that has none but rows, or values of rows, as the rows of another. */
function fitRows(long: FusionGroup, short: FusionGroup): Fit | undefined {
  const wide = short.domain.flatMap((size, token) => (size === 1 ? [] : [token]));
  if (long.kind !== 'rows' || wide.length !== long.rows.length) return undefined;
  if (short.kind === 'rows' && !sameTokens(short.rows, wide)) return undefined;
  if (!wide.every((token, at) => equalDims(short.domain[token], long.domain[long.rows[at]]))) return undefined;
  const loops = new Map(wide.map((token, at) => [token, long.rows[at]]));
  return walkRowsApart(long.outputs, long.rows) ? { long, short, loops } : undefined;
}
