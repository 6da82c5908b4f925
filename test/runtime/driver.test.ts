/** The driver's bytes, and how launches are shared. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { control, controlAddress, controlBytes, longestFailure } from '../../runtime/wasm/control-block.ts';
import { planPhases } from '../../runtime/wasm/cost.ts';
import { engine } from '../../runtime/wasm/engine.ts';
import { WasmMemory } from '../../runtime/wasm/memory.ts';
import { driverCodeFiles } from '../../scripts/build-driver.ts';

describe('the driver', () => {
  it('is checked in as its source makes it (npx tsx scripts/build-driver.ts)', async () => {
    for (const [name, text] of Object.entries(await driverCodeFiles())) {
      expect(readFileSync(new URL(`../../runtime/wasm/${name}`, import.meta.url), 'utf8')).toBe(text);
    }
  });

  it('has a control block whose words are apart and inside', () => {
    const addresses = Object.values(control);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const address of addresses) {
      expect(address % 4).toBe(0);
      expect(address).toBeGreaterThanOrEqual(controlAddress);
      expect(address).toBeLessThan(controlAddress + controlBytes);
    }
    expect(longestFailure).toBeGreaterThan(100);
  });
});

describe('the cost model', () => {
  const work = { flops: 1e9, bytes: 0, threads: 4 };

  it('leaves short phases, single tiles and single threads to the caller', () => {
    expect(planPhases([{ tiles: 1000, group: 1 }], { ...work, flops: 5e4 })[0].grain).toBe(0);
    expect(planPhases([{ tiles: 1, group: 1 }], work)[0].grain).toBe(0);
    expect(planPhases([{ tiles: 1000, group: 1 }], { ...work, threads: 1 })[0].grain).toBe(0);
    expect(planPhases([{ tiles: 1000, group: 1 }], { ...work, flops: 0, bytes: 1e7 })[0].grain).toBeGreaterThan(0);
  });

  it('shares the long phases of a launch', () => {
    const phases = [
      { tiles: 10, group: 1 },
      { tiles: 4000, group: 1 },
    ];
    expect(planPhases(phases, { ...work, flops: 1e7 }).map(({ grain }) => grain > 0)).toEqual([false, true]);
  });

  it('takes whole groups where there are enough, and parts where there are few', () => {
    expect(planPhases([{ tiles: 1024, group: 16 }], work)[0].grain).toBe(16);
    const few = planPhases([{ tiles: 64, group: 32 }], work)[0].grain;
    expect(few).toBeLessThan(32);
    expect(Math.ceil(64 / few)).toBeGreaterThanOrEqual(16);
  });

  it('gives every thread several turns, of a length that is worth it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 2 ** 40 }),
        (tiles, group, threads, flops) => {
          const [{ grain }] = planPhases([{ tiles, group }], { flops, bytes: 0, threads });
          expect(Number.isInteger(grain)).toBe(true);
          expect(grain).toBeGreaterThanOrEqual(0);
          if (grain > group && group > 1) expect(grain % group).toBe(0);
          if (grain > 0 && group === 1 && tiles >= 4 * threads) {
            expect(Math.ceil(tiles / grain)).toBeGreaterThanOrEqual(4 * threads);
          }
        },
      ),
    );
  });
});

describe('a shared memory', () => {
  it('takes less where the engine does not reserve 4 GiB, and says so when it is full', () => {
    const { Memory } = engine();
    const reserved: number[] = [];
    class Small {
      constructor(descriptor: { initial: number; maximum: number; shared?: boolean }) {
        reserved.push(descriptor.maximum);
        if (descriptor.maximum > 100) throw new RangeError('could not allocate memory');
        // biome-ignore lint/correctness/noConstructorReturn: stands for the engine's constructor.
        return new Memory(descriptor);
      }
    }
    vi.stubGlobal('WebAssembly', { ...engine(), Memory: Small });
    try {
      const memory = new WasmMemory(() => false, { shared: { headBytes: controlAddress + controlBytes } });
      expect(reserved.slice(0, 3)).toEqual([65536, 32768, 16384]);
      expect(memory.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(memory.allocate(1000, 'tensor').address).toBe(controlAddress + controlBytes);
      expect(() => memory.allocate(2 ** 23, 'tensor')).toThrow(/at most 4.00 MiB .*as much as this engine reserves/);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
