/**
 * Lowered → Program for WebGPU: WGSL for every kernel, and the rest written down as plain data. Equal kernels are
 * generated once in a process, whatever programs they are in.
 *
 *     const { program, texts } = generateProgram(lowered, { precision: 'fast', tier: coreWebgpuTier });
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Kernel } from '../../ir/kernel.ts';
import { kernelKey } from '../../ir/kernel-print.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { LaunchStep, WebgpuProgram, WgslKernel } from '../../runtime/program.ts';
import { programOf, sizeOf } from '../common/program.ts';
import { type GeneratedKernel, generateKernel, type KernelOptions, optionsKey } from './kernel.ts';
import { mergeInPlace } from './merge-in-place.ts';

export interface GeneratedProgram {
  readonly lowered: Lowered;
  readonly program: WebgpuProgram;
  /** The WGSL of each kernel of the program. */
  readonly texts: readonly string[];
}

interface CachedKernel {
  readonly hash: string;
  readonly generated: GeneratedKernel;
}

/** Changes whenever the code for an unchanged kernel does, so that stored hashes do not mistake old code for new. */
const codeVersion = 1;
const cacheLimit = 4096;
const cache = new Map<string, CachedKernel>();

/** Forgets the code of all kernels, as if nothing had been compiled in this process. */
export const clearKernels = (): void => cache.clear();

/**
 * Generates all code of a lowered module.
 * @throws KilnError `unsupported_dtype`, `invalid_size`
 */
export function generateProgram(lowered: Lowered, options: KernelOptions): GeneratedProgram {
  const kernels: WgslKernel[] = [];
  const places = new Map<string, number>();
  const steps = lowered.launches.map((launch): LaunchStep => {
    const { kernel, buffers } = mergeInPlace(lowered.kernels[launch.kernel], launch.buffers);
    const made = compileKernel(kernel, options);
    const key = `${kernel.name}\n${made.hash}`;
    let at = places.get(key);
    if (at === undefined) {
      at = kernels.push(programKernel(kernel, made)) - 1;
      places.set(key, at);
    }
    return { kind: 'launch', kernel: at, buffers };
  });
  const program = programOf(lowered, { tier: options.tier, kernels, steps });
  return { lowered, program, texts: kernels.map(({ code }) => code) };
}

/** Generates a kernel, or finds it as it was generated before. */
function compileKernel(kernel: Kernel, options: KernelOptions): CachedKernel {
  const key = `kiln wgsl ${codeVersion} ${optionsKey(options)}\n${kernelKey(kernel)}`;
  const known = cache.get(key);
  if (known) return known;
  const made = { hash: bytesToHex(sha256(utf8ToBytes(key))), generated: generateKernel(kernel, options) };
  if (cache.size >= cacheLimit) cache.clear();
  cache.set(key, made);
  return made;
}

function programKernel({ name, buffers }: Kernel, { hash, generated }: CachedKernel): WgslKernel {
  const { code, access, sizes, dispatches, scratchBytes, flops } = generated;
  return {
    name,
    hash,
    code,
    buffers: buffers.length,
    access,
    sizes: sizes.map(sizeOf),
    dispatches: dispatches.map(({ entryPoint, workgroups }) => ({ entryPoint, workgroups: sizeOf(workgroups) })),
    scratchBytes: sizeOf(scratchBytes),
    flops: sizeOf(flops),
  };
}
