/**
 * Tensors of more than 2 GiB on the device: addresses, sizes and positions beyond 2^31, and what happens when the 4 GiB
 * of a WASM memory are used up. They are made on the device, so that their bytes exist once.
 */
import { freemem } from 'node:os';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { compile, full, init, memory, ones, shutdown, type Tensor } from '../../index.ts';
import { isFullRun } from '../support/runs.ts';

const needed = 6 * 2 ** 30;
/** It touches 5 GB, which takes from ten seconds to a minute: full runs only. Kernels at high addresses run always. */
const reason = !isFullRun
  ? 'in full runs only'
  : freemem() < needed
    ? 'this machine has less than 6 GiB free'
    : undefined;
const elements = 600_000_000;
const rows = 2500;
const columns = 1_000_000;

afterAll(() => shutdown());

describe('tensors above 2 GiB', () => {
  beforeEach((context) => {
    if (reason) context.skip(reason);
  });

  it('float32: computes in place, reads the end, sums up, and fails cleanly where there is no room', async () => {
    await init({ threads: 1 });
    const update = compile((x: Tensor) => x.mul(2).add(1), { donate: [0] });
    const x = update(compile(() => ones([elements]))());
    const tail = await x.slice([elements - 5, elements]).data();
    expect([...tail]).toEqual([3, 3, 3, 3, 3]);
    expect(memory().bytes).toBeGreaterThan(2 ** 31);
    expect(await x.sum().item()).toBe(3 * elements);
    const rowSums = await x.reshape([600, columns]).sum(1).data();
    expect([...rowSums.slice(-2)]).toEqual([3 * columns, 3 * columns]);
    const another = x.add(1);
    await expect(another.data()).rejects.toMatchObject({ code: 'out_of_memory' });
    await expect(another.data()).rejects.toThrow(/held by tensors.*expected: +at most 4\.00 GiB/s);
    expect(await ones([1000]).add(1).sum().item()).toBe(2000);
    expect([...(await x.slice([elements - 1, elements]).data())]).toEqual([3]);
    x.dispose();
    shutdown();
  });

  it('int8: more elements than one axis counts', async () => {
    await init({ threads: 1 });
    const twice = compile((x: Tensor<'int8'>) => x.add(x), { donate: [0] });
    const x = twice(full([rows, columns], 3, { dtype: 'int8' }));
    const tail = await x.slice([rows - 1, rows], [columns - 3, columns]).data();
    expect([...tail]).toEqual([6, 6, 6]);
    const sums = await compile((v: Tensor<'int8'>) => v.astype('int32').sum(1))(x).data();
    expect([...sums.slice(-2)]).toEqual([6 * columns, 6 * columns]);
    x.dispose();
  });
});
