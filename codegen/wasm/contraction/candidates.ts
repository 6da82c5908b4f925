/**
 * The schedules that are worth measuring for a contraction: other register tiles, other chunks and blocks. The first is
 * the one that is taken unmeasured. All give the same bits in strict mode.
 *
 *     candidateSchedules(contraction).map(scheduleKey)      // ['4x8x256x64x512', '5x8x256x64x512', ...]
 */
import { KilnError } from '../../../base/error.ts';
import type { Contraction } from './match.ts';
import { type ContractionSchedule, checkSchedule, defaultSchedule, scheduleKey } from './schedule.ts';

/** Register tiles of up to sixteen vectors of sums, beside the default: with more rows, or with pairs of vectors. */
const tiles = [
  [5, 8],
  [6, 8],
  [4, 16],
  [8, 8],
  [3, 16],
  [2, 16],
] as const;

export function candidateSchedules(contraction: Contraction): ContractionSchedule[] {
  const base = defaultSchedule(contraction);
  const { chunkColumns, blockRows, depthBlock } = base;
  const all: ContractionSchedule[] = [
    base,
    ...tiles.map(([tileRows, tileColumns]) => ({ ...base, tileRows, tileColumns })),
    { ...base, chunkColumns: chunkColumns * 2 },
    { ...base, chunkColumns: Math.max(64, Math.floor(chunkColumns / 2)) },
    { ...base, blockRows: blockRows * 2 },
    { ...base, blockRows: Math.max(base.tileRows, Math.floor(blockRows / 2)) },
    { ...base, depthBlock: depthBlock > 512 ? 512 : 1024 },
  ];
  return [...new Map(all.map((schedule) => [scheduleKey(schedule), schedule])).values()];
}

/** The most that a number of a schedule from outside may be. */
const most = 1 << 16;

/** A schedule from its key; `undefined` for text that is none, whoever wrote it. */
export function parseContractionSchedule(key: string): ContractionSchedule | undefined {
  const match = /^(\d{1,6})x(\d{1,6})x(\d{1,6})x(\d{1,6})x(\d{1,6})$/.exec(key);
  if (!match) return undefined;
  const [tileRows, tileColumns, chunkColumns, blockRows, depthBlock] = match.slice(1).map(Number);
  if ([tileColumns, chunkColumns, blockRows, depthBlock].some((count) => count > most) || tileColumns > 64) {
    return undefined;
  }
  try {
    return checkSchedule({ tileRows, tileColumns, chunkColumns, blockRows, depthBlock });
  } catch (error) {
    if (error instanceof KilnError) return undefined;
    throw error;
  }
}
