/**
 * Parts of the wasm device that only some programs and machines need. A process that compiles has them all at hand
 * (`complete.ts`), since it makes devices and runs programs without waiting; a page that runs a baked program loads those
 * that it needs before the device is made:
 *
 *     await loadParts({ sharing: true });
 *     const device = new WasmDevice({ threads: 4 });
 */
import type { DimBindings } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { Program } from '../program.ts';
import type { Trial } from '../trial.ts';
import type { WasmDevice } from './device.ts';
import type { KernelModule } from './engine.ts';
import type { Sharing } from './sharing.ts';
import type { PlanArena } from './workspace-plan.ts';

export interface WasmParts {
  /** Launches on several threads: for devices of more than one. */
  readonly sharing: Sharing;
  /** Compiling code that may use relaxed SIMD: for programs whose tier has it. */
  readonly relaxedSimd: {
    readonly compileModule: (code: Uint8Array) => KernelModule;
    readonly compileModuleAside: (code: Uint8Array) => Promise<KernelModule>;
  };
  /** Where temporaries lie: for programs with symbolic sizes, which do not know it before they are bound. */
  readonly planArena: PlanArena;
  /** Programs that run out of turn: for autotuning. */
  readonly tryPrograms: (device: WasmDevice, programs: readonly Program[], sizes: DimBindings) => Trial;
}

const parts: Partial<WasmParts> = {};

/** Parts that are at hand from now on. */
export function provideParts(provided: Partial<WasmParts>): void {
  Object.assign(parts, provided);
}

/** A part, where it is at hand. */
export const partIfLoaded = <Name extends keyof WasmParts>(name: Name): WasmParts[Name] | undefined => parts[name];

/** A part that must be at hand. */
export function part<Name extends keyof WasmParts>(name: Name): WasmParts[Name] {
  const found = partIfLoaded(name);
  if (!found) throw internalError(`the part ${name} of the wasm device has not been loaded`);
  return found;
}

/** Loads parts, where they are not at hand. */
export async function loadParts(
  wanted: {
    readonly [Name in 'sharing' | 'relaxedSimd' | 'planArena']?: boolean;
  },
): Promise<void> {
  const [sharing, relaxedSimd, arena] = await Promise.all([
    wanted.sharing && import('./sharing.ts'),
    wanted.relaxedSimd && import('./relaxed-simd.ts'),
    wanted.planArena && import('../../base/arena.ts'),
  ]);
  if (sharing) provideParts({ sharing });
  if (relaxedSimd) provideParts({ relaxedSimd });
  if (arena) provideParts({ planArena: arena.planArena });
}
