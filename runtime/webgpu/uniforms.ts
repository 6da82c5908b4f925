/**
 * Sizes that kernels read: a block of int32 for each launch whose kernel reads any, all in one buffer, which is written
 * once for a set of sizes.
 *
 *     [ sizes of launch 0 | … | sizes of launch 2 | … ]        each at a multiple of 256 bytes
 */
import type { BoundProgram } from '../bound-program.ts';
import type { WebgpuProgram, WgslKernel } from '../program.ts';
import { bindingAlignment } from './constants.ts';

/** Bytes of the uniform block of a kernel. */
const uniformBytes = ({ sizes }: WgslKernel): number => Math.ceil((4 * sizes.length) / 16) * 16;

/** Bytes of the buffer with the uniform blocks of all launches. */
export function uniformBufferBytes({ kernels, steps }: WebgpuProgram): number {
  let bytes = 0;
  for (const { kernel } of steps) {
    bytes += Math.ceil(uniformBytes(kernels[kernel]) / bindingAlignment) * bindingAlignment;
  }
  return bytes;
}

interface UniformBlocks {
  readonly words: Int32Array<ArrayBuffer>;
  /** Of each step; `undefined` for one whose kernel reads no sizes. */
  readonly places: readonly ({ readonly offset: number; readonly size: number } | undefined)[];
}

/** @throws KilnError `invalid_size` */
export function uniformBlocks(program: WebgpuProgram, bound: BoundProgram): UniformBlocks {
  const words = new Int32Array(uniformBufferBytes(program) / 4);
  let offset = 0;
  const places = program.steps.map(({ kernel: at }) => {
    const kernel = program.kernels[at];
    const size = uniformBytes(kernel);
    if (size === 0) return undefined;
    const place = { offset, size };
    kernel.sizes.forEach((value, i) => {
      words[offset / 4 + i] = bound.evaluateWord(value);
    });
    offset += Math.ceil(size / bindingAlignment) * bindingAlignment;
    return place;
  });
  return { words, places };
}
