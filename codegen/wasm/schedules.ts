/**
 * Schedules of any kind as text, which is how they travel and are stored.
 *
 *     parseSchedule('4x8x256x64x512')     // { contraction: { tileRows: 4, ... } }
 *     parseSchedule('nest2x65536')        // { nest: { copies: 2, tileCost: 65536 } }
 */
import { parseContractionSchedule } from './contraction/candidates.ts';
import type { ContractionSchedule } from './contraction/schedule.ts';
import { type NestSchedule, parseNestSchedule } from './nest-schedule.ts';

/** What of the options of a kernel was measured. */
export interface MeasuredOptions {
  readonly contraction?: ContractionSchedule;
  readonly nest?: NestSchedule;
}

/** How a kernel is compiled where nothing was measured. */
export const usualSchedule = 'usual';

/** The options that a text stands for; `undefined` for text that is no schedule, whoever wrote it. */
export function parseSchedule(text: string): MeasuredOptions | undefined {
  if (text === usualSchedule) return {};
  const contraction = parseContractionSchedule(text);
  if (contraction) return { contraction };
  const nest = parseNestSchedule(text);
  return nest && { nest };
}
