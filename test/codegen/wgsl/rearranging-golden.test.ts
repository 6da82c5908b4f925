/**
 * What sorts, scatters, transposes and attention look like as WGSL, to be read.
 * `npx vitest run test/codegen/wgsl/rearranging -u` writes the files anew.
 */
import { expect, it } from 'vitest';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { attentionForward } from '../../support/attention-kernels.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { scatterKernel } from '../../support/scatter-kernels.ts';
import { sortKernel } from '../../support/sort-kernels.ts';

function transposed(rows: number, columns: number): Kernel {
  const k = new KernelMaker('transpose_tanh', [read('x', rows * columns), write('y', rows * columns)]);
  k.parallel('i', rows, () =>
    k.parallel('j', columns, () =>
      k.store('y', at([columns, 'i'], 'j'), k.apply('negate', k.load('x', at([rows, 'j'], 'i')))),
    ),
  );
  return k.finish();
}

const shape = { heads: 12, queries: 1024, keys: 1024, depth: 64, values: 64, inPlace: true, causal: true };

const patterns: Record<string, Kernel> = {
  sort: sortKernel({
    dtype: 'float32',
    direction: 'descending',
    results: ['values', 'positions'],
    rows: 64,
    length: 1000,
    count: 10,
  }),
  'embedding-gradient': scatterKernel({ rows: 50257, width: 768, updates: 1024 }),
  transpose: transposed(512, 1024),
  attention: attentionForward({ ...shape, hidden: -Infinity }),
};

it.each(Object.keys(patterns))('%s', async (name) => {
  const { code } = generateKernel(patterns[name], { precision: 'fast', tier: coreWebgpuTier });
  await expect(code).toMatchFileSnapshot(`golden/${name}.wgsl`);
});
