/** Orders of launches: allowed by dependence, never worse than the program's, and close to the best there is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import {
  LaunchGraph,
  type OrderedLaunch,
  type OrderRequest,
  orderLaunches,
  peakOfOrder,
} from '../../../passes/plan/order-launches.ts';
import { leastPeak } from '../../support/best-order.ts';
import { launchGraphOf } from '../../support/launch-graph.ts';
import { adamStep, gptLoss, mlpLoss, optimized, sgdStep } from '../../support/models.ts';

/** Launch `i` writes value `i` of some size, and reads values before it; the first reads are in-place pairs. */
function randomRequest(
  launches: readonly { readonly kibibytes: number; readonly reads: readonly number[]; readonly inPlace: boolean }[],
): OrderRequest {
  const values = launches.map((): Value => ({ type: { dtype: 'float32', shape: [] } }));
  const bytes = new Map(values.map((value, at) => [value, 1024 * launches[at].kibibytes]));
  const made = launches.map(({ reads, inPlace }, at): OrderedLaunch => {
    const from = at === 0 ? [] : [...new Set(reads.map((read) => read % at))];
    const pairs = inPlace && from.length > 0 && launches[from[0]].kibibytes === launches[at].kibibytes;
    const buffers = [...from, at].map((value, index) => ({
      name: `v${value}`,
      dtype: 'float32' as const,
      access: index === from.length ? ('write' as const) : ('read' as const),
      size: 1,
      ...(index === from.length && pairs && { inPlaceOf: 0 }),
    }));
    return { reads: from.map((read) => values[read]), writes: [values[at]], kernel: { buffers } };
  });
  return { launches: made, bytesOf: (value) => bytes.get(value) ?? 0, isDonated: () => false };
}

const requests = fc
  .array(
    fc.record({
      kibibytes: fc.integer({ min: 1, max: 4 }),
      reads: fc.array(fc.nat({ max: 12 }), { maxLength: 3 }),
      inPlace: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map(randomRequest);

/** Two sums, each of a large value of its own. */
const twoBranches = [
  { kibibytes: 1, reads: [], inPlace: false },
  { kibibytes: 4, reads: [0], inPlace: false },
  { kibibytes: 4, reads: [0], inPlace: false },
  { kibibytes: 1, reads: [1], inPlace: false },
  { kibibytes: 1, reads: [2], inPlace: false },
];

describe('orders', () => {
  test('every launch comes once, and after what it depends on', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const graph = new LaunchGraph(request);
        const order = orderLaunches(request);
        expect([...order].sort((a, b) => a - b)).toEqual(request.launches.map((_, launch) => launch));
        graph.after.forEach((followers, launch) => {
          for (const follower of followers) expect(order.indexOf(follower)).toBeGreaterThan(order.indexOf(launch));
        });
      }),
      { seed: 1 },
    );
  });

  test('are no worse than the program, nor better than the best', () => {
    let [worse, all] = [0, 0];
    fc.assert(
      fc.property(requests, (request) => {
        const graph = new LaunchGraph(request);
        const ours = peakOfOrder(graph, orderLaunches(request));
        const least = leastPeak(graph);
        expect(ours).toBeLessThanOrEqual(
          peakOfOrder(
            graph,
            request.launches.map((_, launch) => launch),
          ),
        );
        expect(ours).toBeGreaterThanOrEqual(least - 64);
        all++;
        if (ours > 1.1 * least) worse++;
      }),
      { seed: 2, numRuns: 200 },
    );
    expect(worse / all).toBeLessThan(0.15);
  });

  test('two sums of two branches are computed one branch at a time', () => {
    const request = randomRequest(twoBranches);
    expect(orderLaunches(request)).toEqual([0, 1, 3, 2, 4]);
  });

  test('a launch does not run before what it waits for', () => {
    const request = randomRequest(twoBranches);
    const launches = request.launches.map((launch, at) =>
      at === 3 ? { ...launch, after: request.launches[2].writes } : launch,
    );
    const order = orderLaunches({ ...request, launches });
    expect(order.indexOf(3)).toBeGreaterThan(order.indexOf(2));
  });
});

describe('training steps', () => {
  const models = {
    'GPT, 1 layer, Adam': adamStep(gptLoss({ batch: 2, time: 32, width: 64, heads: 4, layers: 1, vocabulary: 100 })),
    'GPT, 1 layer, long sequence': adamStep(
      gptLoss({ batch: 2, time: 128, width: 64, heads: 4, layers: 1, vocabulary: 100 }),
    ),
    'GPT, 1 layer, descent': sgdStep(gptLoss({ batch: 1, time: 24, width: 32, heads: 2, layers: 1, vocabulary: 64 })),
    'MLP, Adam': adamStep(mlpLoss(64, [784, 256, 64, 10])),
  };

  test.each(Object.entries(models))('%s: the plan is at most 1.1 times the best there is', (_, graph) => {
    const lowered = lowerModule(optimized(graph), {
      name: 'step',
      donated: graph.parameters.map(() => true),
      precision: 'fast',
    });
    const least = leastPeak(launchGraphOf(lowered));
    expect(lowered.arenaBytes).toBeLessThanOrEqual(1.1 * least);
  });
});
