/** The schedules of contractions. */
import type { Unit } from '../../common/units.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { matchContraction } from './match.ts';
import { planTiles } from './tiles.ts';
import { planVectors } from './vectors.ts';

/** The stages of a contraction; `undefined` for what is none, or too small. */
export function planContraction(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const contraction = matchContraction(unit, context);
  if (!contraction) return undefined;
  const { rows, columns } = contraction;
  if (rows.axes.length === 0 && columns.axes.length === 0) return undefined;
  const vectors = planVectors(contraction, context);
  if (vectors) return vectors;
  return rows.axes.length > 0 && columns.axes.length > 0 ? planTiles(contraction, context) : undefined;
}
