/** Code for WASM, by Binaryen, with schedules that were measured before where there are some. */
import { internalError } from '../../base/error.ts';
import { loadBinaryen } from '../../codegen/wasm/load.ts';
import { generateProgram, type TuningOptions } from '../../codegen/wasm/program.ts';
import { parseSchedule } from '../../codegen/wasm/schedules.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { Generate, TuningRequest } from './target.ts';

export async function loadWasm(): Promise<Generate> {
  const binaryen = await loadBinaryen();
  return (lowered, { precision, tier, tuning, store }) => {
    if (tier.target !== 'wasm') throw internalError(`code for ${tier.target} is asked of wasm`);
    return generateProgram(binaryen, lowered, { precision, tier }, tuning && tuningOptions(tuning, lowered), store);
  };
}

/** A symbolic size whose value is not known counts as this, within its bounds. */
const likelySize = 64;

/** Schedules from outside are taken where they are some. */
function tuningOptions({ schedules, sizes, candidateMs }: TuningRequest, { symbols }: Lowered): TuningOptions {
  const given = new Map(sizes);
  const end = candidateMs === undefined ? undefined : performance.now() + candidateMs;
  return {
    schedules: new Map(schedules.filter(([, text]) => parseSchedule(text) !== undefined)),
    sizes: new Map(
      symbols.map(({ name, min, max }) => [name, given.get(name) ?? Math.min(Math.max(likelySize, min), max)]),
    ),
    ...(end !== undefined && { mayGoOn: () => performance.now() < end }),
  };
}
