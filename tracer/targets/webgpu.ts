/** Code for WebGPU: WGSL. */
import { internalError } from '../../base/error.ts';
import { generateProgram } from '../../codegen/wgsl/program.ts';
import type { Generate } from './target.ts';

export const generateWebgpu: Generate = (lowered, { precision, tier, store }) => {
  if (tier.target !== 'webgpu') throw internalError(`code for ${tier.target} is asked of webgpu`);
  return { ...generateProgram(lowered, { precision, tier }, store), tunables: [], tuned: [] };
};
