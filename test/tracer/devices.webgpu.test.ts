/** Two devices in one process: moves between them, and functions that run where their arguments are. */
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  checkpoint,
  compile,
  grad,
  init,
  type KilnError,
  ones,
  type Tensor,
  tensor,
  valueAndGrad,
  vjp,
  zeros,
} from '../../index.ts';

beforeAll(async () => {
  if (!inject('noAdapter')) await init({ device: 'webgpu' });
});
beforeEach(async () => {
  await init({ device: 'webgpu' });
});

async function errorOf(body: () => unknown): Promise<KilnError> {
  try {
    await body();
  } catch (error) {
    return error as KilnError;
  }
  throw new Error('nothing was thrown');
}

const both = ['wasm', 'webgpu'] as const;

describe('to(device)', () => {
  it('there and back, also of what is not computed yet', async () => {
    const x = tensor([1, 2, 3], { device: 'wasm' });
    const there = x.to('webgpu');
    expect(there.device).toBe('webgpu');
    const back = there.mul(2).to('wasm');
    x.dispose();
    there.dispose();
    expect(back.device).toBe('wasm');
    const again = back.add(1).to('webgpu').mul(10);
    expect(await back.array()).toEqual([2, 4, 6]);
    expect(await again.array()).toEqual([30, 50, 70]);
  });

  it('of every dtype', async () => {
    for (const dtype of [
      'float16',
      'bfloat16',
      'int32',
      'uint32',
      'int16',
      'uint16',
      'int8',
      'uint8',
      'bool',
    ] as const) {
      const data = dtype === 'bool' ? [true, false, true] : [1, 2, 3];
      const x = tensor(data, { dtype, device: 'wasm' });
      expect(await x.to('webgpu').to('wasm').array(), dtype).toEqual(await x.array());
    }
  });

  it('failures travel along', async () => {
    const broken = compile((x: Tensor) => x.reshape([3, 100_000, 1]).broadcastTo([3, 100_000, 100_000]).mul(2));
    const y = broken(zeros([3, 100_000]))
      .to('wasm')
      .add(1);
    expect((await errorOf(() => y.data())).code).toMatch(/out_of_memory|launch_failed|invalid_size/);
  });
});

describe('operands on two devices', () => {
  it('are an error at the line, eager and compiled', async () => {
    const [x, y] = both.map((device) => tensor([1, 2], { device }));
    for (const f of [(a: Tensor, b: Tensor) => a.add(b), compile((a: Tensor, b: Tensor) => a.add(b))]) {
      const error = await errorOf(() => f(x, y));
      expect(error.code).toBe('device_mismatch');
      expect(error.hint).toMatch(/to\(device\)/);
      expect(error.location?.toString()).toMatch(/devices\.webgpu\.test\.ts/);
    }
  });
});

describe.each(both)('functions of tensors on %s run there, whatever the session says', (device) => {
  const other = device === 'wasm' ? 'webgpu' : 'wasm';
  const loss = (x: Tensor, w: Tensor): Tensor => x.matmul(w).add(1).tanh().square().mean();
  const make = () =>
    [
      tensor([[1, 2], [3, 4]], { device }), // biome-ignore format: a matrix
      tensor([[0.5, -0.25], [0.125, 1]], { device }), // biome-ignore format: a matrix
    ] as const;

  beforeEach(async () => {
    await init({ device: other });
  });

  it('eager, compiled, with numbers and typed arrays beside them', async () => {
    const [x, w] = make();
    for (const f of [loss, compile(loss)]) {
      const y = f(x, w);
      expect(y.device).toBe(device);
      expect(await y.item()).toBeCloseTo(0.96482, 4);
    }
    const mixed = compile((t: Tensor, data: Float32Array) => t.add(data as unknown as Tensor));
    const z = mixed(x, Float32Array.of(10, 20));
    expect([z.device, await z.array()]).toEqual([device, [[11, 22], [13, 24]]]); // biome-ignore format: a matrix
  });

  it('gradients, which are made of constants too', async () => {
    const [x, w] = make();
    const expected = await (await grad(loss)(x, w)).array();
    for (const f of [
      valueAndGrad(loss),
      compile((...args: readonly [Tensor, Tensor]) => valueAndGrad(loss)(...args)),
    ]) {
      const [value, gradient] = f(x, w);
      expect([value.device, gradient.device]).toEqual([device, device]);
      const found = (await gradient.array()) as number[][];
      for (const [i, number] of found.flat().entries()) {
        expect(number).toBeCloseTo((expected as number[][]).flat()[i], 5);
      }
    }
    const [, pullback] = vjp((t: Tensor) => checkpoint((u: Tensor) => u.sin())(t).mul(2))(x);
    const [seeded] = pullback(zeros([2, 2], { device }).add(1));
    expect(seeded.device).toBe(device);
    expect(((await seeded.array()) as number[][])[0][0]).toBeCloseTo(2 * Math.cos(1), 4);
  });

  it('explain, lower and warmup are about that device', async () => {
    const [x, w] = make();
    const compiled = compile(loss);
    await compiled.warmup(x, w);
    expect(compiled.explain(x, w).tier).toMatch(new RegExp(`^${device}`));
    expect(compiled.lower(x, w).code.text).toMatch(device === 'wasm' ? /^;; kernel/ : /^\/\/ kernel/);
    expect(compile(loss, { device: other }).explain(make()[0].to(other), w.to(other)).tier).toMatch(
      new RegExp(`^${other}`),
    );
  });
});

it('reads that block are refused, with what to do', async () => {
  const error = await errorOf(() => tensor([1]).add(1).dataSync());
  expect([error.code, error.hint]).toEqual(['blocking_read', expect.stringMatching(/await/)]);
});

it('64-bit integers are int32 where they fit, and 64-bit floats are refused with what to do', async () => {
  const rows = tensor([[1], [2], [3]]);
  expect(await rows.take(tensor(BigInt64Array.of(2n, 0n)), 0).array()).toEqual([[3], [1]]);
  expect((await errorOf(() => tensor([2n ** 31n]))).code).toBe('dtype_mismatch');
  const error = await errorOf(() => tensor(new Float64Array(2)));
  expect([error.code, error.hint]).toEqual(['unsupported_dtype', "pass { dtype: 'float32' }"]);
});

it('arrays beyond what kernels can count are the fault of the sizes, eager and compiled', async () => {
  const table = compile((x: Tensor) => x.reshape([60_000, 1]).add(x.reshape([1, 60_000])));
  const sum = table(ones([60_000])).sum();
  const given = expect.stringContaining('3600000000');
  await expect(sum.data()).rejects.toMatchObject({ code: 'invalid_size', given });
  expect(await ones([60_000]).sum().item()).toBe(60_000);
});
