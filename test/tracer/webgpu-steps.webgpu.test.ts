/** Training on WebGPU as the device sees it: one submit a step, nothing made twice, and what does not exist there. */
import { beforeEach, describe, expect, it } from 'vitest';
import { compile, init, memory, profile, type Tensor, tensor, tree, valueAndGrad } from '../../index.ts';
import { currentDevice } from '../../runtime/session.ts';
import { WebgpuDevice } from '../../runtime/webgpu/device.ts';
import { rejectionOf } from '../support/errors.ts';

interface Params {
  readonly w1: Tensor;
  readonly w2: Tensor;
}

const wave = (rows: number, columns: number): Tensor =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 12.9898) * 0.3),
    { shape: [rows, columns] },
  );
const start = (): Params => ({ w1: wave(64, 32), w2: wave(32, 10) });
const loss = (p: Params, x: Tensor, y: Tensor): Tensor => x.matmul(p.w1).relu().matmul(p.w2).sub(y).square().mean();
const update = (params: Params, x: Tensor, y: Tensor): { value: Tensor; params: Params } => {
  const [value, gradients] = valueAndGrad(loss)(params, x, y);
  return { value, params: tree.map((t: Tensor, g: Tensor) => t.sub(g.mul(0.5)), params, gradients) as Params };
};

/** The session's device, which must be webgpu. */
function webgpu(): WebgpuDevice {
  const device = currentDevice();
  if (!(device instanceof WebgpuDevice)) throw new Error(`the device is ${device.name}`);
  return device;
}

beforeEach(async () => {
  await init({ device: 'webgpu' });
});

describe('a training step', () => {
  it('gives what WASM gives, in one submit, and makes nothing anew', async () => {
    const losses: number[][] = [];
    for (const device of ['wasm', 'webgpu']) {
      await init({ device });
      const step = compile(update, { name: 'train', donate: ['params'] });
      const [x, y] = [wave(16, 64), wave(16, 10)];
      let params = start();
      const values: Tensor[] = [];
      for (let i = 0; i < 30; i++) {
        const result = step(params, x, y);
        params = result.params;
        values.push(result.value);
      }
      losses.push((await Promise.all(values.map((value) => value.item()))).map(Number));
      for (const value of values) value.dispose();
      if (device === 'wasm') continue;
      const gpu = webgpu();
      await gpu.synchronize();
      const [before, held] = [gpu.counters(), memory().bytes];
      for (let i = 0; i < 50; i++) {
        const { value, params: next } = step(params, x, y);
        params = next;
        value.dispose();
        await gpu.synchronize();
      }
      const { submits, shaderModules, pipelines, buffers, bindGroups } = gpu.counters();
      expect(submits - before.submits).toBe(50);
      expect({ shaderModules, pipelines, buffers }).toMatchObject({
        shaderModules: before.shaderModules,
        pipelines: before.pipelines,
        buffers: before.buffers,
      });
      // The loss may lie in a buffer that it has not been in before.
      expect(bindGroups - before.bindGroups).toBeLessThanOrEqual(2);
      // Less where tensors of files before this one have been collected meanwhile.
      expect(memory().bytes).toBeLessThanOrEqual(held);
    }
    losses[1].forEach((value, i) => {
      expect(Math.abs(value - losses[0][i])).toBeLessThan(1e-5 * Math.abs(losses[0][i]));
    });
    expect(losses[1][29]).toBeLessThan(0.1 * losses[1][0]);
  });

  it('is profiled launch by launch, with lines', async () => {
    const step = compile(update, { name: 'profiled' });
    const [params, x, y] = [start(), wave(16, 64), wave(16, 10)];
    await step.warmup(params, x, y);
    const { launches, text } = await profile(() => step(params, x, y).value.item());
    expect(launches.map(({ program }) => program)).toEqual(launches.map(() => 'profiled'));
    expect(launches.map(({ step: at }) => at)).toEqual(launches.map((_, i) => i));
    expect(launches[0].line).toMatch(/webgpu-steps\.webgpu\.test\.ts:\d+/);
    expect(text).toMatch(/dot_general @.*webgpu-steps/);
  });
});

describe('on WebGPU', () => {
  it('nothing is measured ahead: autotune is refused, with the way around it', async () => {
    const f = compile((x: Tensor) => x.matmul(x), { autotune: true });
    const error = await rejectionOf(() => f(wave(8, 8)));
    expect(error.message).toMatch(/invalid_argument[\s\S]*autotune on 'webgpu'[\s\S]*leave the option out/);
    expect(f(tensor([[2]], { device: 'wasm' })).arraySync()).toEqual([[4]]);
  });
});
