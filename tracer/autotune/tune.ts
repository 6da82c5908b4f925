/**
 * Autotuning of one program: every kernel with a choice of schedules gets its part of the budget, by how much of the
 * program's work it does; the winners are stored for this machine and never measured again.
 *
 *     const request = { ...compileRequest, tuning: tuningRequest(device, options) };
 *     const results = tune(device, compile(request).tunables, options);   // and compile once more, without candidates
 */
import { internalError, KilnError } from '../../base/error.ts';
import { debug, isDebugging } from '../../base/flags.ts';
import type { TunedKernel } from '../../codegen/wasm/program.ts';
import type { Tunable } from '../../codegen/wasm/tunables.ts';
import type { Device } from '../../runtime/device.ts';
import type { TuningRequest } from '../targets/target.ts';
import { machineKey } from './machine.ts';
import { type SearchResult, searchSchedules, type TriedSchedule } from './search.ts';
import { type StoredSchedule, storedSchedules, storeSchedules } from './store.ts';

export interface AutotuneOptions {
  /** Milliseconds for all kernels of a program. */
  readonly budgetMs: number;
  /** Values of symbolic sizes, where they are known; measured with others in their place otherwise. */
  readonly sizes: readonly (readonly [string, number])[];
}

/** @throws KilnError `invalid_argument` for a device whose programs have nothing to measure */
export function assertTunable(device: Device, label: string): void {
  if (device.trial) return;
  throw new KilnError('invalid_argument', `${label}: there is nothing to autotune on the ${device.name} device`, {
    given: `autotune on '${device.name}'`,
    expected: "a function that runs on 'wasm'",
    hint: "leave the option out here: autotune: device !== 'webgpu'",
  });
}

/** What is known for a device, and what else to make candidates for. @param isFinal whether no candidates are wanted */
export function tuningRequest(device: Device, { budgetMs, sizes }: AutotuneOptions, isFinal: boolean): TuningRequest {
  const schedules = [...storedSchedules(machineKey(device))].map(([key, { schedule }]) => [key, schedule] as const);
  return { schedules, sizes, ...(!isFinal && { candidateMs: budgetMs }) };
}

/** Whether there was no time for a kernel: it waits for the next compile. */
export const isLeftOut = ({ candidates }: Tunable): boolean => candidates.length < 2;

/** Measures and stores. What can not be run, for want of memory, stays as it is. */
export function tune(device: Device, tunables: readonly Tunable[], { budgetMs }: AutotuneOptions): void {
  const measured = tunables.filter((tunable) => !isLeftOut(tunable));
  const total = measured.reduce((sum, { flops }) => sum + flops, 0);
  const results = new Map<string, SearchResult>();
  for (const tunable of measured) {
    const result = measure(device, tunable, (budgetMs * tunable.flops) / total);
    if (result) results.set(tunable.key, result);
  }
  storeSchedules(machineKey(device), results);
}

/** The same, where code may be compiled off this thread first, and threads may get ready. */
export async function tuneAside(device: Device, tunables: readonly Tunable[], options: AutotuneOptions): Promise<void> {
  for (const { candidates } of tunables) for (const { program } of candidates) await device.warmup(program);
  tune(device, tunables, options);
}

function measure(device: Device, { kernel, candidates, sizes }: Tunable, budgetMs: number): SearchResult | undefined {
  if (!device.trial) throw internalError(`autotune on the ${device.name} device, which tries nothing`);
  try {
    const trial = device.trial(
      candidates.map(({ program }) => program),
      new Map(sizes),
    );
    try {
      const result = searchSchedules(
        candidates.map(({ schedule }) => schedule),
        { run: trial.run, now: () => performance.now(), budgetMs },
      );
      if (isDebugging('runtime')) debug('runtime', `autotune ${kernel}: ${result.winner} of ${result.tried.length}`);
      return result;
    } finally {
      trial.dispose();
    }
  } catch (error) {
    if (isDebugging('runtime')) debug('runtime', `autotune ${kernel}: ${String(error)}`);
    return undefined;
  }
}

/** A kernel whose schedule was measured. */
export interface TunedReport {
  readonly kernel: string;
  /** Rows and columns of a tile, columns of a chunk, rows of a block, steps: `4x8x256x64x512`. */
  readonly schedule: string;
  /** Whether it was measured in this process, or by another that left a file. */
  readonly from: 'measured' | 'file';
  /** What was tried here: the first is what is taken unmeasured. */
  readonly tried: readonly TriedSchedule[];
  /** Milliseconds that took. */
  readonly ms: number;
}

/** What is known of how schedules were chosen, for `explain`. */
export function tunedReports(device: Device, tuned: readonly TunedKernel[]): TunedReport[] {
  const stored = tuned.length > 0 ? storedSchedules(machineKey(device)) : new Map<string, StoredSchedule>();
  return tuned.map(({ kernel, key, schedule }) => {
    const known = stored.get(key);
    const { tried = [], ms = 0 } = known?.search ?? {};
    return { kernel, schedule, from: known?.from ?? 'file', tried, ms };
  });
}
