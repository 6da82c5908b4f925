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
  /** One for each interval, in order; a multiple of the alignment. */
  readonly offsets: readonly number[];
  /** Size of the arena. */
  readonly bytes: number;
}

/** How buffers lie in an arena. */
export interface ArenaLayout {
  /** Every buffer begins at a multiple of this. */
  readonly alignment: number;
  /** Bytes after a buffer that belong to it too. */
  readonly slack: number;
}

/** Every buffer in linear memory begins at a multiple of this. */
export const arenaAlignment = 64;
/** Arenas in linear memory: vector loads may read 16 bytes after a buffer. */
const linearMemory: ArenaLayout = { alignment: arenaAlignment, slack: 16 };

/** What a buffer takes up in an arena. */
export const reservedBytes = (bytes: number, { alignment, slack }: ArenaLayout = linearMemory): number =>
  Math.ceil((bytes + slack) / alignment) * alignment;

/** No plan is smaller than this: the greatest sum of what is alive at one step. */
export function arenaLowerBound(intervals: readonly ArenaInterval[], layout: ArenaLayout = linearMemory): number {
  const changes = new Map<number, number>();
  for (const { bytes, first, last } of intervals) {
    const reserved = reservedBytes(bytes, layout);
    changes.set(first, (changes.get(first) ?? 0) + reserved);
    changes.set(last + 1, (changes.get(last + 1) ?? 0) - reserved);
  }
  let [alive, greatest] = [0, 0];
  for (const [, change] of [...changes].sort(([a], [b]) => a - b)) {
    alive += change;
    greatest = Math.max(greatest, alive);
  }
  return greatest;
}

/** Offsets for buffers; the same for the same intervals. */
export function planArena(intervals: readonly ArenaInterval[], layout: ArenaLayout = linearMemory): ArenaPlan {
  const bound = arenaLowerBound(intervals, layout);
  const bySize = place(intervals, layout, ({ bytes }) => bytes);
  if (bySize.bytes === bound) return bySize;
  const byArea = place(intervals, layout, ({ bytes, first, last }) => bytes * (last - first + 1));
  return byArea.bytes < bySize.bytes ? byArea : bySize;
}

function place(
  intervals: readonly ArenaInterval[],
  layout: ArenaLayout,
  weight: (interval: ArenaInterval) => number,
): ArenaPlan {
  const order = intervals.map((_, at) => at);
  order.sort((a, b) => weight(intervals[b]) - weight(intervals[a]) || intervals[a].first - intervals[b].first || a - b);
  const placed = new PlacedIntervals(intervals, layout);
  let total = 0;
  for (const at of order) total = Math.max(total, placed.add(at));
  return { offsets: [...placed.offsets], bytes: total };
}

/** The share of the placed buffers above which going through all of them beats sorting those that matter. */
const fewOf = 16;

/**
 * The intervals placed so far: a tree over all intervals by `first` that keeps the greatest `last` below a node, and a
 * list by offset. A buffer that few others are alive with finds them by the tree; one that has many, as what a
 * training step keeps for its gradient, by going through the list.
 */
class PlacedIntervals {
  readonly offsets: Float64Array;
  readonly #firsts: Float64Array;
  readonly #lasts: Float64Array;
  readonly #sizes: Float64Array;
  readonly #byOffset: number[] = [];
  readonly #byFirst: readonly number[];
  readonly #rank: readonly number[];
  readonly #greatestLast: Float64Array;
  readonly #leaves: number;

  constructor(intervals: readonly ArenaInterval[], layout: ArenaLayout) {
    this.offsets = new Float64Array(intervals.length);
    this.#firsts = Float64Array.from(intervals, ({ first }) => first);
    this.#lasts = Float64Array.from(intervals, ({ last }) => last);
    this.#sizes = Float64Array.from(intervals, ({ bytes }) => reservedBytes(bytes, layout));
    this.#byFirst = intervals.map((_, at) => at).sort((a, b) => intervals[a].first - intervals[b].first || a - b);
    const rank = new Array<number>(intervals.length);
    this.#byFirst.forEach((at, position) => {
      rank[at] = position;
    });
    this.#rank = rank;
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(intervals.length, 1)));
    this.#greatestLast = new Float64Array(2 * this.#leaves).fill(-Infinity);
  }

  /** Places an interval into the smallest gap that fits, or after all that are alive with it; gives its end. */
  add(at: number): number {
    const few = this.#overlapping(at, Math.max(fewOf, Math.floor(this.#byOffset.length / fewOf)));
    few?.sort((a, b) => this.offsets[a] - this.offsets[b]);
    const offset = this.#smallestGap(at, few ?? this.#byOffset);
    this.offsets[at] = offset;
    this.#byOffset.splice(this.#positionOf(offset), 0, at);
    for (let node = this.#leaves + this.#rank[at]; node >= 1; node >>= 1) {
      this.#greatestLast[node] = Math.max(this.#greatestLast[node], this.#lasts[at]);
    }
    return offset + this.#sizes[at];
  }

  /** Start of the smallest gap between those of `others`, sorted by offset, that are alive with an interval. */
  #smallestGap(at: number, others: readonly number[]): number {
    const [firsts, lasts, sizes, offsets] = [this.#firsts, this.#lasts, this.#sizes, this.offsets];
    const [first, last, size] = [firsts[at], lasts[at], sizes[at]];
    let end = 0;
    let best: number | undefined;
    let bestGap = Infinity;
    for (const other of others) {
      if (firsts[other] > last || lasts[other] < first) continue;
      const offset = offsets[other];
      const gap = offset - end;
      if (gap >= size && gap < bestGap) [best, bestGap] = [end, gap];
      end = Math.max(end, offset + sizes[other]);
    }
    return best ?? end;
  }

  /** Where in the list an offset belongs. */
  #positionOf(offset: number): number {
    let [low, high] = [0, this.#byOffset.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.offsets[this.#byOffset[middle]] <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Placed intervals that share a step with another; `undefined` when they are more than `most`. */
  #overlapping(other: number, most: number): number[] | undefined {
    const [first, last] = [this.#firsts[other], this.#lasts[other]];
    const found: number[] = [];
    const waiting = [1];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (this.#greatestLast[node] < first) continue;
      if (node < this.#leaves) {
        waiting.push(2 * node + 1, 2 * node);
        continue;
      }
      const at = this.#byFirst[node - this.#leaves];
      if (this.#firsts[at] > last) break;
      if (found.length === most) return undefined;
      found.push(at);
    }
    return found;
  }
}
