/** Symbolic sizes: one compile of a whole training step serves every batch size within the bounds. */
import { describe, expect, it } from 'vitest';
import {
  addDims,
  compile,
  dim,
  floorDivDims,
  mulDims,
  spec,
  specOf,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
} from '../../index.ts';
import { codeOf } from '../support/errors.ts';

interface Params {
  w1: Tensor;
  b1: Tensor;
  w2: Tensor;
  b2: Tensor;
}

const wave = (count: number, phase: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + phase) / 2);
const params = (): Params => ({
  w1: tensor(wave(12 * 16, 0), { shape: [12, 16] }),
  b1: tensor(wave(16, 1)),
  w2: tensor(wave(16 * 3, 2), { shape: [16, 3] }),
  b2: tensor(wave(3, 3)),
});
const batch = (n: number) =>
  [tensor(wave(n * 12, n), { shape: [n, 12] }), tensor(wave(n * 3, 2 * n), { shape: [n, 3] })] as const;

const loss = (p: Params, x: Tensor, y: Tensor) =>
  x.matmul(p.w1).add(p.b1).tanh().matmul(p.w2).add(p.b2).sub(y).square().mean();

const update = (p: Params, x: Tensor, y: Tensor) => {
  const [value, g] = valueAndGrad(loss)(p, x, y);
  return { value, p: tree.map((t, d) => t.sub(d.mul(0.1)), p, g) };
};

const B = dim('B', { min: 1, max: 256 });

/** Losses and parameters close to those of a function compiled for each size. */
async function expectSame(step: typeof update, sizes: readonly number[]): Promise<void> {
  const fixed = compile(update, { name: 'fixed' });
  for (const n of sizes) {
    const [x, y] = batch(n);
    const [a, b] = [step(params(), x, y), fixed(params(), x, y)];
    expect(await a.value.item()).toBeCloseTo(await b.value.item(), 5);
    const [left, right] = [a.p, b.p].map((leaves) => tree.leaves(leaves) as Tensor[]);
    for (const [i, leaf] of left.entries()) {
      expect(leaf.shape).toEqual(right[i].shape);
      const [p, q] = [await leaf.data(), await right[i].data()];
      for (let at = 0; at < p.length; at++) expect(p[at]).toBeCloseTo(Number(q[at]), 5);
    }
  }
}

describe('an MLP training step with dim B', () => {
  it('compiles once by warmup and runs right at 1, 7 and 64', async () => {
    const step = compile(update, { name: 'step_warm' });
    for (let i = 0; i < 2; i++) await step.warmup(specOf(params()), spec([B, 12]), spec([B, 3]));
    expect(step.stats()).toMatchObject({ calls: 0, compiles: 1, recompiles: [] });
    await expectSame(step, [1, 7, 64]);
    expect(step.stats()).toMatchObject({ calls: 3, compiles: 1, recompiles: [] });
    expect(String(step.lower(specOf(params()), spec([B, 12]), spec([B, 3])).program)).toMatch(
      /size B in \[1, 256\][\s\S]*input 4: float32\[B,12\]/,
    );
  });

  it('compiles once by the option dynamic', async () => {
    const step = compile(update, { name: 'step_dynamic', dynamic: [undefined, spec([B, 12]), [B, 3]] });
    await expectSame(step, [1, 7, 64, 7]);
    expect(step.stats()).toMatchObject({ calls: 4, compiles: 1, recompiles: [] });
  });

  it('compiles for itself what is out of bounds or does not fit', async () => {
    const step = compile(update, { name: 'step_bounds', dynamic: [undefined, spec([B, 12]), spec([B, 3])] });
    await expectSame(step, [2, 300]);
    expect(step.stats().compiles).toBe(2);
    const [x] = batch(2);
    expect(codeOf(() => step(params(), x, batch(3)[1]))).toBe('shape_mismatch');
  });
});

describe('sizes inside a trace', () => {
  it('print, and trap when they are used as numbers', async () => {
    const seen: string[] = [];
    const f = compile(
      (x: Tensor) => {
        seen.push(String(x.shape), `${x.shape[0]}`);
        return x.reshape([mulDims(x.shape[0], 2), floorDivDims(x.shape[1], 2)] as number[]);
      },
      { dynamic: [spec([B, 4])] },
    );
    expect(await f(tensor([[1, 2, 3, 4]])).array()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(
      f(
        tensor([
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ]),
      ).shape,
    ).toEqual([4, 2]);
    expect(seen).toEqual(['B,4', 'B']);
    const wrong = compile((x: Tensor) => x.mul(x.shape[0] + 1), { dynamic: [spec([B])] });
    expect(codeOf(() => wrong(tensor([1])))).toBe('unknown_size');
  });

  it('may be expressions', async () => {
    const f = compile((x: Tensor, y: Tensor) => x.sum().add(y.sum()), {
      dynamic: [spec([B]), spec([addDims(mulDims(B, 2), 1)])],
    });
    for (const n of [1, 5]) {
      const sum = f(tensor(new Float32Array(n).fill(1)), tensor(new Float32Array(2 * n + 1).fill(1)));
      expect(await sum.item()).toBe(3 * n + 1);
    }
    expect(f.stats().compiles).toBe(1);
    expect(await f(tensor([1]), tensor([1, 1])).item()).toBe(3);
    expect(f.stats().compiles).toBe(2);
  });

  it('go through nested compiled functions', async () => {
    const inner = compile((x: Tensor) => x.mul(2));
    const f = compile((x: Tensor) => inner(inner(x)).sum(), { dynamic: [spec([B])] });
    for (const n of [3, 5]) expect(await f(tensor(new Float32Array(n).fill(1))).item()).toBe(4 * n);
    expect(f.stats().compiles).toBe(1);
  });

  it('refuses specs that are not like the argument', () => {
    const f = compile((p: { w: Tensor }) => p.w.sum(), { dynamic: [spec([B])] });
    expect(codeOf(() => f({ w: tensor([1]) }))).toBe('tree_mismatch');
    const g = compile((x: Tensor) => x.sum(), { dynamic: [spec([B, 2])] });
    expect(codeOf(() => g(tensor([1])))).toBe('tree_mismatch');
  });
});
