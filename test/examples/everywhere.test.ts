/** One program on wasm and on webgpu, in Node and in Chromium: what `npm start` shows at its end. */
import { expect, it } from 'vitest';
import { type Row, trainEverywhere } from '../../scripts/train-everywhere.ts';
import { findAdapter } from '../support/adapter.ts';

it('the spirals come to the same loss on every device, in Node and in Chromium', {
  timeout: 300_000,
}, async (context) => {
  const adapter = findAdapter();
  if (typeof adapter === 'string') return context.skip(adapter);
  const rows: Row[] = [];
  for await (const row of trainEverywhere(10)) rows.push(row);
  expect(rows.map(({ host, device }) => `${host} ${device}`)).toEqual([
    'Node wasm',
    'Node webgpu',
    'Chromium wasm',
    'Chromium webgpu',
  ]);
  const losses = rows.map(({ result }) => (typeof result === 'string' ? result : result.loss));
  for (const loss of losses) expect(loss).toBeTypeOf('number');
  const [first, ...others] = losses.map(Number);
  expect(first).toBeLessThan(1.05);
  for (const other of others) expect(Math.abs(other - first)).toBeLessThan(1e-4);
  expect(rows.filter(({ device }) => device === 'webgpu').map((row) => row.adapter)).not.toContain('');
});
