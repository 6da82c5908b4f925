/**
 * Blocks of a graph: periodic runs of tokens, each cut where least goes from one block to the next.
 *
 * The layers of a network are such a run, and a cut at the residual stream hands over one value; their backward passes
 * are another, and the updates of their parameters a third. What one layer's backward pass and its updates compute
 * becomes one block afterwards (`join-blocks.ts`).
 */
import { type Block, endsKernels, equalSites } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';
import { type PeriodicRun, periodicRuns, repeatsOf } from './periodic-runs.ts';

export interface OutlineLimits {
  /** Ops of a block, at least. */
  readonly leastOps: number;
  /** Sites of a block, at least. */
  readonly leastSites: number;
  /** Ops that need no passes of their own because of all blocks, at least. */
  readonly leastSaved: number;
  /** Whether a chain that fusion might make one kernel of may be cut into blocks. */
  readonly cutsChains: boolean;
}

/** Ops that need no passes of their own because of a block. */
export const savedBy = ({ sites }: Pick<Block, 'sites'>): number => (sites.length - 1) * sites[0].length;

/** Blocks that do not share ops, in the order of their first site. */
export function findBlocks(indexed: IndexedGraph, limits: OutlineLimits): Block[] {
  const { leastOps: leastPeriod, leastSites: leastRepeats } = limits;
  const sequence = repeatedOps(indexed, leastRepeats);
  const tokens = Int32Array.from(sequence, (op) => indexed.tokens[op]);
  const positions = new Int32Array(indexed.tokens.length).fill(-1);
  sequence.forEach((op, position) => {
    positions[op] = position;
  });
  const siteOf = new Int32Array(indexed.tokens.length).fill(-1);
  let siteCount = 0;
  const blocks: Block[] = [];
  for (const run of periodicRuns(tokens, { leastPeriod, leastRepeats })) {
    const cuts = crossingBytes(run, sequence, positions, indexed);
    const offset = bestCut(run, cuts, labelsOf(run, sequence, siteOf, indexed));
    const { period } = run;
    const start = run.start + offset;
    const count = Math.floor((run.end - start) / period);
    const rows = Array.from({ length: count }, (_, site) =>
      sequence.slice(start + site * period, start + (site + 1) * period),
    );
    const sites = equalSites(rows, indexed);
    if (sites.length < limits.leastSites) continue;
    const block = { sites, owned: period };
    if (!limits.cutsChains && cuts[offset] > 0 && !endsKernels(block, indexed)) continue;
    for (const site of sites) {
      for (const op of site) siteOf[op] = siteCount;
      siteCount++;
    }
    blocks.push(block);
  }
  return blocks;
}

/** Ops that may belong to a block: neither closed nor of scalars, and of a kind that occurs often enough. */
function repeatedOps({ tokens, kinds }: IndexedGraph, leastSites: number): number[] {
  const counts = new Map<number, number>();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  const ops: number[] = [];
  tokens.forEach((token, op) => {
    if (kinds[op] === 'plain' && (counts.get(token) ?? 0) >= leastSites) ops.push(op);
  });
  return ops;
}

/** For each offset in the period, the bytes that go from one block to the next if blocks start there. */
function crossingBytes(
  { start, end, period }: PeriodicRun,
  sequence: readonly number[],
  positions: Int32Array,
  indexed: IndexedGraph,
): Float64Array {
  const changes = new Float64Array(2 * period + 1);
  const middle = start + period * (repeatsOf({ start, end, period }) >> 1);
  for (let at = 0; at < period; at++) {
    for (const value of indexed.resultsOf(sequence[middle + at])) {
      let reach = 0;
      for (const user of indexed.users[value]) {
        const position = positions[user];
        if (position >= start && position < end) reach = Math.max(reach, position - middle - at);
      }
      // A value that is read `reach` places on crosses every cut after its own place, up to that of the reader.
      changes[at + 1] += indexed.bytes[value];
      changes[at + 1 + Math.min(reach, period)] -= indexed.bytes[value];
    }
  }
  const bytes = new Float64Array(period);
  let crossing = 0;
  for (let at = 0; at < 2 * period; at++) {
    crossing += changes[at];
    bytes[at % period] += Math.round(crossing);
  }
  return bytes;
}

/**
 * For each place of a run the site of another block that it continues, so that cuts are made between what belongs to
 * different sites; -1 where there is none.
 */
function labelsOf(
  { start, end }: PeriodicRun,
  sequence: readonly number[],
  siteOf: Int32Array,
  indexed: IndexedGraph,
): Int32Array {
  const labels = new Int32Array(end - start).fill(-1);
  for (let at = start; at < end; at++) {
    for (const value of indexed.operands[sequence[at]]) {
      const producer = indexed.producers[value];
      if (producer >= 0) labels[at - start] = Math.max(labels[at - start], siteOf[producer]);
    }
  }
  return labels;
}

/** The offset at which least crosses, labels change, most sites fit and the run starts soonest; in this order. */
function bestCut(run: PeriodicRun, bytes: Float64Array, labels: Int32Array): number {
  const { period } = run;
  const middle = period * (repeatsOf(run) >> 1);
  const spare = run.end - run.start - repeatsOf(run) * period;
  const next = nextLabels(labels);
  let best = 0;
  let bestCost: readonly number[] | undefined;
  let before = labels.subarray(0, middle).findLast((label) => label >= 0) ?? -1;
  for (let offset = 0; offset < period; offset++) {
    const splitsSite = Number(before >= 0 && before === next[middle + offset]);
    const cost = [bytes[offset], splitsSite, Number(offset > spare)];
    if (!bestCost || isLess(cost, bestCost)) {
      best = offset;
      bestCost = cost;
    }
    if (labels[middle + offset] >= 0) before = labels[middle + offset];
  }
  return best;
}

/** For each place the label there or at the next place that has one. */
function nextLabels(labels: Int32Array): Int32Array {
  const next = labels.slice();
  for (let at = labels.length - 2; at >= 0; at--) if (next[at] < 0) next[at] = next[at + 1];
  return next;
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at >= 0 && a[at] < b[at];
}
