/** Updates at places that data tells, against the interpreter: in all ways of sharing the work, and all kinds and dtypes. */
import { expect, it } from 'vitest';
import { dim } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { verifyKernel } from '../../../ir/kernel-verify.ts';
import { Random } from '../../../ir/ops/random.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, readWrite } from '../../support/kernel-maker.ts';
import { guarded, type ScatteredRows, scatterKernel } from '../../support/scatter-kernels.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

let turn = 0;

async function check(given: ScatteredRows, greatest: number, bindings: Bindings = {}): Promise<void> {
  const kernel = scatterKernel(given);
  verifyKernel(kernel);
  const { code } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
  // Update after update, by one workgroup, where windows overlap and nowhere else.
  expect(code.includes('storageBarrier')).toBe(given.overlaps !== undefined && given.updates !== 1);
  const random = new Random(turn + 1);
  const inputs = makeInputs(kernel, bindings, (name) =>
    name === 'index' ? random.integer(-2, greatest + 1) : smallValue(given.dtype ?? 'float32', random),
  );
  expect(await compareOnGpu(kernel, inputs, bindings, turn++), printKernel(kernel)).toBeUndefined();
}

/** Bits of halves between 1 and 2; otherwise small numbers. */
function smallValue(dtype: DType, random: Random): number {
  if (dtype === 'float16') return 0x3c00 + random.integer(0, 0x3ff);
  if (dtype === 'bfloat16') return 0x3f80 + random.integer(0, 0x7f);
  return dtype === 'bool' ? random.integer(0, 1) : dtype === 'float32' ? random.next() - 0.5 : random.integer(0, 5);
}

it.each([0, 1, 2, 3, 17, 255, 256, 257])('%i updates of rows', async (updates) => {
  await check({ rows: 20, width: 8, updates }, 19);
  await check({ rows: 20, width: 5, updates }, 2);
  await check({ rows: 50, width: 1, updates }, 49);
});

it('updates too many for a workgroup', async () => {
  await check({ rows: 100, width: 4, updates: 2100 }, 99);
  await check({ rows: 3000, width: 1, updates: 5000, dtype: 'int32' }, 2999);
});

it.each(['assign', 'add', 'multiply', 'max', 'min'] as const)('%s', async (combine) => {
  for (const dtype of ['float32', 'int32', 'uint8', 'float16', 'bfloat16', 'int16'] as const) {
    await check({ rows: 7, width: 4, updates: 20, combine, dtype }, 6);
    await check({ rows: 7, width: 3, updates: 6, combine, dtype }, 6);
  }
});

it('bools are assigned', async () => {
  await check({ rows: 7, width: 4, updates: 40, combine: 'assign', dtype: 'bool' }, 6);
});

it('windows that overlap', async () => {
  for (const updates of [1, 5, 40]) {
    await check({ rows: 1, width: 30, updates, overlaps: 7 }, 24);
    await check({ rows: 1, width: 400, updates, overlaps: 300, combine: 'assign', dtype: 'int8' }, 110);
  }
});

it('sizes that show when it runs', async () => {
  const [rows, width, updates] = [dim('R'), dim('W'), dim('U', { max: 2000 })];
  for (const [R, W, U] of [
    [20, 4, 7],
    [5, 3, 300],
  ]) {
    await check({ rows, width, updates }, R - 1, { R, W, U });
    await check({ rows: 20, width: 4, updates: dim('U') }, 19, { U });
  }
});

it('a place for each row of a batch, as the gradient of elements taken along an axis', async () => {
  const [batch, length, taken] = [5, 7, 9];
  const k = new KernelMaker('take_along_gradient', [
    read('index', batch * taken, 'int32'),
    read('g', batch * taken),
    readWrite('y', batch * length),
  ]);
  k.parallel('i', batch * length, () => k.store('y', at('i'), k.constant(0)));
  const last = k.constant(length - 1, 'int32');
  k.sequential('b', batch, [], 'int32', () => {
    const row = k.index(at('b'));
    k.sequential('t', taken, [], 'int32', () => {
      const { start, when } = guarded(k, k.load('index', at([taken, 'b'], 't')), last);
      k.store('y', at([length, row], [1, start]), k.load('g', at([taken, 'b'], 't')), { combine: 'add', when });
      return [];
    });
    return [];
  });
  const kernel = k.finish();
  verifyKernel(kernel);
  const random = new Random(5);
  const inputs = makeInputs(kernel, {}, (name) => (name === 'index' ? random.integer(-1, length) : random.next()));
  expect(await compareOnGpu(kernel, inputs), printKernel(kernel)).toBeUndefined();
});
