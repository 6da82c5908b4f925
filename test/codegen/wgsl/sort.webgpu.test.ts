/** Sorted rows on the GPU against the interpreter: in the memory of a workgroup and by radix, what comes before and after. */
import { expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import { computedDTypes, type DType, integerRange, isFloat, isHalf } from '../../../base/dtype.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { verifyKernel } from '../../../ir/kernel-verify.ts';
import type { SortResult } from '../../../ir/opcodes.ts';
import { Random } from '../../../ir/ops/random.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { type SortedRows, sortKernel } from '../../support/sort-kernels.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

/** Rows of any numbers, of few different ones, with zeros of both signs, and in order. */
function fill(dtype: DType, length: number, random: Random) {
  return (_: string, element: number): number => {
    const row = Math.floor(element / length) % 3;
    if (row === 0) return random.value(dtype);
    if (row === 1) return isFloat(dtype) ? (random.boolean() ? -0 : random.integer(-1, 1)) : random.integer(0, 1);
    return isFloat(dtype) ? element / 3 : Math.min(element, integerRange(dtype)[1]);
  };
}

async function check(sort: Partial<SortedRows>, length: number, bindings: Bindings = {}): Promise<void> {
  const given: SortedRows = {
    dtype: 'float32',
    direction: 'ascending',
    results: ['values', 'positions'],
    rows: 3,
    length,
    count: sort.length ?? length,
    ...sort,
  };
  const kernel = sortKernel(given);
  verifyKernel(kernel);
  const inputs = makeInputs(kernel, bindings, fill(given.dtype, length, new Random(length)));
  expect(await compareOnGpu(kernel, inputs, bindings, turn++), printKernel(kernel)).toBeUndefined();
}

/** Which way of generating and running code is next. */
let turn = 0;

const results: readonly (readonly SortResult[])[] = [['values'], ['positions'], ['values', 'positions']];
const directions = ['ascending', 'descending'] as const;

it.each(computedDTypes.filter((dtype) => !isHalf(dtype)))('%s rows are sorted and selected from', async (dtype) => {
  for (const [i, length] of [0, 1, 2, 41].entries()) {
    const direction = directions[i % 2];
    await check({ dtype, direction, results: results[i % 3] }, length);
    await check({ dtype, direction: directions[1 - (i % 2)], count: Math.ceil(length / 8) }, length);
  }
});

it.each(['float32', 'int8'] as const)('%s rows are sorted by radix', async (dtype) => {
  await check({ dtype, direction: 'descending', count: 300, rows: 2 }, 2100);
  await check({ dtype, results: ['values'], rows: 1 }, 2100);
});

it('rows of any length', async () => {
  for (const length of [255, 257, 1024, 2047, 2048]) {
    await check({ direction: directions[length % 2], results: results[length % 3], rows: 1 }, length);
  }
  for (const length of [2049, 4097]) await check({ dtype: 'uint8', rows: 1 }, length);
});

it.each([1, 7, 100])('%i short rows', async (rows) => {
  await check({ rows, results: ['values'] }, 5);
  await check({ rows, results: ['values'] }, 32);
  const [m, n] = [dim('M'), dim('N', { min: 2, max: 40 })];
  await check({ rows: m, length: n, count: 2 }, 30, { M: rows, N: 30 });
});

it('rows whose length shows when they are sorted', async () => {
  const length = dim('N', { min: 10 });
  for (const size of [10, 9000]) {
    await check({ dtype: 'uint8', direction: 'descending', length, count: 10, rows: 2 }, size, { N: size });
  }
});

it('long rows, of which all digits are the same, or hardly any', async () => {
  const [results, length] = [['values', 'positions'], 2100] as const;
  const kernel = sortKernel({ dtype: 'int32', direction: 'ascending', results, rows: 1, length, count: length });
  for (const reach of [1, 2 ** 31 - 1]) {
    const random = new Random(reach);
    const inputs = makeInputs(kernel, {}, () => random.integer(-reach, reach));
    expect(await compareOnGpu(kernel, inputs, {}, turn++)).toBeUndefined();
  }
});

/** A softmax, its elements in order, their sums from both sides. */
function sortBetweenReductions(rows: Dim, length: Dim): Kernel {
  const k = new KernelMaker(
    'softmax_sort',
    [read('x', mulDims(rows, length)), write('y', mulDims(rows, length)), write('first', rows)],
    ['s0', 's1'].map((name) => ({ name, dtype: 'float32', size: length })),
  );
  const axis = [{ name: 'j', extent: length }];
  k.parallel('i', rows, () => {
    const [greatest] = k.reduce(axis, ['max'], () => [k.load('x', at([length, 'i'], 'j'))]);
    k.parallel('j', length, () => {
      const shifted = k.apply('subtract', k.load('x', at([length, 'i'], 'j')), greatest);
      k.store('s0', at('j'), k.apply('exponential', shifted));
    });
    const [sum] = k.reduce(axis, ['sum'], () => [k.load('s0', at('j'))]);
    k.parallel('j', length, () => k.store('s0', at('j'), k.apply('divide', k.load('s0', at('j')), sum)));
    k.sort({ keys: 's0', length, direction: 'descending', count: length, values: 's1' });
    k.parallel('j', length, () => k.store('s0', at('j'), k.apply('multiply', k.load('s1', at('j')), sum)));
    k.parallel('j', length, () => {
      const both = k.apply('add', k.load('s0', at('j')), k.load('s1', at('j')));
      k.store('y', at([length, 'i'], 'j'), both);
    });
    k.store('first', at('i'), k.load('s1', at(0)));
  });
  return k.finish();
}

it.each([
  [3, 100],
  [1, 100],
  [2, 2100],
])('%i rows of %i that are reduced before and after they are sorted', async (rows, length) => {
  const kernel = sortBetweenReductions(rows, length);
  verifyKernel(kernel);
  const random = new Random(length);
  const inputs = makeInputs(kernel, {}, () => random.next() * 4);
  expect(await compareOnGpu(kernel, inputs, {}, turn++), printKernel(kernel)).toBeUndefined();
});
