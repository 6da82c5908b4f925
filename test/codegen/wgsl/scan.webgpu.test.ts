/** Running sums, products and extrema by teams of threads, against the interpreter. */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import type { Kernel, ScalarOpcode } from '../../../ir/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const wave = (_: string, i: number): number => Math.fround(1 + Math.sin(i * 12.9898 + 1) / 64);
const natural = (_: string, i: number): number => (i * 7919) % 11;

/** Ways of generating code take turns. */
let turn = 0;

async function check(kernel: Kernel, fill = wave, bindings: Bindings = {}): Promise<void> {
  const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, turn++);
  expect(difference && `${JSON.stringify(bindings)}: ${difference}\n${printKernel(kernel)}`).toBeUndefined();
}

/** `y` is twice the running combination, `z` the last one. */
function running(opcode: ScalarOpcode, rows: Dim, length: Dim, { isColumn = false, dtype = 'float32' as DType } = {}) {
  const size = mulDims(rows, length);
  const k = new KernelMaker('running', [read('x', size, dtype), write('y', size, dtype), write('z', rows, dtype)]);
  const place = isColumn ? at([rows, 's'], 'i') : at([length, 'i'], 's');
  k.parallel('i', rows, () => {
    const start = k.constant(opcode === 'multiply' ? 1 : 0, dtype);
    const [last] = k.sequential('s', length, [start], dtype, ([carried]) => {
      const next = k.applyTo(dtype, opcode, carried, k.load('x', place));
      k.store('y', place, k.applyTo(dtype, 'add', next, next));
      return [next];
    });
    k.store('z', at('i'), last);
  });
  return k.finish();
}

const [n, m] = [dim('N', { min: 1 }), dim('M', { min: 1 })];

describe('running combinations', () => {
  it.each([1, 16, 33, 100, 256, 1000, 1008])('of rows of %i', async (length) => {
    await check(running('add', 3, length));
    await check(running('multiply', 40, length));
    await check(running('maximum', 5, length));
  });

  it('of integers wrap', async () => check(running('multiply', 3, 300, { dtype: 'int32' }), natural));

  it('of columns', async () => {
    for (const columns of [1, 8, 50]) await check(running('add', columns, 200, { isColumn: true }));
  });

  it('of symbolic sizes', async () => {
    for (const N of [1, 33, 700]) await check(running('add', m, n), wave, { N, M: 3 });
  });
});
