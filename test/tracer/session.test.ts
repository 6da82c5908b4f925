/** The session: devices, init, tidy, profile. */
import { afterEach, describe, expect, it } from 'vitest';
import { compile, devices, init, memory, profile, setDevice, type Tensor, tensor, tidy } from '../../index.ts';
import { rejectionOf } from '../support/errors.ts';

afterEach(() => init());

describe('init', () => {
  it('knows its devices', async () => {
    expect(devices()).toContain('wasm');
    await init({ device: 'auto' });
    await init({ device: 'wasm' });
    expect(tensor([1]).device).toBe('wasm');
    setDevice('wasm');
    expect((await rejectionOf(() => setDevice('tpu'))).code).toBe('unknown_device');
    expect((await rejectionOf(() => init({ device: 'tpu' }))).code).toBe('unknown_device');
  });

  it('refuses what it does not know', async () => {
    expect((await rejectionOf(() => init({ store: 4 } as object))).given).toBe('option store');
    for (const cache of [4, null, 'off', { folder: '/tmp' }, { directory: '' }, { maxBytes: 0 }, { maxBytes: 1.5 }]) {
      expect((await rejectionOf(() => init({ cache } as object))).code, JSON.stringify(cache)).toBe('invalid_argument');
    }
    expect((await rejectionOf(() => init({ precision: 'exact' as 'fast' }))).given).toBe('precision: "exact"');
  });

  it('sets the precision of eager operations and of compile', async () => {
    const x = tensor(Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i)));
    const f = compile((t: Tensor) => t.mul(3).sum());
    await init({ precision: 'strict' });
    const [eager, compiled] = [x.mul(3).sum().itemSync(), f(x).itemSync()];
    expect(Object.is(eager, compiled)).toBe(true);
    await init();
    f(x);
    expect(f.stats().compiles).toBe(2);
  });
});

describe('tidy', () => {
  it('releases all but what is returned', () => {
    const x = tensor([1, 2]);
    const before = memory().tensors;
    const kept = tidy(() => {
      const a = x.add(1);
      const inner = tidy(() => [a.mul(2), a.mul(3)]);
      return { sum: inner[0].add(inner[1]), count: 3, date: null };
    });
    expect(memory().tensors).toBe(before + 1);
    expect(kept.sum.arraySync()).toEqual([10, 15]);
    expect(tidy(() => 7)).toBe(7);
    expect(tidy(() => 'text')).toBe('text');
  });

  it('releases what was made before an error', () => {
    const x = tensor([1, 2]);
    const before = memory().tensors;
    expect(() =>
      tidy(() => {
        x.add(1);
        throw new RangeError('mine');
      }),
    ).toThrow('mine');
    expect(memory().tensors).toBe(before);
  });
});

describe('profile', () => {
  it('accounts for launches by kernel, operation and line', async () => {
    const x = tensor([1, 2, 3]);
    const f = compile((t: Tensor) => t.exp().mul(2).sum(), { name: 'profiled' });
    await f(x).data();
    await x.add(1).data();
    const { result, launches, text, trace } = await profile(async () => {
      x.add(1);
      f(x);
      return f(x).item();
    });
    expect(result).toBeCloseTo(2 * (Math.exp(1) + Math.exp(2) + Math.exp(3)), 3);
    expect(launches.filter(({ program }) => program === 'add')).toHaveLength(1);
    expect(launches.filter(({ program }) => program === 'profiled').length).toBeGreaterThanOrEqual(2);
    expect(text).toMatch(/\d+ launches, [\d.]+ ms/);
    expect(text).toMatch(/add\/.* called at .*session\.test\.ts:\d+/);
    expect(text).toMatch(/exponential @.*session\.test\.ts:\d+/);
    const { traceEvents } = JSON.parse(trace) as { traceEvents: { ph: string; name: string; dur: number }[] };
    expect(traceEvents).toHaveLength(launches.length);
    expect(traceEvents.every(({ ph, dur }) => ph === 'X' && dur >= 0)).toBe(true);
  });

  it('leaves out what was queued before', async () => {
    const x = tensor([1, 2, 3]);
    const early = compile((t: Tensor) => t.sin().mul(t).sum(), { name: 'early' })(x);
    const { launches } = await profile(() => x.add(1).ready());
    expect(launches.map(({ program }) => program)).toEqual(['add']);
    expect(await early.item()).toBeCloseTo(3.0834, 3);
  });

  it('stops when the function throws', async () => {
    await expect(profile(() => Promise.reject(new RangeError('mine')))).rejects.toThrow('mine');
  });
});
