/** Bakes that meet what earlier ones have left in the cache: the same bytes, and nothing compiled. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { defineBake, dim, spec, type Tensor } from '../../../index.ts';
import { currentCache } from '../../../runtime/cache/current.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';
import { compilerVersion } from '../../../tracer/compiler-version.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-bake-'));
  vi.stubEnv('KILN_CACHE', 'on');
  vi.stubEnv('KILN_CACHE_DIR', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const model = (factor: number) =>
  defineBake({
    scaled: { fn: (x: Tensor) => x.mul(factor).tanh(), args: [spec([dim('B'), 3])] },
    sum: { fn: (x: Tensor) => x.sum(), args: [spec([4, 4])], precision: 'strict' },
  });

const bake = async (factor: number) => {
  const told: string[] = [];
  const onProgress = (done: number, total: number, note: string) => told.push(`${done}/${total} ${note}`);
  const { bytes, report } = await bakeArtefact(model(factor), { threads: 1, onProgress });
  const compiled = report.compiles.filter(({ milliseconds }) => milliseconds > 0);
  return { bytes, told, compiled: compiled.map(({ name, target }) => `${name} ${target}`).sort() };
};

it('compiles again only what has changed, and writes the bytes that a bake without a cache writes', async () => {
  const all = ['scaled wasm', 'scaled webgpu', 'sum wasm', 'sum webgpu'];
  const first = await bake(2);
  expect(first.compiled).toEqual(all);
  await currentCache(compilerVersion())?.settle();

  const again = await bake(2);
  expect(again.compiled).toEqual([]);
  expect(again.told.map((text) => text.slice(0, 3))).toEqual(['0/4', '1/4', '2/4', '3/4', '4/4']);
  expect(again.bytes).toEqual(first.bytes);

  const changed = await bake(3);
  expect(changed.compiled).toEqual(['scaled wasm', 'scaled webgpu']);
  expect(changed.told.map((text) => text.slice(0, 3))).toEqual(['0/4', '1/4', '2/4', '3/4', '4/4']);
  vi.stubEnv('KILN_CACHE', 'off');
  const without = await bake(3);
  expect(without.compiled).toEqual(all);
  expect(changed.bytes).toEqual(without.bytes);
});
