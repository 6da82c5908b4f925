/** What `npm start` shows last: its training step started cold, warm and baked, with equal results, which `startTimes` compares. */
import { expect, it } from 'vitest';
import { startTimes } from '../../scripts/start-times.ts';

it('a step starts cold, warm and baked, each in a process of its own', { timeout: 180_000 }, async () => {
  const rows = [];
  for await (const row of startTimes()) rows.push(row);
  expect(rows.map(({ start }) => start)).toEqual(['cold', 'warm', 'baked']);
  for (const { imports, result, total } of rows) {
    expect(imports).toBeGreaterThan(0);
    expect(total).toBeGreaterThan(imports + result);
  }
});
