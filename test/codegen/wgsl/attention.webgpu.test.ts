/** Row kernels with contractions on the GPU, in blocks of rows, against the interpreter: attention forward and backward. */
import { expect, it } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { verifyKernel } from '../../../ir/kernel-verify.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import {
  type AttentionShape,
  attentionBackwardColumns,
  attentionBackwardRows,
  attentionForward,
} from '../../support/attention-kernels.ts';
import { wave } from '../../support/kernel-check.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

let turn = 0;

async function check(kernel: Kernel, bindings: Bindings = {}): Promise<void> {
  verifyKernel(kernel);
  const { code } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
  expect(code, 'done in blocks of rows').toContain('left_block');
  const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, wave), bindings, turn++);
  expect(difference, printKernel(kernel)).toBeUndefined();
}

const small: AttentionShape = { heads: 2, queries: 40, keys: 70, depth: 20, values: 24 };

it.each<[string, Partial<AttentionShape>]>([
  ['plain', {}],
  ['causal, hidden by minus infinity', { causal: true, hidden: -Infinity }],
  ['with a bias', { bias: true, causal: true }],
  ['with shared keys', { heads: 4, sharing: 2 }],
  ['with heads in between', { interleaved: true, inPlace: true }],
  ['that divides late', { dividesLate: true, inPlace: true }],
  ['of whole blocks', { queries: 64, keys: 64, depth: 16, values: 64 }],
])('attention %s', async (_, shape) => {
  await check(attentionForward({ ...small, ...shape }));
});

it('tiles that a causal mask hides are left out', async () => {
  const shape = { ...small, queries: 70, keys: 150, causal: true, hidden: -Infinity };
  const kernel = attentionForward(shape);
  expect(generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier }).code).toContain(
    'if (first_column - (first + 31) <= 0)',
  );
  await check(kernel);
});

it('attention back to queries', async () => {
  await check(attentionBackwardRows(small));
  await check(attentionBackwardRows({ ...small, causal: true, hidden: -Infinity, interleaved: true }));
});

it.each([undefined, 'loop', 'sweep'] as const)('attention back to keys and values (%s)', async (together) => {
  const shape = together ? { ...small, values: small.depth } : small;
  await check(attentionBackwardColumns({ ...shape, causal: true, hidden: -Infinity }, together));
});

it('sizes that show when it runs', async () => {
  const kernel = attentionForward({ ...small, heads: dim('H'), queries: dim('Q'), keys: dim('K', { min: 16 }) });
  for (const bindings of [
    { H: 1, Q: 1, K: 16 },
    { H: 3, Q: 33, K: 50 },
  ]) {
    await check(kernel, bindings);
  }
});

/** `y = softmax(x w)`, in the row of which the largest element is subtracted from what it was computed from. */
function dense(rows: number, depth: number, columns: number): Kernel {
  const k = new KernelMaker(
    'dense_softmax',
    [read('x', rows * depth), read('w', depth * columns), write('y', rows * columns)],
    [{ name: 's0', dtype: 'float32', size: columns }],
  );
  const axis = [{ name: 'j', extent: columns }];
  k.parallel('i', rows, () => {
    k.parallel('j', columns, () => {
      const products = (): readonly number[] => [
        k.apply('multiply', k.load('x', at([depth, 'i'], 'd')), k.load('w', at([columns, 'd'], 'j'))),
      ];
      const [sum] = k.reduce([{ name: 'd', extent: depth }], ['sum'], products, { order: 'blocks' });
      k.store('s0', at('j'), sum);
    });
    const [greatest] = k.reduce(axis, ['max'], () => [k.load('s0', at('j'))]);
    k.parallel('j', columns, () => {
      const shifted = k.apply('subtract', k.load('s0', at('j')), greatest);
      k.store('y', at([columns, 'i'], 'j'), k.apply('exponential', shifted));
    });
  });
  return k.finish();
}

it('a dense layer whose rows are reduced', async () => {
  await check(dense(33, 40, 70));
});

it('as many workgroups as scratch memory is good for go through all blocks', async () => {
  const kernel = attentionForward({ heads: 40, queries: 70, keys: 3000, depth: 4, values: 4, inPlace: true });
  const { dispatches, scratchBytes } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
  expect(dispatches.map(({ workgroups }) => workgroups)).toEqual([120]);
  expect(scratchBytes).toBe(120 * 32 * 3000 * 4);
  const long = attentionForward({ heads: 40, queries: 700, keys: 3000, depth: 4, values: 4, inPlace: true });
  const many = generateKernel(long, { precision: 'fast', tier: coreWebgpuTier });
  expect(many.dispatches.map(({ workgroups }) => workgroups)).toEqual([174]);
});
