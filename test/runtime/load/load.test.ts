/** Baked artefacts that are loaded: the same bits as compiled functions, from every kind of source. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, type Tensor, tensor } from '../../../index.ts';
import { type Artefact, type ArtefactSource, load } from '../../../runtime/index.ts';
import { bakeModel, batch, forward, type ModelFunctions, type ModelWeights, newParams, step } from './support.ts';

let bytes: Uint8Array<ArrayBuffer>;
let folder: string;
let path: string;

beforeAll(async () => {
  bytes = await bakeModel(['wasm', 'wasm-threads', 'wasm-relaxed', 'webgpu']);
  folder = mkdtempSync(join(tmpdir(), 'kiln-load-'));
  path = join(folder, 'model.kiln');
  writeFileSync(path, bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const loadModel = (source: ArtefactSource = bytes): Promise<Artefact<ModelFunctions, ModelWeights>> => load(source);

const input = (rows: number): Tensor => tensor(batch(rows), { shape: [rows, 6] });

describe('a loaded artefact', () => {
  it('computes the same bits as the compiled functions', async () => {
    using model = await loadModel();
    expect(model.device).toBe('wasm');
    const compiled = compile(forward, { precision: 'strict' });
    for (const rows of [1, 7, 64]) {
      const y = model.functions.forward(model.weights.params, input(rows));
      expect(y.shape).toEqual([rows, 4]);
      expect(await y.bytes()).toEqual(await compiled(newParams(), input(rows)).bytes());
    }
    const expected = compile(step, { precision: 'strict' })(newParams(), input(4), 0.25);
    const { loss, params } = model.functions.step(newParams(), input(4), 0.25);
    expect(await loss.bytes()).toEqual(await expected.loss.bytes());
    expect(await params.w.bytes()).toEqual(await expected.params.w.bytes());
    expect(await params.b.bytes()).toEqual(await expected.params.b.bytes());
    const [scaled, nothing] = model.functions.scaled(input(2));
    const plain = (await compiled(newParams(), input(2)).data()) as Float32Array;
    expect(await scaled.data()).toEqual(plain.map((value, i) => value * (1 + (i % 4))));
    expect(nothing).toBeNull();
  });
});
