/** Code for WebGPU: WGSL. */
import { internalError } from '../../base/error.ts';
import type { KernelOptions } from '../../codegen/wgsl/kernel.ts';
import { generateProgram, kernelHashes } from '../../codegen/wgsl/program.ts';
import type { GenerateOptions, TargetCode } from './target.ts';

export const webgpuCode: TargetCode = {
  generate: (lowered, options) => ({
    ...generateProgram(lowered, ofWebgpu(options), options.store),
    tunables: [],
    tuned: [],
  }),
  kernelHashes: (lowered, options) => kernelHashes(lowered, ofWebgpu(options)),
};

function ofWebgpu({ precision, tier }: GenerateOptions): KernelOptions {
  if (tier.target !== 'webgpu') throw internalError(`code for ${tier.target} is asked of webgpu`);
  return { precision, tier };
}
