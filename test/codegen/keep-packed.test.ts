/** Right factors that are packed once: what is kept and shared, and that no bit changes. */
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { compile, dim, init, memory, relu, resetPeakMemory, shutdown, spec, type Tensor, tensor } from '../../index.ts';

const counted = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 101 - 0.5),
    { shape },
  );
};

const strict = { precision: 'strict' } as const;

beforeEach(async () => {
  await shutdown();
  await init();
});

afterAll(async () => {
  await shutdown();
});

describe('a captured weight', () => {
  it.each([
    [2, 512, 64],
    [7, 300, 61],
    [33, 97, 130],
    [128, 256, 100],
  ])('is packed once for %i rows of %i by %i, with the same bits', async (rows, depth, columns) => {
    const [x, bias] = [counted(rows, depth), counted(columns)];
    for (const w of [counted(depth, columns), counted(columns, depth).mT]) {
      const layer = (a: Tensor, b: Tensor): Tensor => relu(a.matmul(b).add(bias));
      const kept = compile((a: Tensor) => layer(a, w), strict);
      const { preparation, kernels } = kept.explain(x);
      expect(preparation.map(({ kernel }) => kernel)).toEqual([expect.stringMatching(/\.pack$/)]);
      expect(kernels).toBe(1);
      const expected = await compile(layer, strict)(x, w).data();
      expect(await kept(x).data()).toEqual(expected);
      expect(await kept(x).data()).toEqual(expected);
    }
  });

  it('that has one row is turned where it lies along the sum', async () => {
    const [x, w] = [counted(1, 256), counted(100, 256)];
    const kept = compile((a: Tensor) => a.matmul(w.mT), strict);
    expect(kept.explain(x).preparation.map(({ kernel }) => kernel)).toEqual(['transpose']);
    expect(await kept(x).data()).toEqual(await compile((a: Tensor, b: Tensor) => a.matmul(b.mT), strict)(x, w).data());
  });

  it('is left as it is where many rows repay its packing', () => {
    const w = counted(128, 128);
    const kept = compile((a: Tensor) => a.matmul(w), strict);
    expect(kept.explain(spec([2000, 128])).preparation).toEqual([]);
  });

  it('serves every symbolic number of rows, and is counted to the byte', async () => {
    const w = counted(300, 130);
    const rows = dim('B', { min: 1, max: 128 });
    const layer = (a: Tensor, b: Tensor): Tensor => a.matmul(b).tanh();
    const kept = compile((a: Tensor) => layer(a, w), { ...strict, dynamic: [spec([rows, 300])] });
    const plain = compile(layer, strict);
    for (const count of [5, 1, 64]) {
      const x = counted(count, 300);
      const { peakBytes } = kept.explain(x);
      resetPeakMemory();
      const before = memory().peakBytes - memory().bytes;
      const y = kept(x);
      await y.ready();
      if (count === 5) expect(memory().peakBytes - before).toBe(peakBytes);
      expect(await y.data()).toEqual(await plain(x, w).data());
      x.dispose();
      y.dispose();
    }
  });

  it('that is used twice is packed once', async () => {
    const w = counted(256, 256);
    const twice = (a: Tensor, b: Tensor): Tensor => a.matmul(b).matmul(b);
    const kept = compile((a: Tensor) => twice(a, w), strict);
    const x = counted(16, 256);
    expect(kept.explain(x)).toMatchObject({ kernels: 2, preparation: [{}] });
    expect(await kept(x).data()).toEqual(await compile(twice, strict)(x, w).data());
  });
});
