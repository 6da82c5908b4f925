/**
 * Which scores a stream keeps in scratch rows. Operands of its contractions always are, since each score is read for
 * every column of the result; others where several sweeps of a row need them, and where two contractions would
 * otherwise stand in one loop:
 *
 *     s = dot(q, k); t = mask(s * scale); m = max(t); e = exp(t - m); l = sum(e); p = e / l; o = dot(p, v)
 *     kept     t (read for m and for e), e (for l and for p), p (for o)
 */
import type { Op, Value } from '../../ir/types.ts';
import type { GraphAnalysis } from '../fuse/analysis.ts';
import type { ScoreRegions } from './score-region.ts';
import type { Stream } from './stream.ts';
import { columnAxes } from './stream-views.ts';

/** Operations for one score from which on keeping it beats computing it again in another sweep. */
const keptFlops = 8;
/** What a score costs that is a sum of products. */
const rootFlops = 64;

/** Values to keep, with a mark on the axes that lie within the row. */
export function streamScratch(
  stream: Stream,
  regions: ScoreRegions,
  analysis: GraphAnalysis,
): ReadonlyMap<Value, readonly boolean[]> {
  const { ops } = analysis.graph;
  const columns = columnAxes(stream);
  if (columns.length === 0) return new Map();
  const scores = [...stream.region.members].filter((member) => stream.members.has(member)).sort((a, b) => a - b);
  const kept = new Set<Value>();
  const costs = costsOf(scores, analysis);
  const sweeps = new Map<Value, Set<Op>>();
  for (const { kind, position, operand } of stream.exits) {
    if (kind === 'contraction') kept.add(operand);
    const found = sweeps.get(operand) ?? new Set();
    sweeps.set(operand, found.add(ops[position]));
  }
  for (const member of scores.toReversed()) {
    const op = ops[member];
    const [value] = op.results;
    const own = sweeps.get(value) ?? new Set();
    if (own.size > 1 && (costs.get(value) ?? 0) >= keptFlops) kept.add(value);
    const reading = kept.has(value) ? [op] : own;
    for (const operand of op.operands) {
      const found = sweeps.get(operand) ?? new Set();
      for (const sweep of reading) found.add(sweep);
      sweeps.set(operand, found);
    }
  }
  separateContractions(scores, stream, kept, analysis);
  return new Map([...kept].map((value) => [value, regions.rolesOf(value).map((role) => columns.includes(role))]));
}

function costsOf(scores: readonly number[], analysis: GraphAnalysis): ReadonlyMap<Value, number> {
  const costs = new Map<Value, number>();
  for (const member of scores) {
    const op = analysis.graph.ops[member];
    const before = op.operands.reduce((sum, operand) => sum + (costs.get(operand) ?? 0), 0);
    const own = op.opcode === 'dot_general' ? rootFlops : Math.max(analysis.flopsOf(op), 1);
    costs.set(op.results[0], Math.min(before + own, rootFlops));
  }
  return costs;
}

/** Keeps more, so that no loop over a row holds two contractions, and no sum one. */
function separateContractions(
  scores: readonly number[],
  stream: Stream,
  kept: Set<Value>,
  { graph }: GraphAnalysis,
): void {
  const contractions = new Map<Value, number>();
  for (const member of scores) {
    const op = graph.ops[member];
    let count = op.opcode === 'dot_general' ? 1 : 0;
    for (const operand of new Set(op.operands)) {
      const inner = kept.has(operand) ? 0 : (contractions.get(operand) ?? 0);
      if (count > 0 && inner > 0) kept.add(operand);
      else count += inner;
    }
    contractions.set(op.results[0], count);
  }
  for (const { kind, operand } of stream.exits) {
    if (kind === 'statistic' && (contractions.get(operand) ?? 0) > 0) kept.add(operand);
  }
}
