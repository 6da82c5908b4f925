/**
 * Tiles: how many rows and columns of results a workgroup computes at a time, and how many of them each of its threads.
 *
 * Two tiles of each factor are in workgroup memory, one that is multiplied and one that is being filled, in 16 KB, which
 * is what every adapter has. A thread multiplies 8 × 8 (16 vectors of sums) with 4 vectors read from workgroup memory
 * for 64 multiplications: 64 registers of sums, 16 of factors, 8 of elements on their way from global memory and some
 * 20 of addresses stay under 128, with which two workgroups of 256 threads fit a multiprocessor. Smaller tiles are for
 * products that would leave most of the device idle otherwise; their threads read more for each multiplication.
 */
import { type Contraction, likelyLength, sideOf } from './match.ts';

export interface Tile {
  /** Results of a workgroup. */
  readonly rows: number;
  readonly columns: number;
  /** Steps of the sum in workgroup memory at a time. */
  readonly depth: number;
  /** Results of a thread, a multiple of four each way. */
  readonly threadRows: number;
  readonly threadColumns: number;
}

interface PricedTile extends Tile {
  /** Speed of a full device, relative to that of the largest tile. */
  readonly speed: number;
}

const tiles: readonly PricedTile[] = [
  { rows: 128, columns: 128, depth: 8, threadRows: 8, threadColumns: 8, speed: 1 },
  { rows: 64, columns: 64, depth: 16, threadRows: 8, threadColumns: 4, speed: 0.75 },
  { rows: 32, columns: 32, depth: 16, threadRows: 4, threadColumns: 4, speed: 0.5 },
  { rows: 16, columns: 64, depth: 16, threadRows: 4, threadColumns: 4, speed: 0.45 },
  { rows: 64, columns: 16, depth: 16, threadRows: 4, threadColumns: 4, speed: 0.4 },
];

export const threadsOf = ({ rows, columns, threadRows, threadColumns }: Tile): number =>
  (rows / threadRows) * (columns / threadColumns);

/** Sums that a thread can keep in registers. */
const mostSums = 64;
/** Threads that keep a large device busy: 256 on each of 132 multiprocessors. */
const busyThreads = 132 * 256;
/** Words of scratch memory that parts of sums may take. */
const mostPartWords = 2 ** 24;
/** Results of a tile, at least, where sums are not so long that threads must share them. */
const leastFilled = 1 / 8;
/** Fewer steps than this are no part of a sum. */
const leastSteps = 256;
/**
 * What sums in parts cost, in multiplications of a busy device: a second stage, and a part of a sum on its way through
 * memory. They must be worth while by some margin, since devices with fewer multiprocessors gain less.
 */
const secondStage = 1e8;
const partOnItsWay = 40;
const margin = 1.5;

export interface TileChoice {
  readonly tile: Tile;
  /** In how many parts sums are computed. */
  readonly splits: number;
}

/**
 * The tile with which a contraction is likely to be done first; `undefined` where there are too many sums or too few results.
 * @param copies how many variables each sum takes
 */
export function chooseTile(contraction: Contraction, copies: number): TileChoice | undefined {
  const { rows, columns, batches, sums } = contraction;
  const [m, n, batch] = [likelyLength(rows), likelyLength(columns), likelyLength(batches)];
  const depth = likelyDepth(contraction);
  const results = m * n * batch * sums.length;
  let best: (TileChoice & { time: number }) | undefined;
  for (const tile of tiles) {
    if (tile.threadRows * tile.threadColumns * sums.length * copies > mostSums) continue;
    const [down, across] = [Math.ceil(m / tile.rows), Math.ceil(n / tile.columns)];
    const filled = (m * n) / (down * tile.rows * across * tile.columns);
    if (filled < leastFilled && depth < leastSteps) continue;
    const threads = batch * down * across * threadsOf(tile);
    const rate = (splits: number): number => tile.speed * filled * Math.min(1, (splits * threads) / busyThreads);
    const most = Math.min(Math.ceil(busyThreads / threads), Math.floor(depth / leastSteps));
    for (const splits of [1, Math.min(most, Math.floor(mostPartWords / results))]) {
      const products = (results * depth) / rate(splits);
      const time = splits <= 1 ? products : margin * (products + secondStage + results * splits * partOnItsWay);
      if (splits >= 1 && (!best || time < best.time)) best = { tile, splits, time };
    }
  }
  return best;
}

/** About how many steps a sum has. */
export const likelyDepth = ({ sums }: Contraction): number =>
  Math.max(...sums.map(({ reduced }) => likelyLength(sideOf(reduced))));
