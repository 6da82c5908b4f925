import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { formatBytes } from '../../runtime/format-bytes.ts';
import { Allocator, type Block } from '../../runtime/wasm/allocator.ts';
import { WasmMemory } from '../../runtime/wasm/memory.ts';

const runs = process.env.KILN_TEST === 'full' ? 2000 : 150;

/** Sizes as programs have them: many small, some large. */
const sizes = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 400 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 100_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 4_000_000 }) },
);
/** Allocate a size, or release the block at a fraction of the live ones. */
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ allocate: sizes }) },
    { weight: 2, arbitrary: fc.record({ release: fc.double({ min: 0, max: 0.999, noNaN: true }) }) },
  ),
  { maxLength: 200 },
);

/** What holds for the list of blocks at any time. */
function checkBlocks(memory: WasmMemory, live: ReadonlySet<Block>): void {
  let end = 0;
  let previous: Block | undefined;
  let used = 0;
  for (const block of memory.blocks()) {
    expect(block.start).toBe(end);
    expect(block.units).toBeGreaterThan(0);
    expect(block.before).toBe(previous);
    expect(previous?.isFree && block.isFree).not.toBe(true);
    if (!block.isFree) used += 1;
    end = block.start + block.units;
    previous = block;
  }
  expect(end * 64).toBe(memory.reservedBytes);
  // The block at address 0 belongs to nobody.
  expect(used).toBe(live.size + 1);
}

describe('WasmMemory', () => {
  it('hands out aligned blocks that do not overlap, and merges what comes back', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const memory = new WasmMemory();
        const live = new Set<Block>();
        let bytes = 0;
        let peak = 0;
        for (const step of list) {
          if ('allocate' in step) {
            const block = memory.allocate(step.allocate, live.size % 3 === 0 ? 'program' : 'tensor');
            expect(block.address % 64).toBe(0);
            expect(block.address).toBeGreaterThan(0);
            expect(block.units * 64).toBeGreaterThanOrEqual(step.allocate + 16);
            live.add(block);
            bytes += step.allocate;
          } else if (live.size > 0) {
            const block = [...live][Math.floor(step.release * live.size)];
            live.delete(block);
            bytes -= block.bytes;
            memory.release(block);
          }
          peak = Math.max(peak, bytes);
          expect(memory.tensorBytes + memory.programBytes).toBe(bytes);
          expect(memory.peakBytes).toBe(peak);
        }
        checkBlocks(memory, live);
        for (const block of live) memory.release(block);
        checkBlocks(memory, new Set());
        expect(memory.tensorBytes + memory.programBytes).toBe(0);
        expect([...memory.blocks()].length).toBe(2);
      }),
      { numRuns: runs },
    );
  });

  it('finds memory that was released, without growing', () => {
    const memory = new WasmMemory();
    const first = memory.allocate(100_000, 'tensor');
    const second = memory.allocate(100_000, 'tensor');
    const { address } = first;
    const reserved = memory.reservedBytes;
    memory.release(first);
    for (let i = 0; i < 1000; i++) memory.release(memory.allocate(50_000 + i, 'tensor'));
    expect(memory.allocate(100_000, 'tensor').address).toBe(address);
    expect(memory.reservedBytes).toBe(reserved);
    memory.release(second);
  });

  it('keeps a block until its last reference is gone', () => {
    const memory = new WasmMemory();
    const block = memory.allocate(8, 'tensor');
    block.references += 1;
    memory.release(block);
    expect(memory.tensorBytes).toBe(8);
    memory.release(block);
    expect(memory.tensorBytes).toBe(0);
  });

  it('grows by more than it must, but up to its limit exactly', () => {
    const memory = new WasmMemory(() => false, { limitBytes: 4 * 2 ** 20 });
    const block = memory.allocate(4 * 2 ** 20 - 64 - 16, 'tensor');
    expect(memory.reservedBytes).toBe(4 * 2 ** 20);
    memory.release(block);
    expect(new WasmMemory().allocate(2 ** 20, 'tensor').address).toBe(64);
  });

  it('says what is held when there is no room, and loses nothing', () => {
    const memory = new WasmMemory(() => false, { limitBytes: 2 ** 20 });
    const block = memory.allocate(600_000, 'tensor');
    memory.bytes[block.address] = 42;
    const attempt = (): unknown => memory.allocate(600_000, 'tensor');
    expect(attempt).toThrow(KilnError);
    expect(attempt).toThrow(/out_of_memory.*585\.94 KiB[\s\S]*at most 1\.00 MiB/);
    expect(memory.bytes[block.address]).toBe(42);
    expect(memory.tensorBytes).toBe(600_000);
    memory.release(block);
    expect(memory.allocate(600_000, 'tensor').bytes).toBe(600_000);
  });

  it.each([2 ** 32 - 16, 2 ** 32, 2 ** 40, Number.POSITIVE_INFINITY, Number.NaN])('refuses %d bytes', (bytes) => {
    const memory = new WasmMemory();
    expect(() => memory.allocate(bytes, 'tensor')).toThrow(/out_of_memory/);
    expect(memory.reservedBytes).toBe(2 ** 20);
  });

  it('asks for relief once before it fails', () => {
    let asked = 0;
    let held: Block | undefined;
    const memory: WasmMemory = new WasmMemory(
      () => {
        asked += 1;
        if (!held) return false;
        memory.release(held);
        held = undefined;
        return true;
      },
      { limitBytes: 2 ** 20 },
    );
    held = memory.allocate(600_000, 'program');
    const block = memory.allocate(600_000, 'tensor');
    expect(asked).toBe(1);
    expect(() => memory.allocate(600_000, 'tensor')).toThrow(/out_of_memory/);
    expect(asked).toBe(2);
    memory.release(block);
  });

  it('gives unsigned addresses above 2 GiB', () => {
    const memory = new WasmMemory();
    const low = memory.allocate(2 ** 31 + 2 ** 20, 'tensor');
    const high = memory.allocate(64, 'tensor');
    expect(high.address).toBeGreaterThan(2 ** 31);
    memory.words[high.address / 4] = high.address;
    expect(memory.words[high.address / 4]).toBe(high.address);
    memory.release(low);
    memory.release(high);
  });
});

describe('Allocator', () => {
  it('uses a block of the searched class when no larger class has one', () => {
    const allocator = new Allocator();
    // 1000 units fall into the class of 992 to 1023, of which only the larger ones fit.
    allocator.extend(1010);
    const block = allocator.allocate(1000);
    expect(block?.units).toBe(1000);
    expect(allocator.allocate(11)).toBeUndefined();
    expect(allocator.allocate(10)?.start).toBe(1000);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1536, '1.50 KiB'],
    [2 ** 32, '4.00 GiB'],
    [Number.POSITIVE_INFINITY, 'Infinity EiB'],
  ])('%d', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
