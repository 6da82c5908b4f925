import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planArena } from '../../base/arena.ts';
import { overlappingTemporary, type PlacedTemporary } from '../../runtime/overlap.ts';

const runs = process.env.KILN_TEST === 'full' ? 100_000 : 2000;

const placed = fc.array(
  fc
    .record({ offset: fc.nat(20), bytes: fc.nat(8), first: fc.nat(9), length: fc.nat(9) })
    .map(({ length, ...place }): PlacedTemporary => ({ ...place, last: place.first + length })),
  { maxLength: 8 },
);

/** By the definition: two that are alive at one step and have a byte in common. */
const doOverlap = (a: PlacedTemporary, b: PlacedTemporary): boolean =>
  Math.max(a.first, b.first) <= Math.min(a.last, b.last) &&
  Math.max(a.offset, b.offset) < Math.min(a.offset + a.bytes, b.offset + b.bytes);

describe('overlappingTemporary', () => {
  it('agrees with a look at every pair', () => {
    let clear = 0;
    fc.assert(
      fc.property(placed, (temporaries) => {
        const at = overlappingTemporary(temporaries);
        const isFound = temporaries.some((a, i) => temporaries.some((b, j) => i < j && doOverlap(a, b)));
        expect(at !== undefined).toBe(isFound);
        if (at === undefined) clear += 1;
        else expect(temporaries.some((other, i) => i !== at && doOverlap(other, temporaries[at]))).toBe(true);
      }),
      { numRuns: runs, seed: 20261 },
    );
    expect(clear).toBeGreaterThan(runs / 10);
  });

  it('finds nothing in what the compiler plans', () => {
    fc.assert(
      fc.property(placed, (intervals) => {
        const { offsets } = planArena(intervals);
        expect(overlappingTemporary(intervals.map((each, i) => ({ ...each, offset: offsets[i] })))).toBeUndefined();
      }),
      { numRuns: runs, seed: 20262 },
    );
  });

  // Where every pair is looked at, this takes longer than a test may.
  it('is done with many in the worst order', () => {
    const many = Array.from({ length: 1 << 16 }, (_, i) => ({ offset: (1 << 16) - i, bytes: 1, first: 0, last: 9 }));
    expect(overlappingTemporary(many)).toBeUndefined();
  });
});
