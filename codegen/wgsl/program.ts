/**
 * Lowered → Program for WebGPU: WGSL for every kernel, and the rest written down as plain data. Equal kernels are
 * generated once in a process, whatever programs they are in.
 *
 *     const { program, texts } = generateProgram(lowered, { precision: 'fast', tier: coreWebgpuTier });
 */
import { hashOf } from '../../base/hash.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { kernelKey } from '../../ir/kernel-print.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { LaunchStep, WebgpuProgram, WgslKernel } from '../../runtime/program.ts';
import { KernelCache, type KernelStore, type WgslCode } from '../common/kernel-cache.ts';
import { numberValues } from '../common/number-values.ts';
import { bufferFields, programOf, sizeOf } from '../common/program.ts';
import { generateKernel, type KernelOptions, optionsKey } from './kernel.ts';
import { mergeInPlace } from './merge-in-place.ts';

export interface GeneratedProgram {
  readonly lowered: Lowered;
  readonly program: WebgpuProgram;
  /** The WGSL of each kernel of the program. */
  readonly texts: readonly string[];
}

/** Changes whenever the code for an unchanged kernel does, so that stored hashes do not mistake old code for new. */
const codeVersion = 2;
const cache = new KernelCache<WgslCode>('webgpu');

/**
 * Generates all code of a lowered module.
 * @param store where kernels may be that others have generated
 * @throws KilnError `unsupported_dtype`, `invalid_size`
 */
export function generateProgram(lowered: Lowered, options: KernelOptions, store?: KernelStore): GeneratedProgram {
  const kernels: WgslKernel[] = [];
  const places = new Map<string, number>();
  const steps = lowered.launches.map((launch): LaunchStep => {
    const { kernel, buffers } = mergeInPlace(lowered.kernels[launch.kernel], launch.buffers);
    const made = compileKernel(kernel, options, store);
    const key = `${kernel.name}\n${made.hash}`;
    let at = places.get(key);
    if (at === undefined) {
      at = kernels.push({ name: kernel.name, ...made }) - 1;
      places.set(key, at);
    }
    return { kind: 'launch', kernel: at, buffers };
  });
  const program = programOf(lowered, { tier: options.tier, kernels, steps });
  return { lowered, program, texts: kernels.map(({ code }) => code) };
}

/** The hashes of all kernels of a lowered module. */
export const kernelHashes = (lowered: Lowered, options: KernelOptions): string[] =>
  lowered.launches.map((launch) => {
    const { kernel } = mergeInPlace(lowered.kernels[launch.kernel], launch.buffers);
    return hashOf(codeKey(kernel, options));
  });

/** Everything that shapes the code of a kernel. */
const codeKey = (kernel: Kernel, options: KernelOptions): string =>
  `kiln wgsl ${codeVersion} ${optionsKey(options)}\n${kernelKey(kernel)}`;

function compileKernel(kernel: Kernel, options: KernelOptions, store: KernelStore | undefined): WgslCode {
  return cache.get(codeKey(kernel, options), { store, generate: (hash) => codeOf(kernel, options, hash) });
}

function codeOf(kernel: Kernel, options: KernelOptions, hash: string): WgslCode {
  const { code, access, sizes, dispatches, scratchBytes, flops } = generateKernel(numberValues(kernel), options);
  return {
    hash,
    code,
    ...bufferFields(kernel),
    access,
    sizes: sizes.map(sizeOf),
    dispatches: dispatches.map(({ entryPoint, workgroups }) => ({ entryPoint, workgroups: sizeOf(workgroups) })),
    scratchBytes: sizeOf(scratchBytes),
    flops: sizeOf(flops),
  };
}
