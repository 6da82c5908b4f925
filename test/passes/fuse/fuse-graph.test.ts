import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { GraphBuilder, scalar } from '../../../ir/builder.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import { equalLiterals } from '../../../ir/literal.ts';
import type { Lowered } from '../../../ir/lowered.ts';
import { Random } from '../../../ir/ops/random.ts';
import {
  type Graph,
  type Literal,
  type Module,
  mainOf,
  type Op,
  type TensorType,
  type Value,
} from '../../../ir/types.ts';
import { fusionRules } from '../../../passes/fuse/rule-names.ts';
import { wasmTarget } from '../../../passes/fuse/target.ts';
import { vjpGraph } from '../../../passes/grad/index.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import {
  adamStep,
  batchNorm,
  crossEntropy,
  dense,
  f32,
  gelu,
  gptLoss,
  i32,
  layerNorm,
  like,
  logSoftmax,
  mlpLoss,
  moduleOf,
  optimized,
  relu,
  sgdStep,
  softmax,
  spread,
} from '../../support/models.ts';
import { randomModule } from '../../support/random-graph.ts';
import { randomNetwork } from '../../support/random-network.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { isFullRun } from '../../support/runs.ts';

const smallGpt = { batch: 2, time: 4, width: 8, heads: 2, layers: 2, vocabulary: 7 };

const lower = (module: Module, fusion: 'full' | 'none' = 'full', donated: readonly boolean[] = []): Lowered =>
  lowerModule(module, { name: 'test', donated, precision: 'strict', fusion });

function graphOf(build: (b: GraphBuilder) => readonly Value[]): Graph {
  const b = new GraphBuilder();
  return b.build(build(b));
}

const launchesOf = (build: (b: GraphBuilder) => readonly Value[]): number =>
  lower(moduleOf(graphOf(build))).launches.length;

const rulesOf = (build: (b: GraphBuilder) => readonly Value[]): string[] =>
  lower(moduleOf(graphOf(build))).report.refusals.map(({ rule }) => rule);

/** Values that keep a network in a moderate range. */
function sampleInputs(types: readonly TensorType[], classes: number, bindings: Record<string, number> = {}): Literal[] {
  const random = new Random(5, { special: false });
  return types.map(({ dtype, shape }) => {
    const sizes = shape.map((size) => (typeof size === 'number' ? size : bindings[String(size)]));
    const count = sizes.reduce((a, b) => a * b, 1);
    const draw = dtype === 'int32' ? () => random.integer(0, classes - 1) : () => Math.fround(random.next() * 0.4);
    return { dtype, shape: sizes, data: Array.from({ length: count }, draw) };
  });
}

function expectSame(a: readonly Literal[], b: readonly Literal[], context: string): void {
  a.forEach((literal, at) => {
    if (!equalLiterals(literal, b[at])) expect.fail(`${context}: output ${at} differs`);
  });
}

describe('fusing changes no bit', () => {
  const seeds = Array.from({ length: isFullRun ? 1500 : 40 }, (_, seed) => seed);
  test('of random graphs, with special values, symbolic sizes and donated inputs', () => {
    for (const seed of seeds) {
      const options = { ops: 10 + (seed % 4) * 12, special: seed % 3 === 0, symbolic: seed % 2 === 0 };
      const { module, inputs } = randomModule(seed, options);
      const donated = inputs.map((_, at) => (seed + at) % 3 === 0);
      const fused = lower(module, 'full', donated);
      expectSame(runLowered(lower(module, 'none'), inputs), runLowered(fused, inputs), `seed ${seed}`);
    }
  });

  test('of random networks and their gradients, optimised and not', () => {
    for (let seed = 0; seed < (isFullRun ? 1000 : 40); seed++) {
      const symbolic = seed % 4 === 3;
      const batch = symbolic ? { batch: dim('B', { min: 1, max: 8 }) } : {};
      const graph = randomNetwork(seed, { gradient: seed % 2 === 1, ...batch });
      const module = seed % 3 === 0 ? moduleOf(graph) : optimized(graph, 'strict');
      const types = graph.parameters.map(({ type }) => type);
      const inputs = sampleInputs(types, 2, { B: 3 });
      const donated = types.map((_, at) => (seed + at) % 2 === 0);
      const fused = lower(module, 'full', donated);
      expectSame(runLowered(lower(module, 'none'), inputs), runLowered(fused, inputs), `seed ${seed}`);
    }
  });

  test('of two nests of one kernel that keep rows of the same value', () => {
    const graph = graphOf((b) => {
      const x = b.parameter(f32(12));
      const shape = [12];
      const total = (kind: 'sum' | 'max', value: Value): Value => b.op('reduce', [value], { kind, axes: [0] });
      const e = b.op('exponential', [b.op('tanh', [x])]);
      const first = b.op('divide', [e, spread(b, total('sum', e), shape, [])]);
      const scaled = b.op('multiply', [e, b.parameter(f32(12))]);
      const second = b.op('subtract', [scaled, spread(b, total('max', e), shape, [])]);
      return [total('sum', first), b.op('reshape', [second], { shape: [3, 4] })];
    });
    const inputs = sampleInputs([f32(12), f32(12)], 2);
    expectSame(runLowered(lower(moduleOf(graph), 'none'), inputs), runLowered(lower(moduleOf(graph)), inputs), 'rows');
  });

  test('when kernels that came out too large are taken apart', () => {
    for (let seed = 0; seed < 20; seed++) {
      const graph = randomNetwork(seed, { gradient: seed % 2 === 1 });
      const inputs = sampleInputs(
        graph.parameters.map(({ type }) => type),
        2,
      );
      const options = {
        name: 'test',
        donated: [],
        precision: 'strict',
        target: { ...wasmTarget, mostNodes: 50 },
      } as const;
      const split = lowerModule(moduleOf(graph), options);
      expectSame(runLowered(lower(moduleOf(graph), 'none'), inputs), runLowered(split, inputs), `seed ${seed}`);
    }
  });

  test.each([
    ['an MLP trained by Adam', adamStep(mlpLoss(dim('B', { min: 1, max: 16 }), [12, 9, 5]))],
    ['a GPT trained by SGD', sgdStep(gptLoss({ batch: 2, time: 4, width: 8, heads: 2, layers: 1, vocabulary: 7 }))],
  ])('of %s', (_, graph) => {
    const module = optimized(graph, 'strict');
    const types = graph.parameters.map(({ type }) => type);
    const inputs = sampleInputs(types, 5, { B: 3 });
    const donated = types.map(() => true);
    expectSame(runLowered(lower(module, 'none'), inputs), runLowered(lower(module, 'full', donated), inputs), 'step');
  });
});

describe('one kernel forward', () => {
  const x = (b: GraphBuilder): Value => b.parameter(f32(32, 128));
  const row = (b: GraphBuilder): Value => b.parameter(f32(128));
  const swap = { permutation: [1, 0] };
  const transposed = (b: GraphBuilder, value: Value): Value => b.op('transpose', [value], swap);
  test.each<[string, (b: GraphBuilder) => readonly Value[]]>([
    ['softmax', (b) => [softmax(b, x(b))]],
    ['softmax over four axes', (b) => [softmax(b, b.parameter(f32(2, 3, 4, 5)))]],
    ['logSoftmax', (b) => [logSoftmax(b, x(b))]],
    ['layerNorm', (b) => [layerNorm(b, x(b), row(b), row(b))]],
    ['gelu', (b) => [gelu(b, x(b))]],
    ['a chain of gelu, layerNorm and softmax', (b) => [softmax(b, layerNorm(b, gelu(b, x(b)), row(b), row(b)))]],
    ['matmul, bias, activation', (b) => [gelu(b, dense(b, x(b), b.parameter(f32(128, 64)), b.parameter(f32(64))))]],
    ['matmul, bias, residual', (b) => [b.op('add', [x(b), dense(b, x(b), b.parameter(f32(128, 128)), row(b))])]],
    [
      'matmul, merged axes, bias, activation',
      (b) => {
        const y = dense(b, b.parameter(f32(2, 5, 8)), b.parameter(f32(8, 6)));
        const merged = b.op('reshape', [y], { shape: [10, 6] });
        return [relu(b, b.op('add', [merged, spread(b, b.parameter(f32(6)), [10, 6], [1])]))];
      },
    ],
    [
      'matmul, split axes, residual',
      (b) => {
        const y = dense(b, b.parameter(f32(10, 8)), b.parameter(f32(8, 6)));
        return [b.op('add', [b.op('reshape', [y], { shape: [2, 5, 6] }), b.parameter(f32(2, 5, 6))])];
      },
    ],
    [
      'matmul with heads split and moved',
      (b) => {
        const y = dense(b, b.parameter(f32(2, 5, 8)), b.parameter(f32(8, 12)), b.parameter(f32(12)));
        const split = b.op('reshape', [y], { shape: [2, 5, 3, 4] });
        return [b.op('exponential', [b.op('transpose', [split], { permutation: [0, 2, 1, 3] })])];
      },
    ],
    ['batchNorm of images', (b) => [batchNorm(b, b.parameter(f32(8, 16, 28, 28)), [0, 2, 3])]],
    ['batchNorm of vectors', (b) => [batchNorm(b, b.parameter(f32(256, 512)), [0])]],
    ['softmax of columns', (b) => [b.op('transpose', [softmax(b, transposed(b, b.parameter(f32(512, 512))))], swap)]],
    ['cross-entropy of a small batch', (b) => [crossEntropy(b, b.parameter(f32(4, 8)), b.parameter(i32(4)))]],
  ])('%s', (_, build) => {
    expect(launchesOf(build)).toBe(1);
  });

  test('a counter-based random stream of a hundred integer operations', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      let left = b.op('iota', [], { dtype: 'uint32', shape: [1000], axis: 0 });
      let right = b.op('add', [left, spread(b, b.parameter({ dtype: 'uint32', shape: [] }), [1000], [])]);
      for (let round = 0; round < 20; round++) {
        left = b.op('add', [left, right]);
        const high = b.op('shift_left', [right, like(b, right, 13)]);
        const low = b.op('shift_right_logical', [right, like(b, right, 19)]);
        right = b.op('xor', [b.op('or', [high, low]), left]);
      }
      return [left, right];
    };
    const { kernels, launches } = lower(moduleOf(graphOf(build)));
    expect(launches).toHaveLength(1);
    expect(printKernel(kernels[0]).split('\n').length).toBeLessThan(130);
  });
});

describe('gradients in few kernels', () => {
  const gradient = (build: (b: GraphBuilder) => Value): Lowered => {
    const graph = graphOf((b) => [build(b)]);
    return lower(optimized(vjpGraph(graph, { wrt: graph.parameters.map((_, at) => at), outputs: [0] })));
  };
  const x = (b: GraphBuilder): Value => b.parameter(f32(256, 384));
  const row = (b: GraphBuilder): Value => b.parameter(f32(384));
  test.each<[string, number, (b: GraphBuilder) => Value]>([
    ['softmax', 1, (b) => softmax(b, x(b))],
    ['logSoftmax', 1, (b) => logSoftmax(b, x(b))],
    ['layerNorm', 2, (b) => layerNorm(b, x(b), row(b), row(b))],
    ['batchNorm of vectors', 1, (b) => batchNorm(b, x(b), [0])],
    ['batchNorm of images', 1, (b) => batchNorm(b, b.parameter(f32(8, 16, 28, 28)), [0, 2, 3])],
  ])('%s: %i', (_, most, build) => {
    const { launches, temporaries } = gradient(build);
    // The forward result is a result of the graph too.
    expect(launches.length).toBeLessThanOrEqual(most);
    // From one kernel to the next go statistics of rows, nothing of the size of x.
    for (const { bytes } of temporaries) expect(bytes).toBeLessThanOrEqual(4 * 384);
  });
});

describe('training steps', () => {
  test('an MLP by SGD and by Adam', () => {
    for (const step of [sgdStep, adamStep]) {
      const graph = step(mlpLoss(64, [784, 256, 10]));
      const { launches, report } = lower(optimized(graph));
      expect(launches.length).toBeLessThanOrEqual(8);
      expect(launches.length).toBeLessThanOrEqual(report.opCount / 3);
    }
  });

  test('a symbolic batch fuses as well as a fixed one', () => {
    const count = (batch: Parameters<typeof mlpLoss>[0]): number =>
      lower(optimized(adamStep(mlpLoss(batch, [784, 256, 256, 10])))).launches.length;
    expect(count(dim('B', { min: 1, max: 256 }))).toBe(count(64));
    expect(count(64)).toBeLessThanOrEqual(12);
  });

  test('a GPT: kernels a layer forward, and for the whole step', () => {
    const sizes = { batch: 2, time: 32, width: 64, heads: 4, vocabulary: 96 };
    const launches = (layers: number, trained: boolean): number => {
      const model = gptLoss({ ...sizes, layers });
      return lower(optimized(trained ? adamStep(model) : model.graph)).launches.length;
    };
    expect(launches(3, false) - launches(2, false)).toBeLessThanOrEqual(9);
    expect(launches(3, true) - launches(2, true)).toBeLessThanOrEqual(27);
  });

  test('Adam updates of parameters of any shape share one kernel', () => {
    const shapes = [[3, 5], [7], [2, 3, 4], []];
    const build = (b: GraphBuilder): readonly Value[] =>
      shapes.flatMap((shape) => {
        const [p, g, m] = ['p', 'g', 'm'].map((name) => b.parameter(f32(...shape), name));
        const next = b.op('add', [b.op('multiply', [m, like(b, m, 0.9)]), g]);
        return [b.op('subtract', [p, b.op('sqrt', [next])]), next];
      });
    const { launches, kernels } = lower(moduleOf(graphOf(build)));
    expect(launches).toHaveLength(1);
    expect(kernels[0].independent).toBe(true);
    expect(kernels[0].buffers).toHaveLength(20);
  });

  test('equal layers share kernels', () => {
    const kernels = (layers: number): number => {
      const sizes = Array<number>(layers + 1).fill(32);
      return lower(optimized(sgdStep(mlpLoss(16, sizes)))).kernels.length;
    };
    expect(kernels(16) - kernels(8)).toBeLessThanOrEqual(1);
    const gpt = (layers: number): number => {
      const model = gptLoss({ batch: 2, time: 8, width: 16, heads: 2, layers, vocabulary: 24 });
      return lower(optimized(adamStep(model))).kernels.length;
    };
    expect(gpt(5) - gpt(3)).toBeLessThanOrEqual(2);
  });
});

describe('refusals', () => {
  const pair = (b: GraphBuilder): readonly [Value, Value] => [b.parameter(f32(256, 256)), b.parameter(f32(256, 256))];

  test('one-contraction: the product of a product', () => {
    expect(rulesOf((b) => [dense(b, dense(b, ...pair(b)), b.parameter(f32(256, 8)))])).toEqual(['one-contraction']);
  });

  test('contraction-in-rows: the softmax of a product', () => {
    const build = (b: GraphBuilder): readonly Value[] => [softmax(b, dense(b, ...pair(b)))];
    expect(new Set(rulesOf(build))).toEqual(new Set(['contraction-in-rows']));
  });

  test('operand-cost: exp of an operand', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const [x, w] = pair(b);
      return [dense(b, b.op('exponential', [x]), w)];
    };
    expect(rulesOf(build)).toEqual(['operand-cost']);
  });

  test('recomputation: a dear row repeated many times', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(1024));
      return [spread(b, b.op('tanh', [x]), [1024, 1024], [1])];
    };
    expect(rulesOf(build)).toEqual(['recomputation']);
  });

  test('whole-reduction: a large array divided by its sum', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(1024, 1024));
      const sum = b.op('reduce', [x], { kind: 'sum', axes: [0, 1] });
      return [b.op('divide', [x, spread(b, sum, [1024, 1024], [])])];
    };
    expect(rulesOf(build)).toEqual(['whole-reduction']);
  });

  test('strided-rows: few columns divided by their sums', () => {
    const columns =
      (count: number) =>
      (b: GraphBuilder): readonly Value[] => {
        const x = b.parameter(f32(65_536, count));
        const sum = b.op('reduce', [x], { kind: 'sum', axes: [0] });
        return [b.op('divide', [x, spread(b, sum, [65_536, count], [1])])];
      };
    expect(rulesOf(columns(3))).toEqual(['strided-rows']);
    expect(rulesOf(columns(32))).toEqual([]);
  });

  test('scatter-cost: what a scatter reads is not sorted in its loop', () => {
    const sorted = graphOf((b) => {
      const x = b.parameter(f32(4, 100));
      const y = b.op('sort', [x], { axis: 1, direction: 'ascending', count: 100, result: 'values' });
      return [b.op('reduce', [b.op('multiply', [y, y])], { kind: 'sum', axes: [0, 1] })];
    });
    const { report } = lower(optimized(vjpGraph(sorted, { wrt: [0], outputs: [0] })));
    const details = report.refusals.flatMap(({ rule, detail }) => (rule === 'scatter-cost' ? [detail] : []));
    expect(details).toContain('concatenate in a loop that runs in order');
    expect(String(details)).not.toContain('Infinity');
  });

  test('epilogue: what a contraction can do itself is not left to its readers', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const [x, w] = pair(b);
      return [softmax(b, relu(b, dense(b, x, w, b.parameter(f32(256)))))];
    };
    const { launches, report } = lower(moduleOf(graphOf(build)));
    expect(launches).toHaveLength(2);
    expect(report.groups[0].ops.map(({ opcode }) => opcode)).toContain('maximum');
  });

  test('bindings: sums of more arrays than a kernel may bind', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const inputs = Array.from({ length: 200 }, () => b.parameter(f32(16)));
      return [inputs.reduce((sum, input) => b.op('add', [sum, input]))];
    };
    const { kernels, report } = lower(moduleOf(graphOf(build)));
    expect(report.refusals.map(({ rule }) => rule)).toEqual(['bindings']);
    for (const { buffers } of kernels) expect(buffers.length).toBeLessThanOrEqual(wasmTarget.mostBuffers);
  });

  /** Edges whose value a launch reads from memory, and refusals that are about no such edge, as text. */
  function unexplained({ report }: Lowered): string[] {
    const { groups, refusals } = report;
    const producers = new Map(
      groups.flatMap(({ ops }) => ops.flatMap((op) => op.results.map((r) => [r, op] as const))),
    );
    const reasons = new Map<Op, Map<Op, number>>();
    for (const { producer, consumer } of refusals) {
      const of = reasons.get(producer) ?? new Map<Op, number>();
      reasons.set(producer, of.set(consumer, (of.get(consumer) ?? 0) + 1));
    }
    const faults = new Set<string>();
    for (const { ops } of groups) {
      for (const consumer of ops) {
        for (const operand of consumer.operands) {
          const producer = producers.get(operand);
          if (!producer || ops.includes(producer) || producer.opcode === 'constant') continue;
          const count = reasons.get(producer)?.get(consumer) ?? 0;
          if (count !== 1) faults.add(`${producer.opcode} -> ${consumer.opcode}: ${count} reasons`);
        }
      }
    }
    for (const { producer, consumer, rule } of refusals) {
      if (!(rule in fusionRules)) faults.add(`no such rule: ${rule}`);
      const joins = producer.results.some((result) => consumer.operands.includes(result));
      const goesThroughMemory = groups.some(({ ops, reads }) => ops.includes(consumer) && reads.length > 0);
      // Rules about whole regions of scores name the product that starts one and what it is needed for.
      if ((!joins && !rule.startsWith('score-')) || !goesThroughMemory)
        faults.add(`${producer.opcode} -> ${consumer.opcode}: ${rule}, of no edge`);
    }
    return [...faults];
  }

  test('every edge that goes through memory has one reason', () => {
    for (let seed = 0; seed < (isFullRun ? 1000 : 60); seed++) {
      const network = optimized(randomNetwork(seed, { gradient: seed % 4 === 0 }), 'strict');
      const random = optimized(mainOf(randomModule(seed, { ops: 40 }).module).graph, 'strict');
      for (const module of [network, random]) {
        const faults = unexplained(lower(module));
        if (faults.length > 0) expect.fail(`seed ${seed}: ${faults.join('; ')}`);
      }
    }
    expect(unexplained(lower(optimized(adamStep(gptLoss(smallGpt)))))).toEqual([]);
  });

  test('nothing is stored that nobody reads', () => {
    for (let seed = 0; seed < (isFullRun ? 1000 : 60); seed++) {
      const network = optimized(randomNetwork(seed, { gradient: seed % 4 === 0 }), 'strict');
      const random = optimized(mainOf(randomModule(seed, { ops: 30 }).module).graph, 'strict');
      const { kernels, launches } = lower(seed % 2 === 0 ? network : random);
      const accesses = launches.flatMap(({ kernel, buffers }) =>
        buffers.map((buffer, at) => ({ buffer, access: kernels[kernel].buffers[at].access })),
      );
      const temporaries = accesses.filter(({ buffer }) => buffer.kind === 'temporary');
      const read = new Set(temporaries.filter(({ access }) => access !== 'write').map(({ buffer }) => buffer.index));
      const dead = temporaries.filter(({ buffer }) => !read.has(buffer.index));
      if (dead.length > 0) expect.fail(`seed ${seed}: ${JSON.stringify(dead)}`);
    }
  });

  test('docs/fusion.md says every rule in words', () => {
    const page = readFileSync(new URL('../../../docs/fusion.md', import.meta.url), 'utf8');
    for (const [name, text] of Object.entries(fusionRules)) expect(page).toContain(`| \`${name}\` | ${text} |`);
  });
});

describe('the report', () => {
  test('bytes and operations of a fused chain', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(1000));
      return [b.op('tanh', [b.op('add', [x, x])])];
    };
    const { report } = lower(moduleOf(graphOf(build)));
    const [group] = report.groups;
    expect(report.opCount).toBe(2);
    expect(group.bytesBefore).toBe(12_000 + 8_000);
    expect(group.bytesAfter).toBe(8_000);
    expect(group.ops.map(({ opcode }) => opcode)).toEqual(['add', 'tanh']);
  });
});

describe('large graphs', () => {
  const chain = (length: number): Graph =>
    graphOf((b) => {
      const x = b.parameter(f32(64));
      let value = x;
      for (let at = 0; at < length; at++) value = at % 3 === 0 ? b.op('tanh', [value]) : b.op('add', [value, x]);
      return [value];
    });

  test('a chain of 5,000 ops is cut into kernels of bounded size', () => {
    const { launches, kernels } = lower(moduleOf(chain(5000)));
    expect(launches.length).toBeLessThan(25);
    expect(kernels.length).toBeLessThan(10);
  });

  test('a long chain of row operations stays small', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      let value: Value = b.parameter(f32(8, 16));
      for (let at = 0; at < 12; at++) value = b.op('add', [softmax(b, gelu(b, value)), value]);
      return [value];
    };
    const { kernels, launches } = lower(moduleOf(graphOf(build)));
    expect(launches).toHaveLength(1);
    expect(printKernel(kernels[0]).split('\n').length).toBeLessThan(12 * 60);
  });

  test.each(['transpose', 'reshape', 'negate'] as const)('a chain of 3,000 times %s', (opcode) => {
    const build = (b: GraphBuilder): readonly Value[] => {
      let value: Value = b.parameter(f32(4, 4));
      for (let at = 0; at < 3000; at++) {
        if (opcode === 'transpose') value = b.op('transpose', [value], { permutation: [1, 0] });
        else if (opcode === 'reshape') value = b.op('reshape', [value], { shape: at % 2 === 0 ? [16] : [4, 4] });
        else value = b.op('negate', [value]);
      }
      return [value, b.op('exponential', [value])];
    };
    const module = moduleOf(graphOf(build));
    const inputs = sampleInputs([f32(4, 4)], 2);
    expectSame(runLowered(lower(module, 'none'), inputs), runLowered(lower(module), inputs), opcode);
  });

  test('0-d values of a long chain are one kernel', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      let value: Value = b.parameter(f32());
      for (let at = 0; at < 50; at++) value = b.op('multiply', [value, scalar(b, 'float32', 1.5)]);
      return [value];
    };
    expect(launchesOf(build)).toBe(1);
  });
});
