/** `memoryBudget`: a compiled function takes no more than it was allowed, and gives the same bits. */
import { afterAll, describe, expect, it } from 'vitest';
import { gpt, type Model, mlp, stepModel } from '../../bench/models/index.ts';
import {
  compile,
  type Explanation,
  init,
  memory,
  resetPeakMemory,
  shutdown,
  type Tensor,
  tensor,
  tree,
} from '../../index.ts';
import { errorOf } from '../support/errors.ts';
import { expectSameElements } from '../support/same-elements.ts';

await shutdown();
await init({ precision: 'strict' });
afterAll(async () => {
  await shutdown();
});

const models: readonly Model[] = [
  stepModel(mlp({ batch: 256, sizes: [32, 64, 64, 64, 64, 64, 10] }), 'sgd'),
  stepModel(gpt({ layers: 1, width: 32, heads: 2, vocabulary: 64, time: 32, batch: 8 }), 'sgd'),
];

/** What is left when a third of the temporaries has to go; no recomputation does without packing and scratch. */
const withFewerTemporaries = ({ peakBytes, memory }: Explanation): number => peakBytes - Math.floor(memory.arena / 3);

describe('memoryBudget', () => {
  it('gives the same bits with two thirds of the temporaries', async () => {
    const [model] = models;
    const plain = compile(model.fn);
    const args = model.make(1);
    const memoryBudget = withFewerTemporaries(plain.explain(...args));
    const tight = compile(model.fn, { memoryBudget });
    const explanation = tight.explain(...args);
    expect(explanation.peakBytes).toBeLessThanOrEqual(memoryBudget);
    expect(explanation.recomputation?.bytesSaved).toBeGreaterThan(0);
    expect(String(explanation)).toContain('computed again for memoryBudget');
    await expectSameElements(tight(...args), plain(...args));
  });

  it('is what the device holds at most: a GPT step with two thirds of the temporaries, with the same bits', async () => {
    const model = models[1];
    const plain = compile(model.fn);
    const memoryBudget = withFewerTemporaries(plain.explain(...model.specs()));
    const tight = compile(model.fn, { memoryBudget });
    const { peakBytes } = tight.explain(...model.specs());
    await shutdown();
    await init({ precision: 'strict' });
    const args = model.make(1);
    resetPeakMemory();
    const results = tree.leaves(tight(...args) as Tensor[]) as Tensor[];
    await Promise.all(results.map((result) => result.ready()));
    expect(memory().peakBytes).toBe(peakBytes);
    expect(peakBytes).toBeLessThanOrEqual(memoryBudget);
    await expectSameElements(results, tree.leaves(plain(...args) as Tensor[]));
  });

  it('changes nothing where it is enough', () => {
    const [model] = models;
    const plain = compile(model.fn);
    const { peakBytes } = plain.explain(...model.specs());
    const enough = compile(model.fn, { memoryBudget: peakBytes });
    expect(enough.explain(...model.specs()).recomputation).toBeUndefined();
    for (const stage of ['optimized', 'kernels', 'code', 'program'] as const) {
      expect(String(enough.lower(...model.specs())[stage])).toBe(String(plain.lower(...model.specs())[stage]));
    }
    const less = compile(model.fn, { memoryBudget: peakBytes - 1 });
    expect(less.explain(...model.specs()).peakBytes).toBeLessThan(peakBytes);
  });

  it('fails with numbers where it can not be met', async () => {
    const double = compile((x: Tensor) => x.mul(2), { memoryBudget: 100 });
    const x = tensor(new Float32Array(64));
    const error = errorOf(() => double.explain(x));
    expect(error.code).toBe('memory_budget');
    expect(error.given).toContain('100 bytes; without a budget it takes');
    expect(error.expected).toContain('more than 512 bytes');
    const result = double(x);
    await expect(result.data()).rejects.toMatchObject({ code: 'memory_budget' });
    await expect(double.warmup(x)).rejects.toMatchObject({ code: 'memory_budget' });
    const [model] = models;
    const tight = compile(model.fn, { memoryBudget: 350_000 });
    const reached = errorOf(() => tight.explain(...model.specs()));
    expect(reached.given).toContain('computing values again brought it down to');
    const least = Number(/such as ([\d,]+)/.exec(reached.expected ?? '')?.[1].replaceAll(',', ''));
    const possible = compile(model.fn, { memoryBudget: least }).explain(...model.specs());
    expect(possible.peakBytes).toBeLessThanOrEqual(least);
  });

  it('is checked', () => {
    for (const memoryBudget of [0, -1, 0.5, Number.NaN, Infinity, '1 MB' as never]) {
      const error = errorOf(() => compile((x: Tensor) => x, { memoryBudget }));
      expect([error.code, error.expected]).toEqual(['invalid_argument', 'a whole number of bytes above 0']);
    }
  });
});
