/**
 * Lowered → Program for WebGPU: WGSL for every kernel, and the rest written down as plain data. Equal kernels are
 * generated once in a process, whatever programs they are in.
 *
 *     const { program, texts } = generateProgram(lowered, { precision: 'fast', tier: coreWebgpuTier });
 */
import type { Kernel } from '../../ir/kernel.ts';
import { kernelKey } from '../../ir/kernel-print.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { LaunchStep, WebgpuProgram, WgslKernel } from '../../runtime/program.ts';
import { type CachedKernel, KernelCache } from '../common/kernel-cache.ts';
import { numberValues } from '../common/number-values.ts';
import { bufferFields, programOf, sizeOf } from '../common/program.ts';
import { type GeneratedKernel, generateKernel, type KernelOptions, optionsKey } from './kernel.ts';
import { mergeInPlace } from './merge-in-place.ts';

export interface GeneratedProgram {
  readonly lowered: Lowered;
  readonly program: WebgpuProgram;
  /** The WGSL of each kernel of the program. */
  readonly texts: readonly string[];
}

/** Changes whenever the code for an unchanged kernel does, so that stored hashes do not mistake old code for new. */
const codeVersion = 2;
const cache = new KernelCache<GeneratedKernel>();

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

function compileKernel(kernel: Kernel, options: KernelOptions): CachedKernel<GeneratedKernel> {
  const key = `kiln wgsl ${codeVersion} ${optionsKey(options)}\n${kernelKey(kernel)}`;
  return cache.get(key, () => generateKernel(numberValues(kernel), options));
}

function programKernel(kernel: Kernel, { hash, generated }: CachedKernel<GeneratedKernel>): WgslKernel {
  const { code, access, sizes, dispatches, scratchBytes, flops } = generated;
  return {
    name: kernel.name,
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
