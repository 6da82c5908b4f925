import { describe, expect, test } from 'vitest';
import { Random } from '../../../ir/ops/random.ts';
import { FlowNetwork } from '../../../passes/remat/min-cut.ts';

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly capacity: number;
}

const networkOf = (nodes: number, edges: readonly Edge[]): FlowNetwork => {
  const network = new FlowNetwork(nodes);
  for (const { from, to, capacity } of edges) network.addEdge(from, to, capacity);
  return network;
};

/** What the edges out of a set of nodes have in sum. */
const capacityOf = (edges: readonly Edge[], isBehind: (node: number) => boolean): number =>
  edges.reduce((sum, { from, to, capacity }) => sum + (!isBehind(from) && isBehind(to) ? capacity : 0), 0);

/** The smallest of all cuts, one after the other. */
function exhaustive(nodes: number, edges: readonly Edge[], sink: number): number {
  let best = Infinity;
  for (let set = 0; set < 2 ** nodes; set++) {
    const isBehind = (node: number): boolean => ((set >> node) & 1) === 1;
    if (!isBehind(0) && isBehind(sink)) best = Math.min(best, capacityOf(edges, isBehind));
  }
  return best;
}

describe('minimum cuts', () => {
  test('are as small as the smallest of all, and are what they say', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed);
      const nodes = random.integer(2, 8);
      const edges = Array.from({ length: random.integer(0, 20) }, (): Edge => {
        const [from, to] = [random.integer(0, nodes - 1), random.integer(0, nodes - 1)];
        const infinite = random.boolean(0.2) && !(from === 0 && to === nodes - 1);
        return { from, to, capacity: infinite ? Infinity : random.integer(0, 9) };
      });
      const expected = exhaustive(nodes, edges, nodes - 1);
      if (expected === Infinity) continue;
      const { capacity, behind } = networkOf(nodes, edges).cut(0, nodes - 1);
      expect([seed, capacity]).toEqual([seed, expected]);
      expect([behind(0), behind(nodes - 1)]).toEqual([false, true]);
      expect(capacityOf(edges, behind)).toBe(expected);
    }
  });

  test('leave as little behind as they can', () => {
    const { capacity, behind } = networkOf(4, [
      { from: 0, to: 1, capacity: 2 },
      { from: 1, to: 2, capacity: 2 },
      { from: 2, to: 3, capacity: 2 },
    ]).cut(0, 3);
    expect([capacity, [0, 1, 2, 3].map(behind)]).toEqual([2, [false, false, false, true]]);
  });

  test('a way without a finite edge is a fault', () => {
    expect(() => networkOf(2, [{ from: 0, to: 1, capacity: Infinity }]).cut(0, 1)).toThrow('no finite edge');
  });

  /** As recomputation makes them: `n` values in a chain, each of which is needed later or dear now and then. */
  const chain = (n: number): number => {
    const random = new Random(n);
    const network = new FlowNetwork(2 * n + 2);
    for (let at = 0; at < n; at++) {
      network.addEdge(2 * n, 2 * at, at % 12 === 0 ? 500 + random.integer(0, 500) : random.integer(1, 40));
      network.addEdge(2 * at, 2 * at + 1, random.integer(50, 400));
      if (at > 0) network.addEdge(2 * at - 1, 2 * at, Infinity);
      if (at > 10) network.addEdge(2 * (at - random.integer(2, 10)) + 1, 2 * at, Infinity);
      if (random.boolean(0.3)) network.addEdge(2 * at + 1, 2 * n + 1, Infinity);
    }
    return network.cut(2 * n, 2 * n + 1).steps;
  };

  test('of networks as recomputation makes them cost at most n^1.3', () => {
    const [small, large] = [1_000, 50_000];
    expect(Math.log(chain(large) / chain(small)) / Math.log(large / small)).toBeLessThan(1.3);
  });
});
