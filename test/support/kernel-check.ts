/**
 * A kernel on the target that this run is about against the interpreter: bit for bit on WASM, in every split of its
 * tiles; on WebGPU (`KILN_DEVICE=webgpu`) within what the roundings of its ops allow; tiers and layouts take turns, and a full
 * run tries them all.
 *
 *     await checkKernel(kernel, [{ N: 7 }, { N: 1024 }], (name, i) => i)
 */
import { expect } from 'vitest';
import type { Kernel } from '../../ir/kernel.ts';
import { printKernel } from '../../ir/kernel-print.ts';
import { verifyKernel } from '../../ir/kernel-verify.ts';
import { type Bindings, makeInputs } from './kernel-data.ts';
import { compareWithInterpreter, generate } from './kernel-run.ts';
import { isFullRun } from './runs.ts';
import { isOnWebgpu } from './target.ts';

export type Fill = (name: string, element: number) => number;

/** Floats between -3 and 3, without a pattern. */
export const wave: Fill = (_, i) => Math.fround(Math.sin(i * 12.9898 + 1) * 3);

/** How many sizes of a kernel WebGPU runs, unless all are asked for: the interpreter takes its time. */
const sizesOnWebgpu = 3;

/** Counts what WebGPU has run, so that the ways of generating code take turns. */
let turns = 0;

/** Some of a list, spread over it, with both ends. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))]);
}

/** Expects the buffers of a kernel to be those of the interpreter at each choice of sizes. */
export async function checkKernel(kernel: Kernel, sizes: readonly Bindings[] = [{}], fill: Fill = wave): Promise<void> {
  verifyKernel(kernel);
  const expectNone = (bindings: Bindings, difference: string | undefined): void =>
    expect(difference && `${JSON.stringify(bindings)}: ${difference}\n${printKernel(kernel)}`).toBeUndefined();
  if (isOnWebgpu) {
    const { compareOnGpu } = await import('./webgpu-kernel.ts');
    const tried = isFullRun ? sizes : spread(sizes, sizesOnWebgpu);
    for (const bindings of tried) {
      const ways = isFullRun ? 'all' : turns++;
      expectNone(bindings, await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, ways));
    }
    return;
  }
  const generated = generate(kernel);
  for (const bindings of sizes) {
    const inputs = makeInputs(kernel, bindings, fill);
    expectNone(bindings, compareWithInterpreter(kernel, inputs, bindings, generated));
  }
}
