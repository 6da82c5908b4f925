/** Training loops of 10,000 steps: memory stays bounded, and constant where tensors are given up. */
import { afterAll, describe, expect, it } from 'vitest';
import { compile, init, memory, shutdown, type Tensor, tensor, tidy, tree, valueAndGrad } from '../../index.ts';

interface Params {
  w: Tensor;
  b: Tensor;
}

const steps = 10_000;
const size = 64;
const loss = (p: Params, x: Tensor, y: Tensor) => x.matmul(p.w).add(p.b).sub(y).square().mean();
const update = (params: Params, x: Tensor, y: Tensor) => {
  const [value, g] = valueAndGrad(loss)(params, x, y);
  return { value, params: tree.map((t, d) => t.sub(d.mul(0.01)), params, g) };
};
const start = (): Params => ({
  w: tensor(new Float32Array(size * size), { shape: [size, size] }),
  b: tensor(new Float32Array(size)),
});
const data = (): readonly [Tensor, Tensor] => [
  tensor(new Float32Array(4 * size).fill(0.5), { shape: [4, size] }),
  tensor(new Float32Array(4 * size).fill(1), { shape: [4, size] }),
];
/** Bytes of parameters and loss that one step makes. */
const bytesPerStep = 4 * (size * size + size + 1);

afterAll(async () => {
  await shutdown();
});

describe('10,000 training steps', () => {
  it('that await the loss now and then and never dispose keep memory bounded', async () => {
    const step = compile(update, { name: 'memory_plain' });
    const [x, y] = data();
    let p = start();
    let highest = 0;
    let last = Number.POSITIVE_INFINITY;
    for (let i = 0; i < steps; i++) {
      const { value, params } = step(p, x, y);
      p = params;
      if (i % 50 === 0) {
        last = await value.item();
        highest = Math.max(highest, memory().bytes);
      }
    }
    expect(last).toBeLessThan(0.01);
    // everything that was ever made would be 166 MB
    expect(highest).toBeLessThan(96 * 2 ** 20);
    expect(step.stats()).toMatchObject({ calls: steps, compiles: 1 });
  });

  it('with donate are constant', async () => {
    const step = compile(update, { name: 'memory_donate', donate: ['params'] });
    const [x, y] = data();
    let p = start();
    const seen = new Set<number>();
    for (let i = 0; i < steps; i++) {
      const { value, params } = step(p, x, y);
      p = params;
      if (i % 50 === 0) await value.item();
      value.dispose();
      if (i > 0) seen.add(memory().bytes);
    }
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    expect(high - low).toBeLessThan(2 * bytesPerStep);
  });

  it('with tidy are constant, eager as well', () => {
    const step = compile(update, { name: 'memory_tidy' });
    const [x, y] = data();
    for (const [run, count] of [
      [step, steps],
      [update, 200],
    ] as const) {
      let p = start();
      const seen = new Set<number>();
      for (let i = 0; i < count; i++) {
        const next = tidy(() => run(p, x, y).params);
        tree.leaves(p).forEach((t) => void (i > 0 && t.dispose()));
        p = next;
        if (i > 1) seen.add(memory().tensors);
      }
      expect(seen.size).toBe(1);
    }
  });

  it('are back at the baseline after shutdown, and a new session starts by itself', async () => {
    const kept = tensor([1, 2]);
    await shutdown();
    expect(memory()).toMatchObject({ tensors: 0, bytes: 0 });
    expect(() => kept.dataSync()).toThrow(/shut_down/);
    expect(String(kept)).toBe('<disposed float32[2]>');
    await init();
    expect(tensor([1, 2]).add(1).arraySync()).toEqual([2, 3]);
    expect(memory().tensors).toBeGreaterThan(0);
  });
});
