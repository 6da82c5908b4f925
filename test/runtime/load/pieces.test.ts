/**
 * The loader in pieces, as a page has it, in a process without kilnjs: what symbolic sizes, donation and captured tensors
 * need is there when it is needed, and gives the bits of compiled functions.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type Tensor, tensor } from '../../../index.ts';
import { bakeModel, batch, forward, newParams, step } from './support.ts';

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-pieces-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'model.kiln'), await bakeModel(['wasm']));
  await build({
    entryPoints: [fileURLToPath(new URL('../../../runtime/index.ts', import.meta.url))],
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    external: ['node:*'],
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const script = (name: string): string => `
  import { readFileSync } from 'node:fs';
  import { load, tensor } from ${JSON.stringify(pathToFileURL(join(folder, 'index.js')))};
  const { functions, weights } = await load(readFileSync(${JSON.stringify(join(folder, 'model.kiln'))}), { threads: 1 });
  const rows = (count) => tensor(Float32Array.from({ length: count * 6 }, (_, i) => Math.cos(i * 1.7)), { shape: [count, 6] });
  const results = {
    forward: () => [functions.forward(weights.params, rows(3)), functions.forward(weights.params, rows(5))],
    scaled: () => [functions.scaled(rows(2))[0], functions.scaled(rows(2))[0]],
    step: () => Object.values(functions.step(weights.params, rows(4), 0.25).params),
  }[${JSON.stringify(name)}]();
  console.log(JSON.stringify(await Promise.all(results.map(async (each) => [...(await each.data())]))));
`;

const run = (name: string): number[][] =>
  JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', script(name)], { encoding: 'utf8' }));

const elements = (tensors: readonly Tensor[]): number[][] =>
  tensors.map((each) => Array.from(each.dataSync() as Float32Array));

const rows = (count: number) => tensor(batch(count), { shape: [count, 6] });

describe('the loader in pieces', () => {
  it('runs functions whose sizes vary', () => {
    const compiled = compile(forward, { precision: 'strict' });
    expect(run('forward')).toEqual(elements([compiled(newParams(), rows(3)), compiled(newParams(), rows(5))]));
  });

  it('runs functions that have captured tensors', () => {
    const params = newParams();
    const compiled = compile((x: Tensor) => forward(params, x).mul(tensor([1, 2, 3, 4])), {
      precision: 'strict',
    });
    expect(run('scaled')).toEqual(elements([compiled(rows(2)), compiled(rows(2))]));
  });

  it('runs functions that take arguments over', () => {
    const { params } = compile(step, { precision: 'strict', static: [2] })(newParams(), rows(4), 0.25);
    const byKey = Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
    expect(run('step')).toEqual(elements(byKey.map(([, each]) => each)));
  });

  it('has a piece for each of these parts', () => {
    const names = readdirSync(folder).join(' ');
    for (const part of ['bind-symbols', 'donation', 'prepared', 'sharing', 'relaxed-simd'])
      expect(names).toContain(part);
  });
});
