/**
 * Lowered → Program: code for every kernel, and the rest written down as plain data. Equal kernels are compiled once
 * in a process, whatever programs they are in.
 *
 *     const { program, texts } = generateProgram(await loadBinaryen(), lowered, { precision: 'fast', tier });
 */
import type { DimBindings } from '../../base/dim.ts';
import { hashOf } from '../../base/hash.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { kernelKey } from '../../ir/kernel-print.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { WasmKernel, WasmProgram } from '../../runtime/program.ts';
import { KernelCache, type KernelStore, type WasmCode } from '../common/kernel-cache.ts';
import { numberValues } from '../common/number-values.ts';
import { type BufferFields, bufferFields, programOf, sizeOf } from '../common/program.ts';
import { keepPacked } from './keep-packed.ts';
import {
  type GeneratedKernel,
  generateKernel,
  type KernelOptions,
  kernelText,
  optionsKey,
  rightFactors,
} from './kernel.ts';
import type { Binaryen } from './math/emitter.ts';
import { parseSchedule } from './schedules.ts';
import { findTunables, type Tunable } from './tunables.ts';

export interface GeneratedProgram {
  /** What the program does, launch by launch: packing that is done only once has launches of its own. */
  readonly lowered: Lowered;
  readonly program: WasmProgram;
  /** The WebAssembly text of each kernel, made when it is read. */
  readonly texts: readonly string[];
  /** What may be measured, where that was asked for. */
  readonly tunables: readonly Tunable[];
  /** Kernels whose schedules were measured. */
  readonly tuned: readonly TunedKernel[];
}

export interface TunedKernel {
  readonly kernel: string;
  /** What the schedule is stored under. */
  readonly key: string;
  readonly schedule: string;
}

/** Schedules that were measured on this machine. */
export interface TuningOptions {
  /** By `Tunable.key`. */
  readonly schedules: ReadonlyMap<string, string>;
  /** The values that symbolic sizes have been measured at, or shall be. */
  readonly sizes: DimBindings;
  /** Asks for candidates for all other kernels, as long as it says so. */
  mayGoOn?(): boolean;
}

/** Changes whenever the code for an unchanged kernel does, so that stored hashes do not mistake old code for new. */
const codeVersion = 28;
const cache = new KernelCache<WasmCode>('wasm');

/** Forgets the code of all kernels, as if nothing had been compiled in this process. */
export const clearKernels = (): void => cache.clear();

/**
 * Generates all code of a lowered module.
 * @param store where kernels may be that others have generated
 * @throws KilnError `unsupported_dtype`, `invalid_size`
 */
export function generateProgram(
  binaryen: Binaryen,
  given: Lowered,
  options: KernelOptions,
  tuning?: TuningOptions,
  store?: KernelStore,
): GeneratedProgram {
  const keyOf = (kernel: Kernel): string => tuningKey(kernel, options, tuning?.sizes ?? new Map());
  const optionsOf = (kernel: Kernel): KernelOptions => scheduled(kernel, options, tuning);
  const compile = (kernel: Kernel): WasmKernel => compileKernel(binaryen, kernel, optionsOf(kernel), store);
  const lowered = keepPacked(given, { rightFactors, packedBytes: (kernel) => compile(kernel).bufferBytes.at(-1) ?? 0 });
  const program = programOf(lowered, {
    tier: options.tier,
    kernels: lowered.kernels.map(compile),
    steps: lowered.launches.map(({ kernel, buffers }) => ({ kind: 'launch', kernel, buffers })),
  });
  const texts: string[] = [];
  lowered.kernels.forEach((kernel, i) => {
    const get = (): string => kernelText(binaryen, numberValues(kernel), optionsOf(kernel));
    Object.defineProperty(texts, i, { enumerable: true, get });
  });
  const { mayGoOn } = tuning ?? {};
  const tunables =
    tuning && mayGoOn
      ? findTunables({
          lowered,
          tier: options.tier,
          sizes: tuning.sizes,
          known: new Set(tuning.schedules.keys()),
          keyOf,
          codeOf: (kernel, schedule) =>
            compileKernel(binaryen, kernel, { ...options, ...parseSchedule(schedule) }, undefined),
          mayGoOn,
        })
      : [];
  const tuned = lowered.kernels.flatMap((kernel): TunedKernel[] => {
    const key = tuning && tuning.schedules.size > 0 ? keyOf(kernel) : '';
    const schedule = tuning?.schedules.get(key);
    return schedule && kernel.packed !== 'make' ? [{ kernel: kernel.name, key, schedule }] : [];
  });
  return { lowered, program, texts, tunables, tuned };
}

/** The hashes of all kernels of a lowered module, and of those that weights would be packed with. */
export function kernelHashes(lowered: Lowered, options: KernelOptions, tuning?: TuningOptions): string[] {
  const packing = lowered.inputs.some(({ held }) => held) ? lowered.kernels.filter((each) => rightFactors(each)) : [];
  const packed = packing.flatMap((kernel) => (['make', 'use'] as const).map((part) => ({ ...kernel, packed: part })));
  return [...lowered.kernels, ...packed].map((kernel) => hashOf(codeKey(kernel, scheduled(kernel, options, tuning))));
}

/** Options with the schedule that was measured for a kernel, if one was. */
function scheduled(kernel: Kernel, options: KernelOptions, tuning: TuningOptions | undefined): KernelOptions {
  if (!tuning || tuning.schedules.size === 0) return options;
  const schedule = tuning.schedules.get(tuningKey(kernel, options, tuning.sizes));
  return { ...options, ...(schedule && parseSchedule(schedule)) };
}

/** What a schedule is stored under: everything that decides how fast code is, but for the machine. */
function tuningKey(kernel: Kernel, options: KernelOptions, sizes: DimBindings): string {
  // What packs and what multiplies have one schedule.
  const { packed, ...plain } = kernel;
  const at = [...sizes].map(([name, size]) => `${name}=${size}`).sort();
  const text = `kiln tuning ${codeVersion} ${optionsKey(options)}${packed ? ' packed' : ''} ${at}\n${kernelKey(plain)}`;
  return hashOf(text);
}

/** Everything that shapes the code of a kernel. */
const codeKey = (kernel: Kernel, options: KernelOptions): string =>
  `kiln wasm ${codeVersion} ${optionsKey(options)}\n${kernelKey(kernel)}`;

function compileKernel(
  binaryen: Binaryen,
  kernel: Kernel,
  options: KernelOptions,
  store: KernelStore | undefined,
): WasmKernel {
  const code = cache.get(codeKey(kernel, options), {
    store,
    generate: (hash) => codeOf(binaryen, kernel, options, hash),
  });
  return { name: kernel.name, ...code };
}

function codeOf(binaryen: Binaryen, kernel: Kernel, options: KernelOptions, hash: string): WasmCode {
  const generated = generateKernel(binaryen, numberValues(kernel), options);
  const { code, sizes, phases, scratchBytes, sharedBytes, flops } = generated;
  return {
    hash,
    code,
    ...(kernel.packed ? packedBufferFields(kernel, generated) : bufferFields(kernel)),
    sizes: sizes.map(sizeOf),
    phases: phases.map(({ tiles, group }) => ({ tiles: sizeOf(tiles), group: sizeOf(group) })),
    scratchBytes: sizeOf(scratchBytes),
    sharedBytes: sizeOf(sharedBytes),
    flops: sizeOf(flops),
  };
}

/** Packing touches the factors that it packs and what it packs them into, whatever is bound in the other places. */
function packedBufferFields(kernel: Kernel, { packedBytes }: GeneratedKernel): BufferFields {
  const { buffers, bufferBytes, access } = bufferFields(kernel);
  const isMade = kernel.packed === 'make';
  const touched = isMade ? new Set(rightFactors(kernel)?.reads) : undefined;
  const isTouched = (at: number): boolean => !touched || touched.has(at);
  return {
    buffers: buffers + 1,
    bufferBytes: [...bufferBytes.map((bytes, at) => (isTouched(at) ? bytes : 0)), sizeOf(packedBytes)],
    access: [...access.map((way, at) => (isTouched(at) ? way : 'read')), isMade ? 'read_write' : 'read'],
  };
}
