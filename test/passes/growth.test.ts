/**
 * How the compiler's work grows with the graph, counted rather than timed: passes run, rewrites made, launches,
 * refusals and temporaries of graphs of twice and four times the length. Times are in `bench/compile-time`.
 */
import { describe, expect, test } from 'vitest';
import { graphFamilies } from '../../bench/compile-time/graphs.ts';
import type { Model } from '../../bench/models/index.ts';
import { traceModel } from '../../bench/models/trace.ts';
import { mainOf } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';

interface Work {
  readonly ops: number;
  readonly passes: number;
  readonly rewrites: number;
  readonly launches: number;
  readonly kernels: number;
  readonly refusals: number;
  readonly temporaries: number;
}

function workOf(model: Model): Work {
  const module = traceModel(model);
  let [passes, rewrites] = [0, 0];
  const optimized = runPasses(module, optimizePipeline, {
    precision: 'fast',
    verify: false,
    constantBudget: 1 << 16,
    trace: () => passes++,
    watch: () => rewrites++,
  });
  const donated = mainOf(module).graph.parameters.map(() => true);
  const { launches, kernels, report, temporaries } = lowerModule(optimized, {
    name: model.name,
    donated,
    precision: 'fast',
  });
  return {
    ops: module.functions.reduce((sum, { graph }) => sum + graph.ops.length, 0),
    passes,
    rewrites,
    launches: launches.length,
    kernels: kernels.length,
    refusals: report.refusals.length,
    temporaries: temporaries.length,
  };
}

describe.each([
  ['equal', 8],
  ['different', 12],
  ['chain', 200],
] as const)('%s', (name, size) => {
  const work = [1, 2, 4].map((times) => workOf(graphFamilies[name].make(size * times)));

  test('no more passes for a longer graph', () => {
    expect(work[2].passes).toBeLessThanOrEqual(work[0].passes + 1);
  });

  test.each(['rewrites', 'launches', 'kernels', 'refusals', 'temporaries'] as const)('%s in proportion', (what) => {
    const [first, second, third] = work.map((counts) => counts[what]);
    // The longer graphs may have blocks that are compiled once, and so less of it than the shortest.
    const expected = Math.max(0, second - first);
    expect(third - second).toBeLessThanOrEqual(2 * expected * 1.1 + 4);
  });

  test('ops in proportion: the graphs are what they say', () => {
    expect(work[2].ops / work[0].ops).toBeGreaterThan(3);
  });
});

test('equal layers do not add kernels', () => {
  const kernels = (layers: number): number => workOf(graphFamilies.equal.make(layers)).kernels;
  expect(kernels(12) - kernels(6)).toBeLessThanOrEqual(3);
});
