/**
 * Teams: threads of a workgroup that do a row together. Members of a team stand side by side where the row is
 * contiguous in memory, and teams do where neighbouring rows are.
 *
 *     rows       32 threads a row, 8 rows a workgroup     thread 70 is member 6 of team 2
 *     columns     8 threads a row, 32 rows a workgroup    thread 70 is member 2 of team 6
 */
import { type Dim, dimBounds, isStatic } from '../../../base/dim.ts';
import { likelyExtent } from '../../common/cost.ts';
import { usualWorkgroup } from '../schedule.ts';

export interface Team {
  /** Threads, a power of two. */
  readonly size: number;
  readonly layout: 'rows' | 'columns';
}

export const teamsOfGroup = ({ size }: Team): number => usualWorkgroup / size;

/** How far apart the numbers of two neighbouring members are. */
export const memberStep = (team: Team): number => (team.layout === 'rows' ? 1 : teamsOfGroup(team));

const powerOfTwo = (least: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, least)));
const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** Threads for a row of so many steps: as few idle as can be, and few steps for each. */
export function rowTeam(steps: Dim): Team {
  const likely = isStatic(steps) ? steps : Math.min(dimBounds(steps)[1], Math.max(likelyExtent(steps), 512));
  let size = clamp(powerOfTwo(likely), 4, usualWorkgroup);
  // A third of the threads without work is dearer than a second step.
  while (size > 4 && size <= 2 * likely && Math.ceil(likely / size) * size > 1.3 * likely) size /= 2;
  return { size, layout: 'rows' };
}

/** Threads that a device has at once, about. */
const wantedThreads = 2 ** 16;
/** Neighbouring columns that are read at once: a sector of memory at least. */
const leastColumns = 8;

/** Threads for a column of so many steps, of which there are so many. */
export function columnTeam(steps: number, columns: number): Team {
  const size = powerOfTwo(Math.min(wantedThreads / Math.max(1, columns), steps / 8));
  return { size: clamp(size, 1, usualWorkgroup / leastColumns), layout: 'columns' };
}
