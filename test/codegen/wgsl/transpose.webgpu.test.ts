/** Transposes through workgroup memory against the interpreter: axes, odd sizes, dtypes, several arrays, what is computed. */
import { expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { verifyKernel } from '../../../ir/kernel-verify.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { wave } from '../../support/kernel-check.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

let turn = 0;
const bytes = (_: string, i: number): number => ((i * 31) % 251) - 120;

async function check(kernel: Kernel, fill = wave, bindings: Bindings = {}): Promise<void> {
  verifyKernel(kernel);
  const { code } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
  expect(code, 'goes through tiles').toContain('tile0');
  const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, turn++);
  expect(difference, printKernel(kernel)).toBeUndefined();
}

function permutation(shape: readonly Dim[], order: readonly number[], dtype: DType = 'float32'): Kernel {
  const product = (sizes: readonly Dim[]): Dim => sizes.reduce(mulDims, 1);
  const count = product(shape);
  const k = new KernelMaker('permutation', [read('x', count, dtype), write('y', count, dtype)]);
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const written = order.map((_, axis) => product(order.slice(axis + 1).map((b) => shape[b])));
  const loops = (level: number): void => {
    if (level < order.length) k.parallel(`i${level}`, shape[order[level]], () => loops(level + 1));
    else {
      const x = k.load('x', at(...order.map((axis, i) => [strides[axis], `i${i}`] as const)));
      k.store('y', at(...written.map((stride, i) => [stride, `i${i}`] as const)), x);
    }
  };
  loops(0);
  return k.finish();
}

it('matrices of any size', async () => {
  for (const [rows, columns] of [
    [8, 9],
    [31, 33],
    [32, 64],
    [70, 41],
  ]) {
    await check(permutation([rows, columns], [1, 0]));
  }
});

it('any two of several axes', async () => {
  for (const order of [
    [0, 2, 1],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ]) {
    await check(permutation(order[0] === 2 ? [9, 10, 11] : [8, 12, 36], order));
  }
});

it.each(['int8', 'uint16', 'int32', 'float16', 'bfloat16'] as const)('%s', async (dtype) => {
  const fill = dtype.includes('float') ? (_: string, i: number) => 0x3c00 + (i % 700) : bytes;
  await check(permutation([40, 36], [1, 0], dtype), fill);
  await check(permutation([17, 35], [1, 0], dtype), fill);
});

it('bools', async () => {
  await check(permutation([40, 36], [1, 0], 'bool'), (_, i) => ((i * 31) % 7) & 1);
  await check(permutation([17, 35], [1, 0], 'bool'), (_, i) => ((i * 31) % 7) & 1);
});

it('sizes that show when it runs', async () => {
  const kernel = permutation([dim('B'), dim('M'), dim('N')], [0, 2, 1]);
  for (const bindings of [
    { B: 1, M: 1, N: 1 },
    { B: 2, M: 33, N: 50 },
    { B: 0, M: 3, N: 5 },
  ]) {
    await check(kernel, wave, bindings);
  }
  const rows = permutation([mulDims(4, dim('M')), 64], [1, 0]);
  await check(rows, wave, { M: 9 });
});

it('sums of arrays that lie either way, into two', async () => {
  const [rows, columns] = [40, 52];
  const size = rows * columns;
  const k = new KernelMaker('sums', [
    read('a', size),
    read('b', size),
    read('c', size),
    read('row', rows),
    write('y', size),
    write('z', size, 'int8'),
  ]);
  k.parallel('i', rows, () => {
    const scale = k.load('row', at('i'));
    k.parallel('j', columns, () => {
      const straight = k.load('a', at([columns, 'i'], 'j'));
      const turned = k.apply('multiply', k.load('b', at([rows, 'j'], 'i')), k.load('c', at([rows, 'j'], 'i')));
      const sum = k.apply('multiply', k.apply('add', straight, turned), scale);
      k.store('y', at([columns, 'i'], 'j'), sum);
      k.store('z', at([columns, 'i'], 'j'), k.applyTo('int8', 'convert', sum));
    });
  });
  await check(k.finish());
});
