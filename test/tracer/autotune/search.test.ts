/** The search for a schedule, by a clock that only moves when something runs. */
import { describe, expect, it } from 'vitest';
import { searchSchedules } from '../../../tracer/autotune/search.ts';

/** A machine on which candidate `i` takes `costs[i]` milliseconds, and three times as long in its first runs. */
function machine(costs: readonly number[], slowRuns = 2) {
  let time = 0;
  const runs = costs.map(() => 0);
  return {
    runs,
    now: () => time,
    run: (candidate: number, times: number): void => {
      for (let i = 0; i < times; i++) {
        runs[candidate] += 1;
        time += costs[candidate] * (runs[candidate] <= slowRuns ? 3 : 1);
      }
    },
  };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `s${i}`);

describe('the search', () => {
  it('finds the fastest once all are warm', () => {
    const { run, now } = machine([1, 0.9, 0.5, 0.7]);
    const { winner, tried, ms } = searchSchedules(names(4), { run, now, budgetMs: 500 });
    expect(winner).toBe('s2');
    expect(tried).toEqual([1, 0.9, 0.5, 0.7].map((cost, i) => ({ schedule: `s${i}`, ms: expect.closeTo(cost) })));
    expect(ms).toBeLessThanOrEqual(500 + 10);
  });

  it('keeps the first where no other is three in a hundred faster', () => {
    const { run, now } = machine([1, 0.98, 0.975]);
    expect(searchSchedules(names(3), { run, now, budgetMs: 500 }).winner).toBe('s0');
  });

  it('gives up those that are far behind', () => {
    const { runs, run, now } = machine([1, 2, 1.1]);
    searchSchedules(names(3), { run, now, budgetMs: 10_000 });
    expect(runs[1]).toBeLessThan(runs[2] / 2);
  });

  it('tries no more than there is time for, and at least the first', () => {
    const { run, now } = machine([40, 40, 40, 40], 0);
    const { tried, winner } = searchSchedules(names(4), { run, now, budgetMs: 70 });
    expect(tried).toHaveLength(2);
    expect(winner).toBe('s0');
  });

  it('lets what takes microseconds run often enough for the clock', () => {
    const { runs, run, now } = machine([0.01, 0.005]);
    expect(searchSchedules(names(2), { run, now, budgetMs: 200 }).winner).toBe('s1');
    expect(Math.min(...runs)).toBeGreaterThan(100);
  });
});
