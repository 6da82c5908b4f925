/**
 * Schedules of kernels for entries that ask for `autotune`: measured on this machine, or those of an artefact that was
 * baked before, with which every machine bakes the same bytes. Only WASM has a choice, and only tiers that run here are
 * measured; others take what is usual.
 */
import type { KilnError } from '../../base/error.ts';
import type { WasmTier } from '../../runtime/program.ts';
import { WasmDevice } from '../../runtime/wasm/device.ts';
import { wasmFeatures } from '../../runtime/wasm/features.ts';
import { resolveThreads } from '../../runtime/wasm/threads.ts';
import { machineKey } from '../autotune/machine.ts';
import { storedSchedules } from '../autotune/store.ts';
import { tuneAside } from '../autotune/tune.ts';
import type { CompileResult } from '../compiler.ts';
import { compileAll } from './compile-pool.ts';
import { type BakeTarget, tierOf } from './targets.ts';
import { failureOf, type TracedEntry } from './trace-entry.ts';

/** By the key of the kernel, which says how its code is made, too. */
export type Schedules = ReadonlyMap<string, string>;

/**
 * Measures what entries ask for and nobody knows, one after the other: nothing else may run meanwhile.
 * @param known schedules that need no measuring
 * @returns those and the measured ones
 */
export async function measureSchedules(
  entries: readonly TracedEntry[],
  targets: readonly BakeTarget[],
  known: Schedules,
  failures: KilnError[],
): Promise<Schedules> {
  const found = new Map(known);
  const tuned = entries.filter(({ autotuneMs }) => autotuneMs !== undefined);
  for (const target of targets) {
    const tier = tierOf(target);
    if (tier.target !== 'wasm' || tuned.length === 0 || !runsHere(tier)) continue;
    const device = new WasmDevice({
      threads: tier.threads ? resolveThreads(undefined) : 1,
      relaxedSimd: tier.relaxedSimd,
    });
    try {
      addStored(device, found);
      for (const entry of tuned) {
        await measure(entry, tier, device, found, failures);
        addStored(device, found);
      }
    } finally {
      device.shutdown();
    }
  }
  return found;
}

/** What this machine has measured before, for kernels of which nothing else is known. */
function addStored(device: WasmDevice, found: Map<string, string>): void {
  for (const [key, { schedule }] of storedSchedules(machineKey(device))) if (!found.has(key)) found.set(key, schedule);
}

const runsHere = ({ threads, relaxedSimd }: WasmTier): boolean =>
  (!threads || resolveThreads(undefined) > 1) && (!relaxedSimd || wasmFeatures().relaxedSimd);

async function measure(
  { record, request, autotuneMs = 0 }: TracedEntry,
  tier: WasmTier,
  device: WasmDevice,
  known: Schedules,
  failures: KilnError[],
): Promise<void> {
  const tuning = { schedules: [...known], sizes: [], candidateMs: autotuneMs };
  const [compiled] = await compileAll([{ ...request, tier, tuning }], { threads: 1 });
  if ('failure' in compiled) failures.push(failureOf(record.name, compiled.failure));
  else await tuneAside(device, compiled.result.tunables, { budgetMs: autotuneMs, sizes: [] });
}

/** The schedules that results were made with, in order. */
export function schedulesOf(results: readonly CompileResult[]): readonly (readonly [string, string])[] {
  const used = new Map(results.flatMap(({ tuned }) => tuned.map(({ key, schedule }) => [key, schedule] as const)));
  return [...used].sort(([a], [b]) => (a < b ? -1 : 1));
}
