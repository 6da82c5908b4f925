/** What contractions look like as WGSL, to be read. `UPDATE=1` writes the files anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel, ScalarId } from '../../../ir/kernel.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { convolutionKernels } from '../../support/convolutions.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';

/** `y = relu(a b)` of square matrices. */
function matmulRelu(size: number): Kernel {
  const k = new KernelMaker('matmul_relu', [read('a', size * size), read('b', size * size), write('y', size * size)]);
  k.parallel('i', size, () =>
    k.parallel('j', size, () => {
      const product = (): ScalarId =>
        k.apply('multiply', k.load('a', at([size, 'i'], 'k')), k.load('b', at([size, 'k'], 'j')));
      const [sum] = k.reduce([{ name: 'k', extent: size }], ['sum'], () => [product()], { order: 'blocks' });
      k.store('y', at([size, 'i'], 'j'), k.apply('maximum', sum, k.constant(0)));
    }),
  );
  return k.finish();
}

const [convolution] = convolutionKernels({
  lhs: [8, 64, 56, 56],
  rhs: [64, 64, 3, 3],
  attributes: {
    strides: [1, 1],
    padding: [
      [1, 1],
      [1, 1],
    ],
    lhs_dilation: [1, 1],
    rhs_dilation: [1, 1],
    groups: 1,
  },
  epilogue: true,
});

describe('contractions as text', () => {
  const cases: readonly [string, Kernel][] = [
    ['matmul-512-relu', matmulRelu(512)],
    ['matmul-4096-relu', matmulRelu(4096)],
    ['convolution-3x3', convolution],
  ];
  for (const [name, kernel] of cases) {
    it(name, () => {
      const { code, dispatches } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
      const file = new URL(`golden/${name}.wgsl`, import.meta.url);
      if (process.env.UPDATE === '1') writeFileSync(file, code);
      expect(dispatches.length).toBe(1);
      expect(code).toBe(readFileSync(file, 'utf8'));
    });
  }
});
