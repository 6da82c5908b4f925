import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { evaluateModule } from '../../../ir/evaluate.ts';
import { Random } from '../../../ir/ops/random.ts';
import { printModule } from '../../../ir/printer.ts';
import { type Graph, type Literal, type Module, mainOf } from '../../../ir/types.ts';
import { verifyModule } from '../../../ir/verifier.ts';
import type { Feature } from '../../../passes/features.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { runPasses } from '../../../passes/manager.ts';
import { eliminateDeadCode, inlineCalls } from '../../../passes/optimize/index.ts';
import { leastBytes, plannedBytes, withinBudget } from '../../../passes/remat/within-budget.ts';
import { bitDifference } from '../../support/device-run.ts';
import { gptLoss, mlpLoss, optimized, sgdStep } from '../../support/models.ts';
import { randomNetwork } from '../../support/random-network.ts';
import { runLowered } from '../../support/run-lowered.ts';

const lower = (module: Module, without: readonly Feature[] = []) => {
  const donated = mainOf(module).graph.parameters.map(() => false);
  return lowerModule(module, { name: 'step', donated, precision: 'strict', without: new Set(without) });
};

/** Makes a module fit into a share of what its temporaries take: a search, which tests of one share have in common. */
function squeeze(module: Module, share: number): ReturnType<typeof search> {
  const shares = searches.get(module) ?? new Map<number, ReturnType<typeof search>>();
  searches.set(module, shares);
  const known = shares.get(share) ?? search(module, share);
  shares.set(share, known);
  return known;
}

const searches = new WeakMap<Module, Map<number, ReturnType<typeof search>>>();

function search(module: Module, share: number) {
  const plain = lower(module);
  const least = leastBytes(plain);
  const budget = Math.floor(least + share * (plannedBytes(plain) - least));
  const found = withinBudget({ module, budget, lower });
  return { plain, budget, found };
}

const inputsOf = (module: Module, seed: number): Literal[] => {
  const random = new Random(seed);
  return mainOf(module).graph.parameters.map(({ type }) => {
    if (type.dtype !== 'int32') return random.literal(type.dtype, type.shape.map(Number));
    const data = Array.from({ length: type.shape.reduce<number>((n, size) => n * Number(size), 1) }, (_, i) => i % 7);
    return { dtype: 'int32', shape: type.shape.map(Number), data };
  });
};

/** The optimised module of a graph, with the blocks that it repeats written out. */
const flat = (graph: Graph): Module =>
  runPasses(optimized(graph, 'strict'), [inlineCalls, eliminateDeadCode], {
    precision: 'strict',
    verify: true,
    constantBudget: 0,
  });

const mlp = flat(sgdStep(mlpLoss(32, [8, ...new Array<number>(6).fill(12), 5])));
const tiny = { layers: 1, width: 8, heads: 2, vocabulary: 8, time: 8, batch: 4 };
const gpt = flat(sgdStep(gptLoss(tiny)));

describe('within a budget', () => {
  test.each([0.9, 0.75])('of %f of the temporaries, a training step gives the same bits', (share) => {
    for (const module of [mlp, gpt]) {
      const { budget, found } = squeeze(module, share);
      expect(found.bytes).toBeLessThanOrEqual(budget);
      expect(plannedBytes(found.lowered)).toBe(found.bytes);
      verifyModule(found.module);
      const inputs = inputsOf(module, 3);
      const expected = evaluateModule(module, inputs, { mode: 'rounded' });
      expect(bitDifference(evaluateModule(found.module, inputs, { mode: 'rounded' }), expected)).toBeUndefined();
    }
  });

  test('kernels give the same bits too', () => {
    const { plain, found } = squeeze(gpt, 0.5);
    expect(found.recomputed.length).toBeGreaterThan(5);
    expect(found.flops).toBeGreaterThan(0);
    const inputs = inputsOf(gpt, 4);
    expect(bitDifference(runLowered(found.lowered, inputs), runLowered(plain, inputs))).toBeUndefined();
  });

  test('a budget that is enough leaves the very program', () => {
    const { plain, found } = squeeze(gpt, 1);
    expect(found.module).toBe(gpt);
    expect(found.recomputed).toEqual([]);
    expect(found.flops).toBe(0);
    expect(JSON.stringify(found.lowered.launches)).toBe(JSON.stringify(plain.launches));
  });

  test('the same module and budget give the same program', () => {
    expect(printModule(search(gpt, 0.5).found.module)).toBe(printModule(squeeze(gpt, 0.5).found.module));
  });

  test('less memory costs more work', () => {
    const [much, little] = [0.9, 0.5].map((share) => squeeze(gpt, share).found.flops);
    expect(little).toBeGreaterThan(much);
  });

  test('what can not be met gives the smallest program found', () => {
    const { plain, found } = squeeze(mlp, 0);
    expect(found.bytes).toBeGreaterThan(leastBytes(plain));
    expect(found.bytes).toBeLessThan(plannedBytes(plain));
  });

  test('random networks and their gradients keep their bits under any budget', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const module = flat(randomNetwork(seed, { gradient: true }));
      const { found } = squeeze(module, [0.9, 0.6, 0.3, 0][seed % 4]);
      verifyModule(found.module);
      const inputs = inputsOf(module, seed);
      const expected = runLowered(lower(module), inputs);
      expect(`${seed}: ${bitDifference(runLowered(found.lowered, inputs), expected)}`).toBe(`${seed}: undefined`);
    }
  });

  test('symbolic sizes count at their upper bounds', () => {
    const batch = dim('B', { min: 1, max: 128 });
    const module = flat(sgdStep(mlpLoss(batch, [32, 48, 48, 48, 10])));
    const fixed = flat(sgdStep(mlpLoss(128, [32, 48, 48, 48, 10])));
    expect(leastBytes(lower(module))).toBe(leastBytes(lower(fixed)));
    const { budget, found } = squeeze(module, 0.8);
    expect(found.bytes).toBeLessThanOrEqual(budget);
  });
});
