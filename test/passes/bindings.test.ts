/**
 * Targets whose kernels bind few buffers: no program needs more, whatever it computes, and results stay the same bit
 * for bit.
 */
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { equalLiterals } from '../../ir/literal.ts';
import type { Launch, Lowered } from '../../ir/lowered.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal, Module, Value } from '../../ir/types.ts';
import { type FusionTarget, wasmTarget, webgpuTarget } from '../../passes/fuse/target.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { adamStep, f32, gptLoss, i32, mlpLoss, moduleOf, softmax } from '../support/models.ts';
import { randomModule } from '../support/random-graph.ts';
import { randomNetwork } from '../support/random-network.ts';
import { runLowered } from '../support/run-lowered.ts';

function lower(
  module: Module,
  target: FusionTarget,
  donated: readonly boolean[] = [],
  fusion: 'full' | 'none' = 'full',
): Lowered {
  const context = { precision: 'strict', verify: true, constantBudget: 65_536, target } as const;
  return lowerModule(runPasses(module, optimizePipeline, context), {
    name: 'test',
    donated,
    precision: 'strict',
    target,
    fusion,
  });
}

/** Buffers that a launch binds where an in-place pair is one. */
function boundBy({ buffers }: Launch, kernel: Kernel): number {
  const bound = new Set(buffers.map(({ kind, index }) => `${kind} ${index}`));
  const reads = kernel.buffers.filter(({ access }) => access === 'read').length;
  // Two reads of one buffer are two bindings.
  const read = new Set(buffers.slice(0, reads).map(({ kind, index }) => `${kind} ${index}`));
  return bound.size + reads - read.size;
}

const mostBound = ({ launches, kernels }: Lowered): number =>
  Math.max(0, ...launches.map((launch) => boundBy(launch, kernels[launch.kernel])));

/** Many parameters, joined in ways that want to read them all at once. */
function wideModule(seed: number): { readonly module: Module; readonly inputs: readonly Literal[] } {
  const random = new Random(seed);
  const b = new GraphBuilder();
  const inputs: Literal[] = [];
  const shape = [random.integer(1, 4), random.integer(1, 5)];
  const add = (dtype: 'float32' | 'int32', size: readonly number[], data: readonly number[]): Value => {
    inputs.push({ dtype, shape: [...size], data: [...data] });
    return b.parameter({ dtype, shape: [...size] });
  };
  const numbers = (count: number): number[] => Array.from({ length: count }, () => random.integer(-64, 64) / 8);
  const many = Array.from({ length: random.integer(5, 45) }, () => {
    const x = add('float32', shape, numbers(shape[0] * shape[1]));
    const kind = random.integer(0, 3);
    return kind === 0 ? b.op('tanh', [x]) : kind === 1 ? b.op('multiply', [x, x]) : x;
  });
  const results: Value[] = [];
  results.push(b.op('concatenate', many, { axis: random.integer(0, 1) }));
  results.push(b.op('negate', [b.op('concatenate', many.toReversed(), { axis: 0 })]));
  results.push(many.reduce((sum, x) => b.op('add', [sum, x])));
  results.push(many.reduce((best, x) => b.op('select', [b.op('compare', [best, x], { direction: 'LT' }), x, best])));
  for (const x of many.slice(0, random.integer(1, 12))) results.push(b.op('reduce', [x], { kind: 'sum', axes: [0] }));
  const rank = random.integer(4, 7);
  const cube = Array.from({ length: rank }, () => random.integer(1, 3));
  const elements = cube.reduce((product, size) => product * size, 1);
  const starts = cube.map(() => add('int32', [], [random.integer(0, 2)]));
  const x = add('float32', cube, numbers(elements));
  const slice = b.op('dynamic_slice', [x, ...starts], { sizes: cube.map((size) => random.integer(1, size)) });
  results.push(slice, b.op('dynamic_update_slice', [x, b.op('tanh', [slice]), ...starts]));
  return { module: moduleOf(b.build(results)), inputs };
}

const targets = [5, 8, 10, 16].map((storageBuffers) => ({ storageBuffers, target: webgpuTarget({ storageBuffers }) }));

describe.each(targets)('$storageBuffers storage buffers', ({ storageBuffers, target }) => {
  function expectWithin(module: Module, inputs: readonly Literal[], donated: readonly boolean[] = []): void {
    const lowered = lower(module, target, donated);
    expect(mostBound(lowered)).toBeLessThan(storageBuffers);
    const expected = runLowered(lower(module, wasmTarget, [], 'none'), inputs);
    const given = runLowered(lowered, inputs);
    for (const [at, literal] of given.entries())
      expect(equalLiterals(literal, expected[at]), `result ${at}`).toBe(true);
  }

  test('wide operations', () => {
    for (let seed = 0; seed < 12; seed++) {
      const { module, inputs } = wideModule(seed);
      expectWithin(module, inputs, seed % 2 === 0 ? [] : inputs.map(() => true));
    }
  });

  test('random graphs', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { module, inputs } = randomModule(seed, { ops: 30, special: true });
      expectWithin(module, inputs);
    }
  });

  test('random networks with their gradients', () => {
    for (let seed = 0; seed < 10; seed++) {
      const module = moduleOf(randomNetwork(seed, { gradient: true }));
      const lowered = lower(module, target);
      expect(mostBound(lowered)).toBeLessThan(storageBuffers);
    }
  });

  test('attention with gradients, of operands in one tensor or in several', () => {
    const [batch, heads, time, depth] = [2, 2, 5, 4];
    const shape = [batch, heads, time, depth];
    const random = new Random(3);
    const numbers = (): Literal => ({
      dtype: 'float32',
      shape,
      data: Array.from({ length: batch * heads * time * depth }, () => random.integer(-16, 16) / 16),
    });
    const b = new GraphBuilder();
    const [q, k, v, w] = Array.from({ length: 4 }, () => b.parameter(f32(...shape)));
    const scores = b.op('dot_general', [q, k], { contract: [[3], [3]], batch: [[0, 1], [0, 1]] }); // biome-ignore format: axes
    const out = b.op('dot_general', [softmax(b, scores), v], { contract: [[3], [2]], batch: [[0, 1], [0, 1]] }); // biome-ignore format: axes
    const loss = b.op('reduce', [b.op('multiply', [out, w])], { kind: 'sum', axes: [0, 1, 2, 3] });
    const { parameters, ops, results } = vjpGraph(b.build([out, loss]), { wrt: [0, 1, 2], outputs: [1] });
    const seed: Literal = { dtype: 'float32', shape: [], data: [1] };
    expectWithin(moduleOf({ parameters, ops, results }), [numbers(), numbers(), numbers(), numbers(), seed]);
  });

  test('training steps, donated or not', () => {
    const graphs = [
      adamStep(mlpLoss(8, [32, 32, 8])),
      adamStep(gptLoss({ layers: 2, width: 32, heads: 2, vocabulary: 32, time: 16, batch: 2 })),
    ];
    for (const graph of graphs) {
      for (const donates of [false, true]) {
        const donated = graph.parameters.map(() => donates);
        expect(mostBound(lower(moduleOf(graph), target, donated))).toBeLessThan(storageBuffers);
      }
    }
  });
});

test('a wide concatenation stays one kernel where bindings allow it', () => {
  const b = new GraphBuilder();
  const many = Array.from({ length: 40 }, () => b.parameter(f32(8, 4)));
  const module = moduleOf(b.build([b.op('concatenate', many, { axis: 0 })]));
  expect(lower(module, wasmTarget).launches).toHaveLength(1);
  // 40 = 7 parts of five or six each, then two, then one.
  expect(lower(module, webgpuTarget({ storageBuffers: 8 })).launches.length).toBeLessThanOrEqual(10);
});

test('a slice of many axes is cut in steps', () => {
  const b = new GraphBuilder();
  const x = b.parameter(f32(2, 2, 2, 2, 2, 2, 2));
  const starts = Array.from({ length: 7 }, () => b.parameter(i32()));
  const module = moduleOf(b.build([b.op('dynamic_slice', [x, ...starts], { sizes: [1, 1, 1, 1, 1, 1, 1] })]));
  expect(lower(module, wasmTarget).launches).toHaveLength(1);
  expect(lower(module, webgpuTarget({ storageBuffers: 8 })).launches).toHaveLength(2);
});
