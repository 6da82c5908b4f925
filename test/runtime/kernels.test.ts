import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { KernelFunction } from '../../runtime/wasm/engine.ts';
import { KernelTable, LoadedKernel } from '../../runtime/wasm/kernels.ts';
import { WasmMemory } from '../../runtime/wasm/memory.ts';
import { addition, doubling } from './support.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const kernelOf = (run: KernelFunction): LoadedKernel => new LoadedKernel(run, 0, {});

describe('a long launch of a new kernel', () => {
  it('runs every tile once, in order, however it is split', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 2 ** 28 }), (tiles, flops) => {
        const ranges: [number, number][] = [];
        const kernel = kernelOf((_, begin, end) => ranges.push([begin, end]));
        kernel.runInCalls(64, tiles, flops);
        let next = 0;
        for (const [begin, end] of ranges) {
          expect(begin).toBe(next);
          expect(end).toBeGreaterThan(begin);
          next = end;
        }
        expect(next).toBe(tiles);
      }),
    );
  });

  it('is cut into short calls until the engine has had time to optimise', () => {
    let clock = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => clock);
    const lengths: number[] = [];
    const kernel = kernelOf((_, begin, end) => {
      lengths.push(end - begin);
      clock += (end - begin) * 0.02;
    });
    // Tiles of 0.02 ms: 50 ms in calls of about 1 ms, then calls of about 10 ms, after 500 ms all at once.
    kernel.runInCalls(64, 2000, 2 ** 30);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(100);
    lengths.length = 0;
    kernel.runInCalls(64, 25_000, 2 ** 30);
    expect(Math.max(...lengths.slice(0, -1))).toBeLessThanOrEqual(1000);
    expect(Math.max(...lengths)).toBeGreaterThan(200);
    lengths.length = 0;
    kernel.runInCalls(64, 4000, 2 ** 30);
    expect(lengths).toEqual([4000]);
  });
});

describe('KernelTable', () => {
  const table = () => new KernelTable(new WasmMemory().memory);

  it('shares a kernel until its last user is gone', () => {
    const kernels = table();
    const first = kernels.acquire(addition(4));
    expect(kernels.acquire(addition(4))).toBe(first);
    expect(kernels.acquire(doubling(4))).not.toBe(first);
    kernels.release(addition(4).hash);
    expect(kernels.acquire(addition(4))).toBe(first);
    kernels.release(addition(4).hash);
    kernels.release(addition(4).hash);
    expect(kernels.acquire(addition(4))).not.toBe(first);
  });

  it('compiles in the background, and refuses what is no kernel', async () => {
    const kernels = table();
    await kernels.compileAll([addition(4), doubling(4), addition(4)]);
    expect(kernels.acquire(addition(4))).toBeInstanceOf(LoadedKernel);
    const broken = { ...addition(4), hash: '0'.repeat(64), code: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) };
    await expect(kernels.compileAll([broken])).rejects.toMatchObject({ code: 'compile_failed' });
    expect(() => kernels.acquire(broken)).toThrow(/compile_failed.*kernel add[\s\S]*imports nothing/);
    await expect(kernels.compileAll([{ ...broken, code: new Uint8Array(3) }])).rejects.toThrow(/compile_failed/);
  });
});
