/** How many threads there are: what `init` says, the flag, the cores; and what may not change. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { init, shutdown, tensor } from '../../index.ts';
import { currentDevice } from '../../runtime/session.ts';
import { resolveThreads } from '../../runtime/wasm/threads.ts';

const flag = process.env.KILN_THREADS;

// Other files may have left tensors.
beforeEach(shutdown);
afterEach(async () => {
  process.env.KILN_THREADS = flag;
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  await shutdown();
});

describe('the number of threads', () => {
  it('is what init says, else the flag, else one for each core', async () => {
    process.env.KILN_THREADS = '3';
    await init({ threads: 2 });
    expect(currentDevice()).toMatchObject({ threads: 2, tier: { threads: true } });
    await shutdown();
    expect(currentDevice().threads).toBe(3);
    delete process.env.KILN_THREADS;
    const cores = process.getBuiltinModule('node:os').availableParallelism();
    expect(resolveThreads(undefined)).toBe(Math.min(cores, 16));
    await init({ threads: 1 });
    expect(currentDevice()).toMatchObject({ threads: 1, tier: { threads: false } });
  });

  it('is refused where it is none', async () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 257, '2', null]) {
      await expect(init({ threads: threads as number })).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    process.env.KILN_THREADS = 'many';
    expect(() => resolveThreads(undefined)).toThrow(/KILN_THREADS is no number of threads[\s\S]*'many'[\s\S]*1 to 256/);
    expect(resolveThreads(2)).toBe(2);
  });

  it('changes on a device that holds nothing, and is refused while it holds tensors, which stay', async () => {
    await init({ threads: 1 });
    const first = currentDevice();
    await init({ threads: 2 });
    expect(first.memory().reservedBytes).toBe(0);
    const x = tensor([1, 2]);
    await expect(init({ threads: 3 })).rejects.toThrow(/invalid_argument[\s\S]*shutdown\(\) first/);
    expect(currentDevice().threads).toBe(2);
    await init({ threads: 2 });
    expect(await x.add(1).array()).toEqual([2, 3]);
  });

  it('is one on a page that may not share memory, which says so once', () => {
    const info = vi.spyOn(console, 'info').mockImplementation(() => {});
    delete process.env.KILN_THREADS;
    vi.stubGlobal('process', undefined);
    vi.stubGlobal('navigator', { hardwareConcurrency: 8 });
    vi.stubGlobal('crossOriginIsolated', false);
    expect([resolveThreads(undefined), resolveThreads(1), resolveThreads(4), resolveThreads(undefined)]).toEqual([
      1, 1, 1, 1,
    ]);
    const texts = info.mock.calls.map(([text]) => text as string);
    vi.unstubAllGlobals();
    expect(texts).toEqual([expect.stringMatching(/one thread instead of 8.*Cross-Origin-Opener-Policy/)]);
  });
});
