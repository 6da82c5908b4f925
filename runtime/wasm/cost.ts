/**
 * What a launch costs, about, and how it is shared among threads: which phases are worth it, and how many tiles are
 * taken at a time.
 *
 *     planPhases([{ tiles: 1024, group: 1 }], { flops: 2e9, bytes: 1e7, threads: 2 })     // [{ tiles: 1024, grain: 1 }]
 *     planPhases([{ tiles: 4, group: 1 }], { flops: 1000, bytes: 1000, threads: 2 })      // grain 0: the caller alone
 */

import type { PlannedPhase } from './kernels.ts';

interface Work {
  /** Of all phases together. */
  readonly flops: number;
  /** Of the buffers that are bound. */
  readonly bytes: number;
  readonly threads: number;
}

/** Work that one thread does in a microsecond, about: a few operations a cycle, or memory at 10 GB/s. */
const workPerMicrosecond = 10_000;

/** What is worth sharing. Tests lower it, so that small samples are shared too. */
export const costModel = {
  /** A round costs less than a microsecond while workers are awake. */
  leastMicroseconds: 10,
  /**
   * Waking workers up takes the caller about ten, them more. For less work than this in all launches they may sleep on.
   */
  wakeMicroseconds: 50,
  /** What is taken at a time: long against an atomic addition, short against the wait for the last worker. */
  grainMicroseconds: 30,
};

const chunksPerThread = 4;

/** Whether workers should wake up for launches of so much work that they would share. */
export const isWorthWaking = (work: number): boolean => work / workPerMicrosecond >= costModel.wakeMicroseconds;

/** How each phase is shared. Tiles of all phases count as equally dear, since schedulers make them about equal. */
export function planPhases(
  phases: readonly { readonly tiles: number; readonly group: number }[],
  work: Work,
): PlannedPhase[] {
  const all = phases.reduce((sum, { tiles }) => sum + tiles, 0);
  const tileMicroseconds = Math.max(work.flops, work.bytes) / workPerMicrosecond / Math.max(all, 1);
  return phases.map(({ tiles, group }) => ({
    tiles,
    grain:
      work.threads > 1 && tiles > 1 && tiles * tileMicroseconds >= costModel.leastMicroseconds
        ? grainOf(tiles, group, tileMicroseconds, work.threads)
        : 0,
  }));
}

/** A grain of whole groups where there are enough of them, else of equal parts of a group. */
function grainOf(tiles: number, group: number, tileMicroseconds: number, threads: number): number {
  const wanted = Math.max(1, Math.round(costModel.grainMicroseconds / tileMicroseconds));
  const chunks = chunksPerThread * threads;
  const most = Math.max(1, Math.floor(tiles / chunks));
  const grain = Math.min(wanted, most);
  if (group <= 1 || group >= 2 ** 31) return grain;
  if (grain >= group) return group * Math.floor(grain / group);
  const groups = Math.ceil(tiles / group);
  if (groups >= 2 * threads) return group;
  return Math.max(1, Math.ceil(group / Math.ceil(chunks / groups)));
}
