/** Periodic stretches of sequences: what is planted is found, what is found is periodic. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Random } from '../../../ir/ops/random.ts';
import { periodicRuns, repeatsOf } from '../../../passes/outline/periodic-runs.ts';
import { runs } from '../../support/runs.ts';

const limits = { leastPeriod: 3, leastRepeats: 3 };

/** A random word between random ends, several times over. */
function planted(random: Random, times: number): { readonly sequence: Int32Array; readonly period: number } {
  const word = Array.from({ length: random.integer(12, 40) }, (_, at) => 100 + at);
  const noise = (first: number): number[] => Array.from({ length: random.integer(0, 20) }, (_, at) => first + at);
  const repeated = Array.from({ length: times }, () => word).flat();
  return { sequence: Int32Array.from([...noise(1000), ...repeated, ...noise(2000)]), period: word.length };
}

test('a run that is surrounded', () => {
  const found = periodicRuns(Int32Array.from([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 8]), limits);
  expect(found).toEqual([{ start: 1, end: 11, period: 3 }]);
});

test('the longer of two periods where it repeats more', () => {
  // Halves that repeat three times make a whole that repeats four times: the whole saves more.
  const whole = [1, 2, 3, 1, 2, 3, 1, 2, 3, 7];
  const sequence = Int32Array.from([whole, whole, whole, whole].flat());
  expect(periodicRuns(sequence, limits)).toEqual([{ start: 0, end: 40, period: 10 }]);
});

test('random words are found whole', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed, { special: false });
      const times = random.integer(3, 7);
      const { sequence, period } = planted(random, times);
      const found = periodicRuns(sequence, limits);
      expect(found.map((run) => [run.period, repeatsOf(run)])).toEqual([[period, times]]);
    }),
    runs(100),
  );
});

test('what is found is periodic, apart from each other and in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 200 }), (values) => {
      const sequence = Int32Array.from(values);
      let last = 0;
      for (const { start, end, period } of periodicRuns(sequence, limits)) {
        expect(start).toBeGreaterThanOrEqual(last);
        expect(end - start).toBeGreaterThanOrEqual(limits.leastRepeats * period);
        for (let at = start + period; at < end; at++) expect(sequence[at]).toBe(sequence[at - period]);
        last = end;
      }
    }),
    runs(200),
  );
});

describe('time grows with the length', () => {
  test.each([
    ['one element', () => 1],
    ['random elements', (random: Random) => random.integer(0, 2)],
    ['runs of many periods', (_: Random, at: number) => (at % 997 < 500 ? at % 13 : at % 29)],
  ] as const)('%s', (_, element) => {
    const random = new Random(1, { special: false });
    const sequence = Int32Array.from({ length: 50_000 }, (_value, at) => element(random, at));
    const start = performance.now();
    periodicRuns(sequence, { leastPeriod: 12, leastRepeats: 3 });
    expect(performance.now() - start).toBeLessThan(3000);
  });
});
