/**
 * The schedule for rows that are sorted: in the memory of a workgroup where they fit, with what comes before and after;
 * otherwise in stages.
 */
import type { Unit } from '../../common/units.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { matchSortedRows } from './match.ts';
import { planInStages } from './stages.ts';
import { planInWorkgroup } from './workgroup.ts';

export function planSort(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const sorted = matchSortedRows(unit, context.written);
  if (!sorted) return undefined;
  const inWorkgroup = planInWorkgroup(sorted, context);
  return inWorkgroup ? [inWorkgroup] : planInStages(sorted, context);
}
