/**
 * Parts of the runtime that only some programs and machines need. A process that compiles has them all at hand
 * (`complete.ts`), since it makes devices and runs programs without waiting; a page that runs baked programs loads those
 * that it needs.
 */
import { internalError } from '../base/error.ts';
import type { bindSymbols } from './bind-symbols.ts';
import type * as debugging from './debugging.ts';
import type * as donation from './donation.ts';
import type * as prepared from './prepared.ts';
import type { Program } from './program.ts';
import type * as queue from './tasks.ts';
import type * as relaxedSimd from './wasm/relaxed-simd.ts';
import type { Sharing } from './wasm/sharing.ts';
import type { tryPrograms } from './wasm/trial.ts';
import type { PlanArena } from './wasm/workspace-plan.ts';
import type { LaunchTimer } from './webgpu/timing.ts';

export interface Parts {
  /** Work that waits: for programs that are run before they are loaded, and bytes that are under way. */
  readonly queue: typeof queue;
  /** Arrays that stay from run to run: for programs that prepare some. */
  readonly prepared: typeof prepared;
  /** Inputs that are overwritten: for programs that take some over. */
  readonly donation: typeof donation;
  /** Values of symbolic sizes: for programs that have some. */
  readonly bindSymbols: typeof bindSymbols;
  /** How long launches take on the GPU: for whoever observes them. */
  readonly launchTimer: typeof LaunchTimer;
  /** Lines of text: for KILN_DEBUG=runtime. */
  readonly debugging: typeof debugging;
  /** Launches on several threads: for wasm devices of more than one. */
  readonly sharing: Sharing;
  /** Compiling WASM that may use relaxed SIMD: for programs whose tier has it. */
  readonly relaxedSimd: Pick<typeof relaxedSimd, 'compileModule' | 'compileModuleAside'>;
  /** Where temporaries lie in linear memory: for programs with symbolic sizes, which learn it when they are bound. */
  readonly planArena: PlanArena;
  /** Programs that run out of turn: for autotuning. */
  readonly tryPrograms: typeof tryPrograms;
}

const parts: Partial<Parts> = {};

/** Parts that are at hand from now on. */
export function provideParts(provided: Partial<Parts>): void {
  Object.assign(parts, provided);
}

/** A part, where it is at hand. */
export const partIfLoaded = <Name extends keyof Parts>(name: Name): Parts[Name] | undefined => parts[name];

/** A part that must be at hand. */
export function part<Name extends keyof Parts>(name: Name): Parts[Name] {
  const found = partIfLoaded(name);
  if (!found) throw internalError(`the part ${name} of the runtime has not been loaded`);
  return found;
}

/** Loads what a program needs beside its device, where it is not at hand. */
export async function loadPartsFor({ inputs, prepareSteps, symbols }: Program): Promise<void> {
  if (prepareSteps > 0 && !parts.prepared) provideParts({ prepared: await import('./prepared.ts') });
  if (!parts.donation && inputs.some(({ donated }) => donated)) {
    provideParts({ donation: await import('./donation.ts') });
  }
  if (symbols.length > 0 && !parts.bindSymbols) provideParts(await import('./bind-symbols.ts'));
}
