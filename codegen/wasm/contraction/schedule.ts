/**
 * How a contraction is cut up. Every schedule gives the same bits in strict mode: it says which sums are in work
 * together, never in which order one is added up.
 *
 *     { tileRows: 4, tileColumns: 8, chunkColumns: 256, blockRows: 64, depthBlock: 512 }
 *
 *     chunk    columns whose part of the right factor stays in the cache
 *     block    rows that a tile of the launch takes through a chunk
 *     tile     sums that are kept in registers
 */
import type { Dim } from '../../../base/dim.ts';
import { dimBounds, isStatic } from '../../../base/dim.ts';
import { internalError } from '../../../base/error.ts';
import type { Axis } from '../../../ir/kernel.ts';
import { contractionBlock } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Factor } from '../../common/products.ts';
import type { Contraction } from './match.ts';

export interface ContractionSchedule {
  /** Rows of a register tile, 1 to 12. */
  readonly tileRows: number;
  /** Columns of a register tile: a multiple of 8, so that its vectors are pairs of neighbours. */
  readonly tileColumns: number;
  /** The most columns of a chunk. */
  readonly chunkColumns: number;
  /** The most rows of a block. */
  readonly blockRows: number;
  /** Steps of a longer depth that are done for a whole block before the next ones: a multiple of 256. */
  readonly depthBlock: number;
}

/** Sums in registers that V8 keeps there on x86, plain or fused, in every version. */
const tile = { tileRows: 4, tileColumns: 8 } as const;

/** Elements of the right factors that a chunk should hold: half a megabyte. */
const chunkElements = 1 << 17;
/** Steps up to which the sums of a tile stay in registers from first to last. */
const wholeDepth = 1024;
/** Multiplications that are worth a tile of the launch of their own, and tiles that are enough for any machine. */
const tileProducts = 1 << 19;
const enoughTiles = 16;
const mostRows = 64;
const leastRows = 16;
const leastColumns = 64;
/** Rows that are few, and columns of a chunk that are many for so few rows. */
const fewRows = 32;
const wideColumns = 1024;

/** The schedule of a contraction by its sizes. */
export function defaultSchedule({ sums, row, column, outer }: Contraction): ContractionSchedule {
  const depth = sums.reduce((total, sum) => total + likelyExtent(sum.depth), 0);
  const depthBlock = depth <= wholeDepth ? wholeDepth : 2 * contractionBlock;
  const [height, width] = [likelyExtent(row.extent), likelyExtent(column.extent)];
  const held = Math.floor(chunkElements / Math.max(1, Math.min(depth, depthBlock)));
  const isFew = height <= fewRows;
  const isAlong = sums.every(({ right }) => isAlongColumn(right, column));
  // What is packed for few rows is read a few times only: it should not leave the near cache.
  if (isFew && !isAlong) return { ...tile, chunkColumns: leastColumns, blockRows: mostRows, depthBlock };
  const isWide = isFew && width >= wideColumns;
  // Rows of a large factor that is read in place should be read in long stretches.
  const fitting = isWide ? Math.min(2 * wideColumns, wideColumns * Math.ceil(fewRows / height)) : Math.min(1024, held);
  let columns = Math.max(leastColumns, leastColumns * Math.floor(fitting / leastColumns));
  let rows = mostRows;
  const batch = outer.reduce((product, { extent }) => product * likelyExtent(extent), 1);
  const wanted = Math.min(enoughTiles, Math.floor((batch * height * width * depth) / tileProducts));
  const tiles = (): number => batch * Math.ceil(height / rows) * Math.ceil(width / columns);
  while (tiles() < wanted && rows > leastRows) rows /= 2;
  while (tiles() < wanted && columns > leastColumns && !isWide) columns /= 2;
  return { ...tile, chunkColumns: columns, blockRows: rows, depthBlock };
}

/** Whether loads of a factor lie along the column. */
const isAlongColumn = ({ lets }: Factor, column: Axis): boolean =>
  lets.some(({ expression }) => expression.kind === 'load' && coefficientOf(expression.index, column.name) === 1);

/** @throws an internal error for a schedule that code can not be made for */
export function checkSchedule(schedule: ContractionSchedule): ContractionSchedule {
  const { tileRows, tileColumns, chunkColumns, blockRows, depthBlock } = schedule;
  const counts = [tileRows, tileColumns, chunkColumns, blockRows, depthBlock];
  const isRight =
    counts.every((count) => Number.isInteger(count) && count > 0) &&
    tileRows <= 12 &&
    tileColumns % 8 === 0 &&
    depthBlock % contractionBlock === 0;
  if (!isRight) throw internalError(`a contraction can not have the schedule ${scheduleKey(schedule)}`);
  return schedule;
}

/** A schedule in the hash of a kernel. */
export const scheduleKey = (schedule: ContractionSchedule): string =>
  [schedule.tileRows, schedule.tileColumns, schedule.chunkColumns, schedule.blockRows, schedule.depthBlock].join('x');

/** Columns of the chunks of an axis, as equal as they can be: a multiple of those of a tile. */
export function chunkOf({ extent }: Axis, { chunkColumns, tileColumns }: ContractionSchedule): number {
  const [, highest] = dimBounds(extent);
  const most = Math.max(1, Math.floor(chunkColumns / tileColumns)) * tileColumns;
  const columns = Math.min(Math.ceil(highest / tileColumns) * tileColumns, most);
  if (!isStatic(extent)) return columns;
  const chunks = Math.ceil(extent / columns);
  return Math.ceil(extent / chunks / tileColumns) * tileColumns;
}

/** Rows of a block: a multiple of those of a tile. */
export function rowsOfBlock(extent: Dim, { blockRows, tileRows }: ContractionSchedule): number {
  const most = Math.max(1, Math.floor(blockRows / tileRows)) * tileRows;
  if (!isStatic(extent)) return most;
  const blocks = Math.max(1, Math.ceil(extent / most));
  return Math.ceil(Math.max(extent, 1) / blocks / tileRows) * tileRows;
}
