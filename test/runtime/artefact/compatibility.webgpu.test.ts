/** The artefact of format 1 on WebGPU, where sums may be added up in another order than on wasm. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { init } from '../../../index.ts';
import { load } from '../../../runtime/index.ts';
import { type Functions, outcomesOf, readArtefactFile, type Weights } from './format-1.ts';

beforeAll(() => init({ device: 'webgpu' }));
afterAll(() => init({ device: 'webgpu' }));

it('the artefact of format 1 gives what it gave when it was baked', async () => {
  using model = await load<Functions, Weights>(readArtefactFile(), { device: 'webgpu' });
  expect(model.target).toBe('webgpu');
  for (const { rows, given, expected } of await outcomesOf(model)) {
    for (const [i, values] of given.entries()) {
      expect(values.length, `${rows} rows`).toBe(expected[i].length);
      for (const [at, value] of values.entries()) expect(Math.abs(value - expected[i][at])).toBeLessThan(1e-5);
    }
  }
});
