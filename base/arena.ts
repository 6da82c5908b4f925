/**
 * Placing buffers with known lifetimes in one arena, so that buffers alive at the same time do not overlap and the
 * arena is small. Passes use it when all sizes are numbers; the runtime does when it binds symbolic sizes.
 *
 *     planArena([{ bytes: 100, first: 0, last: 1 }, { bytes: 100, first: 2, last: 3 }])   // offsets 0 and 0
 *
 * "Greedy by size" of Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference (2020,
 * https://arxiv.org/abs/2001.03288), as in TFLite: the largest first, each into the smallest gap between those that are
 * alive at the same time. A second order (by size times lifetime) is tried too, and the smaller arena kept.
 */

/** A buffer that is alive from step `first` to step `last`, both included. */
export interface ArenaInterval {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface ArenaPlan {
  /** One for each interval, in order; a multiple of `arenaAlignment`. */
  readonly offsets: readonly number[];
  /** Size of the arena. */
  readonly bytes: number;
}

/** Every buffer begins at a multiple of this. */
export const arenaAlignment = 64;
/** Bytes after a buffer that vector loads may read. */
const arenaSlack = 16;

/** What a buffer takes up in an arena. */
export const reservedBytes = (bytes: number): number =>
  Math.ceil((bytes + arenaSlack) / arenaAlignment) * arenaAlignment;

/** No plan is smaller than this: the greatest sum of what is alive at one step. */
export function arenaLowerBound(intervals: readonly ArenaInterval[]): number {
  const changes = new Map<number, number>();
  for (const { bytes, first, last } of intervals) {
    changes.set(first, (changes.get(first) ?? 0) + reservedBytes(bytes));
    changes.set(last + 1, (changes.get(last + 1) ?? 0) - reservedBytes(bytes));
  }
  let [alive, greatest] = [0, 0];
  for (const [, change] of [...changes].sort(([a], [b]) => a - b)) {
    alive += change;
    greatest = Math.max(greatest, alive);
  }
  return greatest;
}

/** Offsets for buffers; the same for the same intervals. */
export function planArena(intervals: readonly ArenaInterval[]): ArenaPlan {
  const bound = arenaLowerBound(intervals);
  const bySize = place(intervals, ({ bytes }) => bytes);
  if (bySize.bytes === bound) return bySize;
  const byArea = place(intervals, ({ bytes, first, last }) => bytes * (last - first + 1));
  return byArea.bytes < bySize.bytes ? byArea : bySize;
}

function place(intervals: readonly ArenaInterval[], weight: (interval: ArenaInterval) => number): ArenaPlan {
  const order = intervals.map((_, at) => at);
  order.sort((a, b) => weight(intervals[b]) - weight(intervals[a]) || intervals[a].first - intervals[b].first || a - b);
  const placed = new PlacedIntervals(intervals);
  const offsets = new Array<number>(intervals.length).fill(0);
  let total = 0;
  for (const at of order) {
    const size = reservedBytes(intervals[at].bytes);
    const neighbours = placed.overlapping(intervals[at]);
    neighbours.sort((a, b) => offsets[a] - offsets[b]);
    offsets[at] = smallestGap(size, neighbours, offsets, intervals);
    total = Math.max(total, offsets[at] + size);
    placed.add(at);
  }
  return { offsets, bytes: total };
}

/** Start of the smallest gap that fits between neighbours sorted by offset, or the end of the last. */
function smallestGap(
  size: number,
  neighbours: readonly number[],
  offsets: readonly number[],
  intervals: readonly ArenaInterval[],
): number {
  let end = 0;
  let best: number | undefined;
  let bestGap = Infinity;
  for (const other of neighbours) {
    const gap = offsets[other] - end;
    if (gap >= size && gap < bestGap) [best, bestGap] = [end, gap];
    end = Math.max(end, offsets[other] + reservedBytes(intervals[other].bytes));
  }
  return best ?? end;
}

/** The intervals placed so far, as a tree over all intervals by `first` that keeps the greatest `last` below a node. */
class PlacedIntervals {
  readonly #byFirst: readonly number[];
  readonly #rank: readonly number[];
  readonly #intervals: readonly ArenaInterval[];
  readonly #greatestLast: Float64Array;
  readonly #leaves: number;

  constructor(intervals: readonly ArenaInterval[]) {
    this.#intervals = intervals;
    this.#byFirst = intervals.map((_, at) => at).sort((a, b) => intervals[a].first - intervals[b].first || a - b);
    const rank = new Array<number>(intervals.length);
    this.#byFirst.forEach((at, position) => {
      rank[at] = position;
    });
    this.#rank = rank;
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(intervals.length, 1)));
    this.#greatestLast = new Float64Array(2 * this.#leaves).fill(-Infinity);
  }

  add(at: number): void {
    for (let node = this.#leaves + this.#rank[at]; node >= 1; node >>= 1) {
      this.#greatestLast[node] = Math.max(this.#greatestLast[node], this.#intervals[at].last);
    }
  }

  /** Placed intervals that share a step with `interval`. */
  overlapping({ first, last }: ArenaInterval): number[] {
    const found: number[] = [];
    const waiting = [1];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (this.#greatestLast[node] < first) continue;
      if (node < this.#leaves) {
        waiting.push(2 * node + 1, 2 * node);
        continue;
      }
      const at = this.#byFirst[node - this.#leaves];
      if (this.#intervals[at].first > last) break;
      found.push(at);
    }
    return found;
  }
}
