/**
 * Which of an artefact's targets runs here, and the device that it runs on: the one that the session uses, where the
 * artefact has code for it; else in browsers a GPU; else wasm, with threads where memory can be shared and the artefact has code for
 * that. Only the code of that device is loaded.
 */
import { KilnError } from '../../base/error.ts';
import type { ArtefactContent } from '../artefact/records.ts';
import type { Device } from '../device.ts';
import { type Program, runsOn, type Tier, tierName, type WasmTier } from '../program.ts';
import {
  assertDevice,
  bestDevice,
  chosenDeviceName,
  devicesInUse,
  madeDevice,
  openDevice,
  preferDevice,
} from '../session.ts';
import { isNode } from '../webgpu/presence.ts';

export interface TargetOptions {
  /**
   * `'wasm'`, `'webgpu'`, or `'auto'` for the best one here that the artefact has code for: a GPU, else wasm. Unless
   * given, the device that the session uses already; where there is none, in Node wasm, in browsers as `'auto'`.
   */
  readonly device?: string;
  /** Threads that kernels run on, the calling one among them; as `init` takes them. */
  readonly threads?: number;
}

export interface ChosenTarget {
  /** As the artefact calls it, such as `'wasm-threads'`. */
  readonly name: string;
  readonly device: Device;
  /** Makes a program of the target one of the device. */
  readonly adapt: (program: Program) => Program;
}

/** A target for which every function of the artefact has a program. */
interface Candidate {
  readonly name: string;
  readonly tiers: readonly Tier[];
  /** Whether some of its programs have sizes that vary. */
  readonly isSymbolic: boolean;
}

/** @throws KilnError (as a rejection) `missing_tier`, `no_adapter`, `unknown_device`, `invalid_argument` */
export async function chooseTarget(content: ArtefactContent, options: TargetOptions): Promise<ChosenTarget> {
  const candidates = candidatesOf(content);
  const device = await deviceFor(candidates, options);
  const byWorth = [...candidates].sort((a, b) => worth(b) - worth(a));
  const best = byWorth.find(({ tiers }) => tiers.every((tier) => runsOn(tier, device.tier)));
  // A device with threads has a memory of another kind, which kernels for one thread can be made to import.
  const one =
    best ?? byWorth.find(({ tiers }) => tiers.every((tier) => runsOn({ ...tier, threads: true } as Tier, device.tier)));
  if (!one && content.functions.length > 0) throw await missingTier(candidates, tierName(device.tier));
  // New arrays go where it runs, unless there are some on another device.
  if (devicesInUse().every((other) => other === device || !other.memory().tensors)) preferDevice(device.name);
  if (best || !one) return { name: one?.name ?? device.name, device, adapt: (same) => same };
  const { forSharedMemory } = await import('./share-memory.ts');
  return { name: one.name, device, adapt: forSharedMemory };
}

function candidatesOf({ functions, programs }: ArtefactContent): Candidate[] {
  const names = functions.length > 0 ? functions[0].programs.map(({ target }) => target) : [];
  return names.flatMap((name) => {
    const found = functions.map((one) => one.programs.find(({ target }) => target === name));
    if (!found.every((choice) => choice !== undefined)) return [];
    const tiers = found.map(({ program }) => programs[program].tier);
    return [{ name, tiers, isSymbolic: functions.some(({ symbols }) => symbols.length > 0) }];
  });
}

/** The more of the device a target uses, the better it is. */
function worth({ tiers: [tier] }: Candidate): number {
  if (tier.target === 'wasm') return 2 * Number(tier.threads) + Number(tier.relaxedSimd);
  return 4 * Number(tier.subgroups) + 2 * Number(tier.shaderF16) + Number(tier.integerDot);
}

async function deviceFor(candidates: readonly Candidate[], options: TargetOptions): Promise<Device> {
  const has = (kind: string): boolean => candidates.some(({ tiers: [{ target }] }) => target === kind);
  const name = await deviceName(has, options.device);
  if (candidates.length > 0 && !has(name)) throw await missingTier(candidates, name);
  if (name === 'wasm') await prepareWasm(candidates, options.threads);
  try {
    return await openDevice(name);
  } catch (cause) {
    if (!(cause instanceof KilnError) || cause.code !== 'no_adapter' || has('wasm')) throw cause;
    throw await missingTier(candidates, `no WebGPU adapter: ${cause.given ?? cause.summary}`, cause);
  }
}

async function deviceName(has: (kind: string) => boolean, wanted: string | undefined): Promise<string> {
  if (wanted !== undefined && wanted !== 'auto') {
    assertDevice(wanted);
    return wanted;
  }
  const inUse = chosenDeviceName() ?? devicesInUse()[0]?.name;
  if (wanted === undefined && inUse !== undefined && has(inUse)) return inUse;
  // In Node a GPU is for those who ask for it: opening one takes longer than loading anything else.
  if (has('wasm') && has('webgpu') && (wanted === 'auto' || !isNode())) return bestDevice();
  return has('wasm') || !has('webgpu') ? 'wasm' : 'webgpu';
}

/** Loads the parts of the wasm device that the artefact has code for, and says what a device to be made is like. */
async function prepareWasm(candidates: readonly Candidate[], wanted: number | undefined): Promise<void> {
  const tiers = candidates.flatMap(({ tiers: [tier] }) => (tier.target === 'wasm' ? [tier] : []));
  const mayShare = tiers.some(({ threads }) => threads) && wanted !== 1 && isIsolated();
  // All that is likely to be needed is asked for at once: a page waits for it one time.
  const mayRelax = tiers.some((tier) => tier.relaxedSimd);
  const [{ loadParts, wantDevice }] = await Promise.all([
    import('../wasm/register.ts'),
    (mayShare || mayRelax) && import('../wasm/features.ts'),
    mayShare && import('../wasm/sharing.ts'),
    mayRelax && import('../wasm/relaxed-simd.ts'),
  ]);
  if (wanted !== undefined) (await import('../wasm/features.ts')).chooseThreads(wanted, 'load');
  const made = madeDevice('wasm');
  const isSymbolic = candidates.some((candidate) => candidate.isSymbolic);
  const threads = made?.threads ?? (await threadsFor(tiers, wanted));
  const relaxedSimd = mayRelax && (await import('../wasm/features.ts')).wasmFeatures().relaxedSimd;
  if (!made) wantDevice({ threads, relaxedSimd });
  await loadParts({ sharing: threads > 1, relaxedSimd, planArena: isSymbolic });
}

/** Whether memory may be shared, as far as that is known without asking further: not on pages that are not isolated. */
const isIsolated = (): boolean =>
  (globalThis as { readonly crossOriginIsolated?: boolean }).crossOriginIsolated !== false;

/** How many threads a new device has: one where there is no code for more. */
async function threadsFor(tiers: readonly WasmTier[], wanted: number | undefined): Promise<number> {
  if (wanted === undefined && !tiers.some(({ threads }) => threads)) return 1;
  const { resolveThreads } = await import('../wasm/features.ts');
  const threads = resolveThreads(wanted);
  const isOnlyForMore = wanted === undefined && tiers.every((tier) => tier.threads);
  return isOnlyForMore && threads === 1 ? resolveThreads(2) : threads;
}

const missingTier = async (candidates: readonly Candidate[], here: string, cause?: unknown): Promise<KilnError> => {
  const { missingTierError } = await import('./missing-tier.ts');
  return missingTierError(
    candidates.map(({ name }) => name),
    here,
    cause,
  );
};
