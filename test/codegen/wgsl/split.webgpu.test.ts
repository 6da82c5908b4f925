/** Reductions of few long rows or columns in several stages, against the interpreter. */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { Kernel } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { fullTier } from '../../support/webgpu-device.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const wave = (_: string, i: number): number => Math.fround(1 + Math.sin(i * 12.9898 + 1) / 4);
const ties = (_: string, i: number): number => (i % 70000 < 2000 ? Number.NEGATIVE_INFINITY : i % 1000 === 3 ? 7 : -0);

/** Ways of generating code take turns. */
let turn = 0;

async function check(kernel: Kernel, fill = wave, bindings: Bindings = {}): Promise<void> {
  const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, turn++);
  expect(difference && `${JSON.stringify(bindings)}: ${difference}\n${printKernel(kernel)}`).toBeUndefined();
}

async function dispatchesOf(kernel: Kernel): Promise<number> {
  return generateKernel(kernel, { precision: 'fast', tier: await fullTier() }).dispatches.length;
}

/** Sum, greatest element and its position, and the variance: the sum of squares needs the mean. */
function statistics(length: Dim): Kernel {
  const k = new KernelMaker('statistics', [
    read('x', length),
    write('sum', 1),
    write('max', 1),
    write('position', 1, 'int32'),
    write('variance', 1),
  ]);
  const [sum, max, position] = k.reduce([{ name: 'r', extent: length }], ['sum', 'max', 'argmax'], () => {
    const x = k.load('x', at('r'));
    return [x, x, x];
  });
  const count = k.applyTo('float32', 'convert', k.let('int32', { kind: 'size', size: length }));
  const mean = k.apply('divide', sum, count);
  const [squares] = k.reduce([{ name: 's', extent: length }], ['sum'], () => {
    const centred = k.apply('subtract', k.load('x', at('s')), mean);
    return [k.apply('multiply', centred, centred)];
  });
  k.store('sum', at(0), sum);
  k.store('max', at(0), max);
  k.store('position', at(0), position);
  k.store('variance', at(0), k.apply('divide', squares, count));
  return k.finish();
}

/** A softmax over the whole array. */
function softmax(length: Dim): Kernel {
  const k = new KernelMaker(
    'softmax',
    [read('x', length), write('y', length)],
    [{ name: 's0', dtype: 'float32', size: length }],
  );
  // Scratch memory lives as long as an iteration of the outermost loop.
  k.parallel('i', 1, () => {
    const [max] = k.reduce([{ name: 'r', extent: length }], ['max'], () => [k.load('x', at('r'))]);
    k.parallel('j', length, () => {
      k.store('s0', at('j'), k.apply('exponential', k.apply('subtract', k.load('x', at('j')), max)));
    });
    const [sum] = k.reduce([{ name: 's', extent: length }], ['sum'], () => [k.load('s0', at('s'))]);
    k.parallel('o', length, () => k.store('y', at('o'), k.apply('divide', k.load('s0', at('o')), sum)));
  });
  return k.finish();
}

function columnSums(columns: number, length: number): Kernel {
  const k = new KernelMaker('column_sums', [read('x', columns * length), write('y', columns), write('z', columns)]);
  k.parallel('i', columns, () => {
    const [sum, max] = k.reduce([{ name: 'r', extent: length }], ['sum', 'max'], () => {
      const x = k.load('x', at([columns, 'r'], 'i'));
      return [x, x];
    });
    k.store('y', at('i'), sum);
    k.store('z', at('i'), max);
  });
  return k.finish();
}

/** The mean over a batch of what its rows' softmax takes off: a reduction of reduced rows. */
function meanOfRows(rows: Dim, length: Dim): Kernel {
  const k = new KernelMaker('mean_of_rows', [read('x', mulDims(rows, length)), write('y', 1)]);
  const [total] = k.reduce([{ name: 'i', extent: rows }], ['sum'], () => {
    const [max] = k.reduce([{ name: 'r', extent: length }], ['max'], () => [k.load('x', at([length, 'i'], 'r'))]);
    const [sum] = k.reduce([{ name: 's', extent: length }], ['sum'], () => {
      return [k.apply('exponential', k.apply('subtract', k.load('x', at([length, 'i'], 's')), max))];
    });
    return [k.apply('log', sum)];
  });
  const count = k.applyTo('float32', 'convert', k.let('int32', { kind: 'size', size: rows }));
  k.store('y', at(0), k.apply('divide', total, count));
  return k.finish();
}

const n = dim('N', { min: 1 });
const m = dim('M', { min: 1 });

describe('reductions of rows', () => {
  it('do the rows at once', async () => {
    for (const [rows, length] of [
      [70, 1000],
      [300, 64],
      [5, 50],
    ])
      await check(meanOfRows(rows, length));
    expect(await dispatchesOf(meanOfRows(70, 1000))).toBe(2);
    expect(await dispatchesOf(meanOfRows(5, 50))).toBe(1);
  });

  it('of symbolic sizes', async () => {
    for (const M of [1, 70]) await check(meanOfRows(m, 300), wave, { M });
  });
});

describe('whole arrays', () => {
  it.each([65536, 70003])('of %i', async (length) => {
    await check(statistics(length));
    await check(softmax(length));
    expect(await dispatchesOf(statistics(length))).toBe(3);
  });

  it('of ties and infinities', async () => check(statistics(70003), ties));

  it('of symbolic sizes', async () => {
    for (const N of [255, 70001]) await check(statistics(n), wave, { N });
    for (const N of [1, 4099]) await check(softmax(n), wave, { N });
  });
});

describe('columns', () => {
  it.each([
    [1, 70000],
    [7, 20000],
    [64, 4096],
    [100, 3000],
  ])('%i of %i', async (columns, length) => {
    const kernel = columnSums(columns, length);
    await check(kernel);
    expect(await dispatchesOf(kernel)).toBe(2);
  });
});
