/** Code for WASM, by Binaryen, with schedules that were measured before where there are some. */
import { internalError } from '../../base/error.ts';
import type { KernelOptions } from '../../codegen/wasm/kernel.ts';
import { loadBinaryen } from '../../codegen/wasm/load.ts';
import { generateProgram, kernelHashes, type TuningOptions } from '../../codegen/wasm/program.ts';
import { parseSchedule } from '../../codegen/wasm/schedules.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { GenerateOptions, TargetCode, TuningRequest } from './target.ts';

export async function loadWasm(): Promise<TargetCode> {
  const binaryen = await loadBinaryen();
  return {
    generate: (lowered, options) => {
      const { tuning, store } = options;
      return generateProgram(binaryen, lowered, ofWasm(options), tuning && tuningOptions(tuning, lowered), store);
    },
    kernelHashes: (lowered, options) => {
      const { tuning } = options;
      return kernelHashes(lowered, ofWasm(options), tuning && tuningOptions(tuning, lowered));
    },
  };
}

function ofWasm({ precision, tier }: GenerateOptions): KernelOptions {
  if (tier.target !== 'wasm') throw internalError(`code for ${tier.target} is asked of wasm`);
  return { precision, tier };
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
