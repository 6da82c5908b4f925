/**
 * What the compiler asks of a target: code for a lowered module. Each target is a module of its own, loaded when the
 * first program for it is compiled, so that a page that computes on WebGPU never loads what makes WASM.
 *
 *     const { generate } = await loadTarget('wasm');
 *     const { program, texts } = generate(lowered, { precision: 'fast', tier });
 */
import { internalError } from '../../base/error.ts';
import type { KernelStore } from '../../codegen/common/kernel-cache.ts';
import type { TunedKernel } from '../../codegen/wasm/program.ts';
import type { Tunable } from '../../codegen/wasm/tunables.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { Program, Tier } from '../../runtime/program.ts';
import type { Precision } from '../settings.ts';

export type Target = Tier['target'];

export interface Generated {
  /** With the launches that codegen has set apart. */
  readonly lowered: Lowered;
  readonly program: Program;
  /** The code of each kernel as text. */
  readonly texts: readonly string[];
  /** What may be measured, and what was. */
  readonly tunables: readonly Tunable[];
  readonly tuned: readonly TunedKernel[];
}

export interface GenerateOptions {
  readonly precision: Precision;
  readonly tier: Tier;
  readonly tuning?: TuningRequest;
  /** Where kernels may be that others have generated. */
  readonly store?: KernelStore;
}

/** Schedules that were measured on the machine that runs the program. */
export interface TuningRequest {
  /** By the key of the kernel. */
  readonly schedules: readonly (readonly [string, string])[];
  /** Values of symbolic sizes; one that is absent counts as a likely one. */
  readonly sizes: readonly (readonly [string, number])[];
  /** Asks for candidates for all other kernels, made within so many milliseconds. */
  readonly candidateMs?: number;
}

export type Generate = (lowered: Lowered, options: GenerateOptions) => Generated;

/** What a target gives the compiler. */
export interface TargetCode {
  readonly generate: Generate;
  /** Hashes of the kernels that `generate` will ask the store for, and of some that it may. */
  readonly kernelHashes: (lowered: Lowered, options: GenerateOptions) => readonly string[];
}

/** What loads each target. */
const loaders: Readonly<Record<Target, () => Promise<TargetCode>>> = {
  wasm: async () => (await import('./wasm.ts')).loadWasm(),
  webgpu: async () => (await import('./webgpu.ts')).webgpuCode,
};

const loaded = new Map<Target, TargetCode>();

/** Loads what code generation for a target needs. A load that failed may be tried again. */
export async function loadTarget(target: Target): Promise<TargetCode> {
  const code = loaded.get(target) ?? (await loaders[target]());
  loaded.set(target, code);
  return code;
}

export const isTargetLoaded = (target: Target): boolean => loaded.has(target);

/** The code generator of a target that was loaded before. */
export function loadedTarget(target: Target): TargetCode {
  const code = loaded.get(target);
  if (!code) throw internalError(`compile for ${target} before ready()`);
  return code;
}
