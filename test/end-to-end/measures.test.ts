/**
 * The optimiser's promises: kernels launched and bytes moved by the bench graphs. Both are counted, not timed, and are
 * the same on every machine. `bytes-moved.json` holds what each graph moves; a change that moves more has to say why.
 * `webgpu-kernels.json` holds kernels on WebGPU, by how many storage buffers an adapter lets a kernel bind.
 * `UPDATE=1 npx vitest run test/end-to-end/measures.test.ts` writes both anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { explainModel, kernelLimits, lowerModel, stepKernels, stepKernelsALayer } from '../../bench/measures.ts';
import { modelsOf } from '../../bench/models/index.ts';
import type { Explanation } from '../../index.ts';
import { webgpuTarget } from '../../passes/fuse/target.ts';

const models = new Map(modelsOf('bench').map((model) => [model.name, model]));
const explanations = new Map<string, Explanation>();

function explained(name: string): Explanation {
  const known = explanations.get(name);
  if (known) return known;
  const model = models.get(name);
  if (!model) throw new Error(`there is no bench graph '${name}'`);
  const explanation = explainModel(model);
  explanations.set(name, explanation);
  return explanation;
}

describe('kernels launched', () => {
  test.each(Object.entries(kernelLimits))('%s: %i', (name, most) => {
    expect(explained(name).kernels).toBeLessThanOrEqual(most);
  });

  test('a GPT step with Adam: so many a layer, and a constant', () => {
    const { aLayer, constant } = stepKernels();
    expect(aLayer).toBeLessThanOrEqual(stepKernelsALayer);
    expect(constant).toBeLessThanOrEqual(12);
  });
});

describe('bytes moved', () => {
  const file = new URL('bytes-moved.json', import.meta.url);
  const known = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, number>>;

  test.each([...models.keys()])('%s', (name) => {
    const { bytesMoved } = explained(name);
    if (process.env.UPDATE !== '1') expect(bytesMoved).toBeLessThanOrEqual(known[name]);
  });

  afterAll(() => {
    if (process.env.UPDATE !== '1') return;
    const found = Object.fromEntries([...models.keys()].map((name) => [name, explained(name).bytesMoved]));
    writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  });
});

describe('kernels launched on WebGPU', () => {
  const file = new URL('webgpu-kernels.json', import.meta.url);
  const isUpdate = process.env.UPDATE === '1';
  const known = (isUpdate ? {} : JSON.parse(readFileSync(file, 'utf8'))) as Readonly<
    Record<string, Readonly<Record<string, number>>>
  >;
  /** What WebGPU guarantees, and what adapters of desktops have. */
  const storageBuffers = [8, 16];
  const found: Record<string, Record<string, number>> = {};

  test.each([...models])('%s', (name, model) => {
    found[name] = Object.fromEntries(
      storageBuffers.map((count) => [
        `${count} buffers`,
        lowerModel(model, webgpuTarget({ storageBuffers: count })).launches.length,
      ]),
    );
    for (const [tier, launches] of Object.entries(found[name])) {
      expect(launches, tier).toBeLessThanOrEqual(isUpdate ? launches : known[name][tier]);
    }
  });

  afterAll(() => {
    if (isUpdate) writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  });
});
