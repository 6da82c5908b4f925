import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ArenaInterval, arenaAlignment, arenaLowerBound, planArena, reservedBytes } from '../../base/arena.ts';
import { runs } from '../support/runs.ts';

const intervals = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 4000 }), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 12 }))
    .map(([bytes, first, length]): ArenaInterval => ({ bytes, first, last: first + length })),
  { maxLength: 40 },
);

const share = (a: ArenaInterval, b: ArenaInterval): boolean => a.first <= b.last && b.first <= a.last;

test('buffers alive at the same time do not overlap, and all are aligned and inside', () => {
  fc.assert(
    fc.property(intervals, (list) => {
      const plan = planArena(list);
      list.forEach((interval, at) => {
        const start = plan.offsets[at];
        const end = start + reservedBytes(interval.bytes);
        expect(start % arenaAlignment).toBe(0);
        expect(end).toBeLessThanOrEqual(plan.bytes);
        for (let other = 0; other < at; other++) {
          if (!share(interval, list[other])) continue;
          const otherEnd = plan.offsets[other] + reservedBytes(list[other].bytes);
          expect(end <= plan.offsets[other] || otherEnd <= start).toBe(true);
        }
      });
    }),
    runs(200),
  );
});

test('plans are not below the bound, and close to it on average', () => {
  let [planned, bound] = [0, 0];
  fc.assert(
    fc.property(intervals, (list) => {
      const { bytes } = planArena(list);
      expect(bytes).toBeGreaterThanOrEqual(arenaLowerBound(list));
      planned += bytes;
      bound += arenaLowerBound(list);
    }),
    runs(200),
  );
  expect(planned / bound).toBeLessThan(1.06);
});

test('buffers that follow each other take the same place', () => {
  const list = [0, 1, 2, 3].map((step) => ({ bytes: 1000, first: 2 * step, last: 2 * step + 1 }));
  expect(planArena(list)).toEqual({ offsets: [0, 0, 0, 0], bytes: reservedBytes(1000) });
});

test('no buffers need no arena', () => {
  expect(planArena([])).toEqual({ offsets: [], bytes: 0 });
});
