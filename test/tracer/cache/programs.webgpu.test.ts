/** Programs for WebGPU that are met in the cache. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { compile, dim, grad, relu, spec, type Tensor, tensor } from '../../../index.ts';
import { currentCache } from '../../../runtime/cache/current.ts';
import { compilerVersion } from '../../../tracer/compiler-version.ts';
import { runCacheChild } from '../../support/cache-process.ts';
import { closeCache, delayCache, entriesIn, openCache, restart } from '../../support/session-cache.ts';

let folder = '';

beforeAll(() => {
  folder = openCache();
});

afterAll(() => closeCache(folder));

const counted = (rows: number, columns: number): Tensor => {
  const data = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
  return tensor(data, { shape: [rows, columns] });
};

describe('a program for WebGPU', () => {
  it('gives the same bits from the cache, and is neither traced nor compiled under a key', async () => {
    let runs = 0;
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const rows = dim('B', { min: 1, max: 64 });
    const make = () => ({
      layer: compile((a: Tensor, b: Tensor) => relu(a.matmul(b)), { name: 'layer' }),
      step: compile((a: Tensor, b: Tensor) => a.sub(b.mul(0.5)), { donate: [0] }),
      budgeted: compile((a: Tensor) => a.add(1).sin().sum(), { memoryBudget: 1 << 20 }),
      symbolic: compile(
        (a: Tensor, b: Tensor) => {
          runs++;
          return a.matmul(b).exp();
        },
        { cache: 'symbolic', dynamic: [spec([rows, 6]), undefined] },
      ),
    });
    const run = async ({ layer, step, budgeted, symbolic }: ReturnType<typeof make>) =>
      Promise.all([
        layer(x, w).data(),
        step(counted(3, 3), counted(3, 3)).data(),
        budgeted(x).data(),
        symbolic(x, w).data(),
        symbolic(counted(7, 6), w).data(),
        grad((a: Tensor) => a.matmul(w).sum())(x).data(),
      ]);
    const bits = await run(make());
    const kept = entriesIn(folder, 'program').length;
    expect(kept).toBeGreaterThanOrEqual(4);
    restart();
    const warm = make();
    expect(await run(warm)).toEqual(bits);
    expect(runs).toBe(1);
    for (const each of Object.values(warm)) {
      expect(each.stats()).toMatchObject({ compiles: 0, hits: { disk: 1 }, compileMs: 0 });
    }
    expect(entriesIn(folder, 'program')).toHaveLength(kept);
  });

  it('needs no compiler in a process of its own', async () => {
    const place = { folder: join(folder, 'apart') };
    const cold = await runCacheChild({ device: 'webgpu' }, place);
    expect(cold).toMatchObject({ runs: 1, isCompilerLoaded: true });
    const warm = await runCacheChild({ device: 'webgpu' }, place);
    expect(warm.results).toEqual(cold.results);
    expect(warm).toMatchObject({ runs: 0, steps: 0, workers: 0, isCompilerLoaded: false, fromCache: true });
  });

  it('waits for the cache of a page: the program, or else its kernels', async () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const layer = (a: Tensor, b: Tensor): Tensor => relu(a.matmul(b));
    await compile(layer)(x, w).data();
    restart();
    delayCache();
    const met = compile(layer);
    await met(x, w).data();
    expect(met.stats()).toMatchObject({ compiles: 0, hits: { disk: 1 } });
    const found = vi.spyOn(currentCache(compilerVersion())!, 'findKernel');
    await compile((a: Tensor, b: Tensor) => [layer(a, b), a.sqrt()] as const)(x, w)[1].data();
    const kernels = await Promise.all(found.mock.results.map(({ value }) => value as Promise<unknown>));
    expect(kernels.map((kernel) => kernel !== undefined).sort()).toEqual([false, true]);
  });
});
