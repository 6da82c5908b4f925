/** Memory plans of the bench graphs: how close the arena comes to its lower bound, and the order to the best. */
import { describe, expect, test } from 'vitest';
import { arenaLowerBound } from '../../base/arena.ts';
import { gpt, type Model, modelSizes, modelsOf, stepModel } from '../../bench/models/index.ts';
import { traceModel } from '../../bench/models/trace.ts';
import type { Lowered } from '../../ir/lowered.ts';
import { mainOf } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { leastPeak } from '../support/best-order.ts';
import { launchGraphOf } from '../support/launch-graph.ts';

function lowered(model: Model, donate: boolean): Lowered {
  const module = traceModel(model);
  const context = { precision: 'fast', verify: false, constantBudget: 65_536 } as const;
  const donated = mainOf(module).graph.parameters.map(() => donate);
  return lowerModule(runPasses(module, optimizePipeline, context), {
    name: model.name,
    donated,
    precision: 'fast',
  });
}

const intervals = ({ temporaries }: Lowered): { bytes: number; first: number; last: number }[] =>
  temporaries.map(({ bytes, first, last }) => {
    if (typeof bytes !== 'number') throw new Error('a bench graph has a symbolic size');
    return { bytes, first, last };
  });

describe('the arena is within 5 % of the most that is alive at once', () => {
  test.each(modelsOf('bench').map((model) => [model.name, model] as const))('%s', (_, model) => {
    const plan = lowered(model, true);
    expect(plan.arenaBytes).toBeLessThanOrEqual(1.05 * arenaLowerBound(intervals(plan)));
  });
});

describe('a GPT step', () => {
  const small = { ...modelSizes.bench.gpt, batch: 1, layers: 1 };
  test.each([
    { ...small, time: 32 },
    { ...small, time: 64 },
    { ...small, time: 128, width: 64 },
  ])('of one layer, $time tokens: at most 1.1 times the best plan an exhaustive search finds', (options) => {
    const plan = lowered(stepModel(gpt(options), 'adam'), true);
    expect(plan.arenaBytes).toBeLessThanOrEqual(1.1 * leastPeak(launchGraphOf(plan)));
  });
});
