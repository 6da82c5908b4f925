/**
 * All streams of a graph, chosen so that kernels can run one after the other. Contracting each stream to one node must
 * leave the graph without cycles; a region whose streams would make one is left to ordinary fusion.
 *
 * The walk that places all other ops learns late who reads what a stream writes. What it needs to keep the kernels free
 * of cycles is the level of each value, the number of streams on the longest way to it: a group whose outputs are all
 * of one level can not come both before and after a stream.
 */
import type { FusionRefusal } from '../../ir/lowered.ts';
import type { Value } from '../../ir/types.ts';
import type { GraphUses } from '../fuse/graph-uses.ts';
import type { Refusal } from '../fuse/rules.ts';
import { findScoreRegions, noRegions, type ScoreRegion, type ScoreRegions } from './score-region.ts';
import { hasExponentials, refuseRegion, refuseStream, refuseStreams } from './score-rules.ts';
import { planStreams, type Stream } from './stream.ts';

export interface StreamPlan {
  /** In the order of their first exits. */
  readonly streams: readonly Stream[];
  /** The same, region by region. */
  readonly plans: readonly (readonly Stream[])[];
  readonly regions: ScoreRegions;
  readonly refusals: readonly FusionRefusal[];
  /** The streams on the longest way to a value; zero where the plan has none. */
  levelOf(value: Value): number;
}

export function planAllStreams(analysis: GraphUses): StreamPlan {
  const refusals: FusionRefusal[] = [];
  const plans: (readonly Stream[])[] = [];
  const found = analysis.without.has('fuse/streams') ? noRegions : findScoreRegions(analysis);
  const taken = new Set<number>();
  for (const region of found.regions) {
    if (region.roots.some((root) => taken.has(analysis.positionOf(root.results[0]) ?? -1))) continue;
    const refusal = refuseRegion(region, found, analysis);
    const planned = refusal ? [] : planStreams(region, found, analysis);
    const wide = planned.map((stream) => refuseStream(stream, analysis));
    const streams = planned.filter((_, at) => !wide[at]);
    if (looksLikeAttention(region, analysis)) {
      for (const each of wide) if (each) refusals.push(refusalOf(region, each, analysis));
    }
    if (planned.length > 0 && streams.length === 0) continue;
    const reason = refusal ?? refuseStreams(streams);
    if (reason) {
      if (looksLikeAttention(region, analysis)) refusals.push(refusalOf(region, reason, analysis));
      continue;
    }
    plans.push(streams);
    for (const { members } of streams) for (const member of members) taken.add(member);
  }
  return { ...withoutCycles(plans, refusals, analysis), regions: found, refusals };
}

/**
 * Others are refused in silence, as nearly all products are: any two dense layers with a norm between them make a
 * region.
 */
const looksLikeAttention = (region: ScoreRegion, analysis: GraphUses): boolean =>
  region.exits.some(({ kind }) => kind === 'statistic') &&
  (region.axes.batch.length > 0 || hasExponentials(region, analysis));

function refusalOf({ roots, exits }: ScoreRegion, reason: Refusal, { graph }: GraphUses): FusionRefusal {
  const end = exits.find(({ kind }) => kind === 'contraction') ?? exits[0];
  return { producer: roots[0], consumer: graph.ops[end.position], ...reason };
}

function withoutCycles(
  plans: (readonly Stream[])[],
  refusals: FusionRefusal[],
  analysis: GraphUses,
): Pick<StreamPlan, 'streams' | 'plans' | 'levelOf'> {
  for (;;) {
    const streams = plans.flat();
    if (streams.length === 0) return { streams, plans, levelOf: () => 0 };
    const levels = levelsOf(streams, analysis);
    if (levels.cyclic === undefined) return { streams, plans, levelOf: levels.levelOf };
    const stream = streams[levels.cyclic];
    const detail = 'something between its kernels needs one and is needed by another';
    refusals.push(refusalOf(stream.region, { rule: 'score-cycle', detail }, analysis));
    plans.splice(
      plans.findIndex((plan) => plan.includes(stream)),
      1,
    );
  }
}

interface Levels {
  /** Number of a stream that depends on itself. */
  readonly cyclic: number | undefined;
  levelOf(value: Value): number;
}

/** Levels of all values, by a walk from the results over ops and streams: nodes are positions, then streams. */
function levelsOf(streams: readonly Stream[], analysis: GraphUses): Levels {
  const { graph } = analysis;
  const writers = new Map<Value, number>();
  streams.forEach(({ outputs }, number) => {
    for (const output of outputs) writers.set(output, graph.ops.length + number);
  });
  const nodeOf = (value: Value): number | undefined => writers.get(value) ?? analysis.positionOf(value);
  const levels = new Array<number | undefined>(graph.ops.length + streams.length);
  const open = new Set<number>();
  const readBy = (node: number): Iterable<Value> =>
    node < graph.ops.length ? graph.ops[node].operands : streams[node - graph.ops.length].sources;
  let cyclic: number | undefined;
  const finish = (node: number): void => {
    let level = 0;
    for (const value of readBy(node)) {
      const before = nodeOf(value);
      if (before !== undefined) level = Math.max(level, levels[before] ?? 0);
    }
    levels[node] = node < graph.ops.length ? level : level + 1;
    open.delete(node);
  };
  const waiting: number[] = [];
  const visit = (value: Value): void => {
    const node = nodeOf(value);
    if (node === undefined || levels[node] !== undefined) return;
    if (!open.has(node)) waiting.push(node);
    else {
      const path = [...open];
      cyclic ??= path.slice(path.indexOf(node)).find((other) => other >= graph.ops.length);
    }
  };
  for (const result of graph.results) {
    visit(result);
    while (waiting.length > 0) {
      const node = waiting[waiting.length - 1];
      if (levels[node] !== undefined || open.has(node)) {
        if (levels[node] === undefined) finish(node);
        waiting.pop();
        continue;
      }
      open.add(node);
      for (const value of readBy(node)) visit(value);
    }
    if (cyclic !== undefined) break;
  }
  return {
    cyclic: cyclic === undefined ? undefined : cyclic - graph.ops.length,
    levelOf: (value) => levels[nodeOf(value) ?? -1] ?? 0,
  };
}
