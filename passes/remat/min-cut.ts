/**
 * Minimum cuts: the cheapest set of edges whose removal parts two nodes of a network. By Dinic's algorithm (E. A.
 * Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation", 1970) in time O(V²
 * E); a round of it costs O(V E) at worst, and there are at most as many as the longest way from source to sink has
 * edges.
 *
 *     const network = new FlowNetwork(3);
 *     network.addEdge(0, 1, 5);
 *     network.addEdge(1, 2, 3);
 *     network.cut(0, 2)       // { capacity: 3, behind: node => node === 2, steps: 9 }
 *
 * Capacities are integers or infinite, so that sums are exact.
 */
import { internalError } from '../../base/error.ts';

export interface Cut {
  /** What the edges of the cut have in sum. */
  readonly capacity: number;
  /** Whether a node lies on the sink's side. Of all minimum cuts it is the one with the fewest nodes there. */
  behind(node: number): boolean;
  /** Edges that were looked at: what the cut cost, without a clock. */
  readonly steps: number;
}

export class FlowNetwork {
  readonly #count: number;
  /** Edge `e` and its reverse `e ^ 1` stand side by side. */
  readonly #to: number[] = [];
  readonly #capacity: number[] = [];
  readonly #edges: number[][];
  #steps = 0;

  constructor(nodes: number) {
    this.#count = nodes;
    this.#edges = Array.from({ length: nodes }, () => []);
  }

  addEdge(from: number, to: number, capacity: number): void {
    this.#edges[from].push(this.#to.push(to) - 1);
    this.#capacity.push(capacity);
    this.#edges[to].push(this.#to.push(from) - 1);
    this.#capacity.push(0);
  }

  /** A minimum cut; the network's capacities are used up by it. */
  cut(source: number, sink: number): Cut {
    let flow = 0;
    for (let levels = this.#levels(source, sink); levels[sink] >= 0; levels = this.#levels(source, sink)) {
      flow += this.#blockingFlow(source, sink, levels);
    }
    const behind = this.#reaching(sink);
    return { capacity: flow, behind: (node) => behind[node] === 1, steps: this.#steps };
  }

  /** Distance of every node from the source over edges with capacity left, -1 without one. */
  #levels(source: number, sink: number): Int32Array {
    const levels = new Int32Array(this.#count).fill(-1);
    levels[source] = 0;
    const queue = [source];
    for (let at = 0; at < queue.length && levels[sink] < 0; at++) {
      this.#steps += this.#edges[queue[at]].length;
      for (const edge of this.#edges[queue[at]]) {
        const to = this.#to[edge];
        if (levels[to] >= 0 || this.#capacity[edge] === 0) continue;
        levels[to] = levels[queue[at]] + 1;
        queue.push(to);
      }
    }
    return levels;
  }

  /** Sends flow along shortest ways until each of them has a full edge. */
  #blockingFlow(source: number, sink: number, levels: Int32Array): number {
    const next = new Int32Array(this.#count);
    const path: number[] = [];
    let flow = 0;
    let node = source;
    for (;;) {
      if (node === sink) {
        flow += this.#push(path);
        // Go on from the first edge that is full now.
        const full = path.findIndex((edge) => this.#capacity[edge] === 0);
        node = this.#to[path[full] ^ 1];
        path.length = full;
        continue;
      }
      this.#steps++;
      const edge = this.#edges[node][next[node]];
      if (edge === undefined) {
        const back = path.pop();
        if (back === undefined) return flow;
        node = this.#to[back ^ 1];
        next[node]++;
      } else if (this.#capacity[edge] > 0 && levels[this.#to[edge]] === levels[node] + 1) {
        path.push(edge);
        node = this.#to[edge];
      } else {
        next[node]++;
      }
    }
  }

  #push(path: readonly number[]): number {
    const amount = path.reduce((least, edge) => Math.min(least, this.#capacity[edge]), Infinity);
    if (amount === Infinity) throw internalError('min-cut: a way from source to sink has no finite edge');
    for (const edge of path) {
      this.#capacity[edge] -= amount;
      this.#capacity[edge ^ 1] += amount;
    }
    return amount;
  }

  /** Nodes from which the sink can be reached over edges with capacity left. */
  #reaching(sink: number): Uint8Array {
    const found = new Uint8Array(this.#count);
    found[sink] = 1;
    const waiting = [sink];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      for (const edge of this.#edges[node]) {
        const from = this.#to[edge];
        if (found[from] === 1 || this.#capacity[edge ^ 1] === 0) continue;
        found[from] = 1;
        waiting.push(from);
      }
    }
    return found;
  }
}
