/** Tensors and functions on devices: where things run, and moving between devices. */
import { describe, expect, it } from 'vitest';
import { compile, grad, type KilnError, type Tensor, tensor } from '../../index.ts';

function errorOf(body: () => unknown): KilnError {
  try {
    body();
  } catch (error) {
    return error as KilnError;
  }
  throw new Error('nothing was thrown');
}

describe('to(device)', () => {
  it('of the device that it is on: the same elements, with a life of their own', async () => {
    const x = tensor([1, 2, 3]);
    const y = x.to(x.device);
    expect(y).not.toBe(x);
    x.dispose();
    expect(await y.array()).toEqual([1, 2, 3]);
  });

  it('inside a function: the value itself, and no other device', async () => {
    const x = tensor([1, 2]);
    const same = (t: Tensor) => t.to(t.device).mul(2).sum();
    expect(await compile(same)(x).item()).toBe(6);
    expect(await grad(same)(x).array()).toEqual([2, 2]);
    const other = x.device === 'wasm' ? 'webgpu' : 'wasm';
    for (const f of [compile((t: Tensor) => t.to(other)), grad((t: Tensor) => t.to(other).sum())]) {
      const error = errorOf(() => f(x));
      expect(error.code).toBe('device_mismatch');
      expect(error.location?.toString()).toMatch(/devices\.test\.ts/);
    }
  });

  it('refuses names of no device, and tensors without elements', () => {
    const x = tensor([1, 2]);
    expect(errorOf(() => x.to('tpu')).code).toBe('unknown_device');
    x.dispose();
    expect(errorOf(() => x.to('wasm')).code).toBe('use_after_dispose');
  });
});

describe('explain', () => {
  it('names what comes from the host at each call', () => {
    const f = compile((x: Tensor, y: Float32Array | Tensor) => x.add(y as Tensor));
    const x = tensor([1, 2, 3]);
    expect(f.explain(x, x).transfers).toEqual([]);
    const explanation = f.explain(x, Float32Array.of(1, 2, 3));
    expect(explanation.transfers).toEqual([{ type: 'f32[3]', bytes: 12 }]);
    expect(String(explanation)).toMatch(/12 bytes from the host at each call: f32\[3\]/);
  });

  it('is about the device of the arguments', () => {
    const x = tensor([1, 2, 3]);
    expect(compile((t: Tensor) => t.exp()).explain(x).tier).toMatch(new RegExp(`^${x.device}`));
  });
});
