/** What is done once and what at every call: the choice, and that it changes no bit. */
import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { GraphBuilder, scalar } from '../../../ir/builder.ts';
import { equalLiterals } from '../../../ir/literal.ts';
import type { Lowered } from '../../../ir/lowered.ts';
import { Random } from '../../../ir/ops/random.ts';
import { parseModule } from '../../../ir/parser.ts';
import type { Graph, Literal, Module, Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { f32, moduleOf, optimized, spread } from '../../support/models.ts';
import { randomModule } from '../../support/random-graph.ts';
import { randomNetwork } from '../../support/random-network.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { isFullRun } from '../../support/runs.ts';

const lower = (module: Module, held: readonly boolean[], leastSaved?: number): Lowered =>
  lowerModule(module, {
    name: 'test',
    donated: [],
    held,
    precision: 'strict',
    ...(leastSaved !== undefined && { leastSaved }),
  });

function graphOf(build: (b: GraphBuilder) => readonly Value[]): Graph {
  const b = new GraphBuilder();
  return b.build(build(b));
}

const preparedTypes = ({ prepared }: Lowered): string[] => prepared.map(({ type }) => `${type.dtype}[${type.shape}]`);

/** Values that keep a network in a moderate range. */
function sampleInputs({ parameters }: Graph): Literal[] {
  const random = new Random(5, { special: false });
  return parameters.map(({ type: { dtype, shape } }) => {
    const sizes = shape.map(Number);
    const draw = dtype === 'int32' ? () => random.integer(0, 1) : () => Math.fround(random.next() * 0.4);
    return { dtype, shape: sizes, data: Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, draw) };
  });
}

function expectSame(a: readonly Literal[], b: readonly Literal[], context: string): void {
  expect(a.length).toBe(b.length);
  a.forEach((literal, at) => {
    if (!equalLiterals(literal, b[at])) expect.fail(`${context}: output ${at} differs`);
  });
}

describe('no bit changes', () => {
  const keepAll = -1e9;

  test('of random graphs, whatever is held', () => {
    for (let seed = 0; seed < (isFullRun ? 1500 : 40); seed++) {
      const options = { ops: 10 + (seed % 4) * 12, special: seed % 3 === 0, symbolic: seed % 4 === 0 };
      const { module, inputs } = randomModule(seed, options);
      const held = inputs.map((_, at) => at !== seed % inputs.length);
      const split = lower(module, held, keepAll);
      expectSame(runLowered(lower(module, []), inputs), runLowered(split, inputs), `seed ${seed}`);
    }
  });

  test('of random networks and their gradients, whatever is held', () => {
    let kept = 0;
    for (let seed = 0; seed < (isFullRun ? 1000 : 30); seed++) {
      const graph = randomNetwork(seed, { gradient: seed % 2 === 1 });
      const module = seed % 3 === 0 ? moduleOf(graph) : optimized(graph, 'strict');
      const inputs = sampleInputs(graph);
      const split = lower(
        module,
        inputs.map((_, at) => at !== (seed >> 1) % inputs.length),
        keepAll,
      );
      kept += split.prepared.length;
      expectSame(runLowered(lower(module, []), inputs), runLowered(split, inputs), `seed ${seed}`);
    }
    expect(kept).toBeGreaterThan(10);
  });
});

describe('what is kept', () => {
  test('a scale of channels, made of small vectors', () => {
    const graph = graphOf((b) => {
      const x = b.parameter(f32(1, 64, 56, 56));
      const [weight, variance] = [b.parameter(f32(64)), b.parameter(f32(64))];
      const scale = b.op('multiply', [weight, b.op('rsqrt', [variance])]);
      return [b.op('multiply', [x, spread(b, scale, [1, 64, 56, 56], [1])])];
    });
    const split = lower(moduleOf(graph), [false, true, true]);
    expect(preparedTypes(split)).toEqual(['float32[64]']);
    expect(split.prepareLaunches).toBe(1);
    expect(split.launches.length).toBe(2);
    expect(lower(moduleOf(graph), [false, true, false]).prepared).toEqual([]);
  });

  test('no mere rearrangement, and nothing that costs less than to read it', () => {
    const graph = graphOf((b) => {
      const [x, w] = [b.parameter(f32(256, 256)), b.parameter(f32(256, 256))];
      const moved = b.op('transpose', [w], { permutation: [1, 0] });
      return [b.op('add', [x, moved])];
    });
    expect(lower(moduleOf(graph), [false, true]).prepared).toEqual([]);
  });

  test('no mask made of positions, though it is the same at every call', () => {
    const graph = graphOf((b) => {
      const x = b.parameter(f32(256, 256));
      const [row, column] = [0, 1].map((axis) => b.op('iota', [], { dtype: 'int32', shape: [256, 256], axis }));
      const mask = b.op('compare', [row, column], { direction: 'GE' });
      return [b.op('select', [mask, x, spread(b, scalar(b, 'float32', 0), [256, 256], [])])];
    });
    expect(lower(moduleOf(graph), [false]).prepared).toEqual([]);
  });

  test('nothing of a symbolic size', () => {
    const rows = dim('T', { min: 1, max: 4096 });
    const graph = graphOf((b) => {
      const [x, w] = [b.parameter(f32(rows, 512)), b.parameter(f32(512))];
      return [b.op('multiply', [x, b.op('tanh', [spread(b, b.op('exponential', [w]), [rows, 512], [1])])])];
    });
    expect(preparedTypes(lower(moduleOf(graph), [false, true]))).toEqual(['float32[512]']);
  });

  test('not much more than what it follows from', () => {
    const graph = graphOf((b) => {
      const [x, w] = [b.parameter(f32(64, 1024)), b.parameter({ dtype: 'int8', shape: [1024, 1024] })];
      const wide = b.op('tanh', [b.op('convert', [w], { dtype: 'float32' })]);
      return [b.op('dot_general', [x, wide], { contract: [[1], [0]], batch: [[], []] })];
    });
    expect(lower(moduleOf(graph), [false, true]).prepared).toEqual([]);
  });

  test('what a result is, is made anew at each call', () => {
    const graph = graphOf((b) => {
      const [x, w] = [b.parameter(f32(4096)), b.parameter(f32(4096))];
      const root = b.op('exponential', [w]);
      return [b.op('multiply', [x, root]), root];
    });
    const split = lower(moduleOf(graph), [false, true]);
    expect(split.prepared).toEqual([]);
    expect(split.outputs.map(({ source }) => source.kind)).toEqual(['own', 'own']);
  });
});

describe('weights that lie along the sum', () => {
  const productOf = (rows: number, batch: number, side: 0 | 1): Graph =>
    graphOf((b) => {
      const [x, w] = [b.parameter(f32(batch, rows, 128)), b.parameter(f32(batch, 64, 128))];
      const operands = side === 1 ? [x, w] : [w, x];
      return [
        b.op('dot_general', operands, {
          contract: [[2], [2]],
          batch: [[0], [0]],
        }),
      ];
    });

  test.each([
    [1, 1, 1],
    [1, 2, 1],
    [1, 2, 0],
  ] as const)('are turned once for %i row, batch %i, operand %i', (rows, batch, side) => {
    const graph = productOf(rows, batch, side);
    const split = lower(moduleOf(graph), [false, true]);
    expect(preparedTypes(split)).toEqual([`float32[${batch},128,64]`]);
    const inputs = sampleInputs(graph);
    expectSame(runLowered(lower(moduleOf(graph), []), inputs), runLowered(split, inputs), 'turned');
  });

  test('are turned once for several products', () => {
    const graph = graphOf((b) => {
      const [x, y, w] = [b.parameter(f32(1, 128)), b.parameter(f32(1, 128)), b.parameter(f32(64, 128))];
      return [x, y].map((left) => b.op('dot_general', [left, w], { contract: [[1], [1]], batch: [[], []] }));
    });
    expect(preparedTypes(lower(moduleOf(graph), [false, false, true]))).toEqual(['float32[128,64]']);
  });

  test('stay as they are for more rows, and where two axes are summed', () => {
    expect(lower(moduleOf(productOf(2, 1, 1)), [false, true]).prepared).toEqual([]);
    const graph = graphOf((b) => {
      const [x, w] = [b.parameter(f32(1, 8, 16)), b.parameter(f32(64, 8, 16))];
      const contract = [
        [1, 2],
        [1, 2],
      ] as const;
      return [b.op('dot_general', [x, w], { contract, batch: [[], []] })];
    });
    expect(lower(moduleOf(graph), [false, true]).prepared).toEqual([]);
  });
});

describe('functions that are called', () => {
  const module = (second: string): Module =>
    parseModule(`
      func @block(%x: f32[512], %w: f32[512]) -> (f32[512]) {
        %0: f32[512] = exponential %w
        %1: f32[512] = tanh %0
        %2: f32[512] = multiply %x, %1
        return %2
      }
      func @main(%x: f32[512], %a: f32[512], %b: f32[512]) -> (f32[512]) {
        %0: f32[512] = negate %b
        %1: f32[512] = call %x, %a {function=@block}
        %2: f32[512] = call %1, ${second} {function=@block}
        return %2
      }
    `);
  const inputs = [1, 2, 3].map(
    (seed): Literal => ({
      dtype: 'float32',
      shape: [512],
      data: Float32Array.from({ length: 512 }, (_, i) => Math.sin(i * seed)),
    }),
  );

  test('keep values for each call, of what their callers keep', () => {
    const split = lower(module('%0'), [false, true, true]);
    expect(preparedTypes(split)).toEqual(['float32[512]', 'float32[512]']);
    expect(split.launches.length - split.prepareLaunches).toBe(2);
    expectSame(runLowered(lower(module('%0'), []), inputs), runLowered(split, inputs), 'calls');
  });

  test('keep nothing where one call hands over something else each time', () => {
    expect(lower(module('%x'), [false, true, true]).prepared).toEqual([]);
  });
});
