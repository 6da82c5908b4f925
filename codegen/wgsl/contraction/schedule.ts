/** The schedules of contractions. */
import type { Unit } from '../../common/units.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { matchContraction } from './match.ts';
import { planTiles } from './tiles.ts';

/** The stages of a contraction; `undefined` for what is none, or has too few rows or columns. */
export function planContraction(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const contraction = matchContraction(unit, context);
  if (!contraction || contraction.rows.axes.length === 0 || contraction.columns.axes.length === 0) return undefined;
  return planTiles(contraction, context);
}
