/** What `npm start` shows last: its training step started cold, warm and baked, with equal results. */
import { expect, it } from 'vitest';
import { startTimes } from '../../scripts/start-times.ts';

it('a step whose program is kept or baked starts in a fraction of the time of a compile', {
  timeout: 180_000,
}, async () => {
  const rows = [];
  for await (const row of startTimes()) rows.push(row);
  expect(rows.map(({ start }) => start)).toEqual(['cold', 'warm', 'baked']);
  const [cold, warm, baked] = rows;
  for (const { imports, result, total } of rows) {
    expect(imports).toBeGreaterThan(0);
    expect(total).toBeGreaterThan(imports + result);
  }
  // Twenty times and more on a quiet machine.
  expect(warm.result).toBeLessThan(cold.result / 2);
  expect(baked.result).toBeLessThan(cold.result / 2);
});
