/**
 * Rows that jump through memory: several of them run at once, one in each lane, and each lane has scratch rows of its
 * own. Against the interpreter, bit for bit, at sizes around every step of the schedule.
 */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../base/dim.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { generate } from '../support/kernel-run.ts';

/**
 * The pattern of softmax over axis 0 of `[rows, columns]`, for each of `blocks` matrices, with what it sums kept in a
 * scratch row.
 */
function columnSoftmax(blocks: Dim, rows: Dim, columns: Dim): Kernel {
  const matrix = mulDims(rows, columns);
  const size = mulDims(blocks, matrix);
  const k = new KernelMaker(
    'columns',
    [read('x', size), write('y', size)],
    [{ name: 's', dtype: 'float32', size: rows }],
  );
  const cell = (row: string) => at([matrix, 'b'], [columns, row], 'c');
  k.parallel('b', blocks, () => {
    k.parallel('c', columns, () => {
      const [max] = k.reduce([{ name: 'r', extent: rows }], ['max'], () => [k.load('x', cell('r'))]);
      k.parallel('j', rows, () => {
        k.store('s', at('j'), k.apply('sqrt', k.apply('subtract', max, k.load('x', cell('j')))));
      });
      const [sum] = k.reduce([{ name: 't', extent: rows }], ['sum'], () => [k.load('s', at('t'))]);
      k.parallel('i', rows, () => k.store('y', cell('i'), k.apply('divide', k.load('s', at('i')), sum)));
    });
  });
  return k.finish();
}

describe('columns as rows', () => {
  it.each([1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 65, 130])('%i columns of many lengths', async (columns) => {
    for (const rows of [1, 2, 9, 70, 100]) await checkKernel(columnSoftmax(2, rows, columns));
  });

  it('sums of more than one block', async () => {
    await checkKernel(columnSoftmax(1, 1025, 18));
  });

  it('symbolic sizes', async () => {
    const [b, n, c] = [dim('B', { min: 0 }), dim('N', { min: 1 }), dim('C', { min: 0 })];
    const sizes = [1, 5, 16, 21, 40].flatMap((C) => [1, 3, 64].map((N) => ({ B: 2, N, C })));
    await checkKernel(columnSoftmax(b, n, c), [...sizes, { B: 0, N: 1, C: 4 }, { B: 1, N: 1, C: 0 }]);
  });

  it('runs across the columns', () => {
    expect(generate(columnSoftmax(1, 100, 64)).text()).toContain('v128.store');
    expect(Number(generate(columnSoftmax(1, 100, 64)).scratchBytes)).toBeGreaterThan(100 * 64);
  });
});
