/**
 * The best order of launches there is, by exhaustive search: the least peak of what is alive at once, over all orders
 * that dependence allows. For small programs only.
 *
 * A depth-first search over sets of launches that have run, for one limit after the other. A launch that fits and
 * leaves no more alive than before can always run at once: whatever order follows, moving it to the front harms
 * nothing.
 */
import { type LaunchGraph, Liveness, peakOfOrder } from '../../passes/plan/order-launches.ts';

/** Sets of launches after which a search is given up. */
const mostStates = 400_000;

/**
 * The least peak in bytes, to within `step` bytes.
 * @throws Error when the program is too large to search
 */
export function leastPeak(graph: LaunchGraph, step = 64): number {
  const program = Array.from({ length: graph.count }, (_, launch) => launch);
  let [below, reached] = [0, peakOfOrder(graph, program)];
  while (reached - below > step) {
    const limit = Math.floor((below + reached) / 2);
    if (fits(graph, limit)) reached = limit;
    else below = limit;
  }
  return reached;
}

function fits(graph: LaunchGraph, limit: number): boolean {
  const waiting = graph.before.map((before) => before.length);
  const liveness = new Liveness(graph);
  const seen = new Set<bigint>();
  const search = (done: bigint): boolean => {
    if (done === (1n << BigInt(graph.count)) - 1n) return true;
    if (seen.has(done)) return false;
    seen.add(done);
    if (seen.size > mostStates) throw new Error(`more than ${mostStates} states: too large for an exhaustive search`);
    const moves = waiting
      .flatMap((count, launch) => (count === 0 && !((done >> BigInt(launch)) & 1n) ? [launch] : []))
      .map((launch) => ({ launch, ...liveness.effect(launch) }))
      .filter(({ during }) => liveness.alive + during <= limit)
      .sort((a, b) => a.after - b.after);
    for (const { launch } of moves[0]?.after <= 0 ? moves.slice(0, 1) : moves) {
      const undo = liveness.run(launch);
      for (const follower of graph.after[launch]) waiting[follower]--;
      if (search(done | (1n << BigInt(launch)))) return true;
      for (const follower of graph.after[launch]) waiting[follower]++;
      undo();
    }
    return false;
  };
  return search(0n);
}
