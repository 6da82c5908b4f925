/** Artefacts on WebGPU: chosen where the session uses it, near the values of wasm, the bits of compiled functions. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { compile, init, shutdown, type Tensor, tensor } from '../../../index.ts';
import { type KilnError, load } from '../../../runtime/index.ts';
import { rejectionOf } from '../../support/errors.ts';
import { bakeModel, batch, forward, type ModelFunctions, type ModelWeights, newParams } from './support.ts';

let bytes: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  await init({ device: 'webgpu' });
  bytes = await bakeModel(['wasm', 'webgpu', 'webgpu-subgroups']);
});
afterAll(() => init({ device: 'webgpu' }));

const input = (rows: number): Tensor => tensor(batch(rows), { shape: [rows, 6] });

describe('an artefact on WebGPU', () => {
  it('computes as compiled functions do, sizes that vary and captures included', async () => {
    using model = await load<ModelFunctions, ModelWeights>(bytes);
    expect(model).toMatchObject({ device: 'webgpu', target: expect.stringMatching(/^webgpu/) });
    const compiled = compile(forward, { precision: 'strict' });
    for (const rows of [2, 5]) {
      const y = model.functions.forward(model.weights.params, input(rows));
      const expected = (await compiled(newParams(), input(rows)).data()) as Float32Array;
      const given = (await y.data()) as Float32Array;
      given.forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-6);
      });
    }
    const { loss } = model.functions.step(model.weights.params, input(4), 0.25);
    expect(await loss.item()).toBeGreaterThan(0);
    expect(await model.functions.scaled(input(2))[0].data()).toHaveLength(8);
    await model.ready();
  });

  it('is not run where it is not what was asked for', async () => {
    const onWasm = await load(bytes, { device: 'wasm' });
    expect(onWasm.target).toBe('wasm');
    onWasm.dispose();
    await shutdown();
    // A software adapter is slower than wasm.
    const best = await load(bytes, { device: 'auto' });
    expect(best.device).toBe('wasm');
    best.dispose();
    await shutdown();
    const error = await rejectionOf(() => load(bytes, { device: 'gpu' }));
    expect(error).toMatchObject({ code: 'unknown_device', expected: "'wasm' or 'webgpu'" });
  });

  it('that has no code for this adapter leaves new arrays to the one that is loaded instead', async (context) => {
    await shutdown();
    vi.stubEnv('KILN_DEVICE', undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
    const halves = await bakeModel(['webgpu-f16']);
    const plain = await bakeModel(['wasm']);
    await shutdown();
    const failure = await load(halves, { device: 'webgpu' }).then(
      () => undefined,
      (error: KilnError) => error.code,
    );
    if (failure === undefined) context.skip('this adapter has shader-f16');
    expect(failure).toBe('missing_tier');
    using model = await load<ModelFunctions, ModelWeights>(plain);
    const y = model.functions.forward(model.weights.params, input(2));
    expect(y).toMatchObject({ device: 'wasm', shape: [2, 4] });
    expect((await load(bytes)).device).toBe('wasm');
  });
});
