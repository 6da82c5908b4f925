/** Floats of 16 bits in memory: every number, infinities and NaN, written one by one and four at once. */
import { expect, it } from 'vitest';
import { decodeFloat16 } from '../../../base/half.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const patterns = 2 ** 16;

/** Copies elements, to places of another order unless they go four at a time. */
function copy(from: 'float32' | 'float16' | 'bfloat16', to: 'float16' | 'bfloat16', isReversed: boolean): Kernel {
  const k = new KernelMaker('copy', [read('x', patterns, from), write('y', patterns, to)]);
  k.parallel('i', patterns, () =>
    k.store('y', isReversed ? at(patterns - 1, [-1, 'i']) : at('i'), k.load('x', at('i'))),
  );
  return k.finish();
}

it.each(['one by one', 'four at once'])('every float16 and bfloat16, %s', async (way) => {
  for (const dtype of ['float16', 'bfloat16'] as const) {
    const kernel = copy(dtype, dtype, way === 'one by one');
    const inputs = makeInputs(kernel, {}, (name, i) => (name === 'x' ? i : 0));
    expect(await compareOnGpu(kernel, inputs), dtype).toBeUndefined();
  }
});

it.each(['one by one', 'four at once'])('floats between and beyond them, %s', async (way) => {
  const kernel = copy('float32', 'float16', way === 'one by one');
  const shares = [1, 1.00048828125, 1.00048816, 1.0004884, 0.99987];
  const value = (i: number): number => decodeFloat16(i) * shares[i % shares.length];
  const far = [65519.99, 65520, 1e9, -1e38, 2 ** -25, -1.0001 * 2 ** -25, 1e-30];
  const inputs = makeInputs(kernel, {}, (name, i) => (name === 'x' ? (far[i] ?? value(i)) : 0));
  expect(await compareOnGpu(kernel, inputs)).toBeUndefined();
});
