/** Outlining: what repeats becomes a function, nothing changes its value, and what only looks alike stays apart. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { Random } from '../../../ir/ops/random.ts';
import { printModule } from '../../../ir/printer.ts';
import { type Graph, type Literal, type Module, mainOf, type Op, type Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { type Pass, runPasses, type Step } from '../../../passes/manager.ts';
import {
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  inlineCalls,
  optimizePipeline,
} from '../../../passes/optimize/index.ts';
import { outlineRepeats, outlineRepeatsWith } from '../../../passes/outline/outline-repeats.ts';
import { bitDifference } from '../../support/device-run.ts';
import { adamStep, dense, f32, gptLoss, layerNorm, moduleOf, relu, sgdStep } from '../../support/models.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { runs } from '../../support/runs.ts';
import { evaluate, repeatedModule } from './repeated.ts';

const context = { precision: 'strict', verify: true, constantBudget: 1 << 12 } as const;
const eager = outlineRepeatsWith({ leastOps: 3, leastSites: 3, leastSaved: 0, cutsChains: true });

const outlined = (module: Module, pass: Pass = eager): Module =>
  runPasses(module, [eliminateDeadCode, eliminateCommonSubexpressions, pass], context);

const callsOf = (module: Module): string[] =>
  mainOf(module).graph.ops.flatMap((op) => (op.opcode === 'call' ? [op.attributes.function] : []));

/** `count` layers, each of which may differ. */
function layers(count: number, layer: (b: GraphBuilder, x: Value, at: number) => Value): Module {
  const b = new GraphBuilder();
  let x = b.parameter(f32(4, 8), 'x');
  for (let at = 0; at < count; at++) x = layer(b, x, at);
  return moduleOf(b.build([x]));
}

const weight = (b: GraphBuilder): Value => b.parameter(f32(8, 8));

describe('in text', () => {
  test('layers become calls', () => {
    const module = layers(3, (b, x) => b.op('add', [x, b.op('tanh', [dense(b, x, weight(b))])]));
    expect(printModule(outlined(module))).toBe(`func @block1(%0: f32[4,8], %1: f32[8,8]) -> (f32[4,8]) {
  %2: f32[4,8] = dot_general %0, %1 {contract=[[1],[0]], batch=[[],[]]}
  %3: f32[4,8] = tanh %2
  %4: f32[4,8] = add %0, %3
  return %4
}

func @main(%x: f32[4,8], %0: f32[8,8], %1: f32[8,8], %2: f32[8,8]) -> (f32[4,8]) {
  %3: f32[4,8] = call %x, %0 {function=@block1}
  %4: f32[4,8] = call %3, %1 {function=@block1}
  %5: f32[4,8] = call %4, %2 {function=@block1}
  return %5
}
`);
  });

  test('constants stay inside, and cheap operands are computed inside', () => {
    const b = new GraphBuilder();
    let x = b.parameter(f32(4, 8), 'x');
    const rate = b.op('negate', [b.parameter(f32(), 'rate')]);
    const all = b.op('broadcast_in_dim', [rate], { shape: [4, 8], axes: [] });
    for (let at = 0; at < 3; at++) x = b.op('multiply', [relu(b, dense(b, x, weight(b))), all]);
    expect(printModule(outlined(moduleOf(b.build([x]))))).toBe(
      `func @block1(%0: f32[4,8], %1: f32[8,8], %2: f32[]) -> (f32[4,8]) {
  %3: f32[] = constant {value=0}
  %4: f32[4,8] = broadcast_in_dim %3 {shape=[4,8], axes=[]}
  %5: f32[4,8] = broadcast_in_dim %2 {shape=[4,8], axes=[]}
  %6: f32[4,8] = dot_general %0, %1 {contract=[[1],[0]], batch=[[],[]]}
  %7: f32[4,8] = maximum %6, %4
  %8: f32[4,8] = multiply %7, %5
  return %8
}

func @main(%x: f32[4,8], %rate: f32[], %0: f32[8,8], %1: f32[8,8], %2: f32[8,8]) -> (f32[4,8]) {
  %3: f32[] = negate %rate
  %4: f32[4,8] = call %x, %0, %3 {function=@block1}
  %5: f32[4,8] = call %4, %1, %3 {function=@block1}
  %6: f32[4,8] = call %5, %2, %3 {function=@block1}
  return %6
}
`,
    );
  });
});

describe('what only looks alike', () => {
  const layer = (b: GraphBuilder, x: Value): Value =>
    b.op('add', [x, b.op('tanh', [b.op('sine', [dense(b, x, weight(b))])])]);

  test('a layer with another constant', () => {
    const scaled = (b: GraphBuilder, x: Value, at: number): Value => {
      const scale = b.op('constant', [], { value: { dtype: 'float32', shape: [], data: [at === 3 ? 2 : 1.5] } });
      const all = b.op('broadcast_in_dim', [scale], { shape: [4, 8], axes: [] });
      return layer(b, b.op('multiply', [x, all]));
    };
    expect(callsOf(outlined(layers(7, scaled)))).toHaveLength(6);
  });

  test('a layer with another attribute', () => {
    const permuted = (b: GraphBuilder, x: Value, at: number): Value =>
      layer(b, b.op('reverse', [x], { axes: [at === 3 ? 0 : 1] }));
    const calls = callsOf(outlined(layers(7, permuted)));
    expect(calls.length).toBeGreaterThanOrEqual(6);
    expect(mainOf(outlined(layers(7, permuted))).graph.ops.some((op) => op.opcode === 'reverse')).toBe(true);
  });

  test('a layer with an edge elsewhere', () => {
    const crossed = (b: GraphBuilder, x: Value, at: number): Value => {
      const [p, q] = [b.op('sine', [x]), b.op('sine', [dense(b, x, weight(b))])];
      return b.op('subtract', at === 4 ? [q, p] : [p, q]);
    };
    const calls = callsOf(outlined(layers(5, crossed)));
    expect(calls).toHaveLength(4);
  });
});

describe('what does not pay', () => {
  test('a few small blocks', () => {
    const module = layers(6, (b, x) => relu(b, dense(b, x, weight(b))));
    expect(outlined(module, outlineRepeats)).toEqual(outlined(module, { name: 'none', run: (same) => same }));
  });

  test('a chain that is one kernel', () => {
    const chain = layers(100, (b, x) => {
      let y = x;
      for (let at = 0; at < 7; at++) y = b.op('tanh', [b.op('sine', [y])]);
      return b.op('add', [y, y]);
    });
    expect(callsOf(outlined(chain, outlineRepeats))).toEqual([]);
  });
});

test('random blocks repeated: the same bits, and the same when written out again', () => {
  let found = 0;
  let samples = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const sample = repeatedModule(seed);
      const after = outlined(sample.module);
      samples++;
      if (callsOf(after).length > 0) found++;
      const expected = evaluate(sample);
      expect(bitDifference(evaluate({ ...sample, module: after }), expected)).toBeUndefined();
      const again = runPasses(after, [inlineCalls], context);
      expect(bitDifference(evaluate({ ...sample, module: again }), expected)).toBeUndefined();
    }),
    runs(150),
  );
  expect(found / samples).toBeGreaterThan(0.4);
});

test('random blocks repeated: lowered, the same bits as without blocks', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { module, inputs } = repeatedModule(seed);
      const simplify: readonly Step[] = [eliminateDeadCode, eliminateCommonSubexpressions];
      const plain = runPasses(module, simplify, context);
      const options = { name: 'test', precision: 'strict' } as const;
      for (const donated of [[], inputs.map(() => true)]) {
        const expected = runLowered(lowerModule(plain, { ...options, donated }), inputs);
        const given = runLowered(lowerModule(outlined(module), { ...options, donated }), inputs);
        expect(bitDifference(given, expected)).toBeUndefined();
      }
    }),
    runs(60),
  );
});

describe('a language model', () => {
  const sizes = { batch: 2, time: 3, width: 4, heads: 2, vocabulary: 5 };
  const everyBlock = outlineRepeatsWith({ leastOps: 12, leastSites: 3, leastSaved: 0, cutsChains: false });
  const pipeline = (outline: Pass): Step[] =>
    optimizePipeline.map((step) => (step.name === 'outlineRepeats' ? outline : step));
  const nothing: Pass = { name: 'outlineRepeats', run: (module) => module };
  const optimize = (graph: Graph, outline: Pass): Module => runPasses(moduleOf(graph), pipeline(outline), context);
  const lower = (module: Module) => lowerModule(module, { name: 'step', donated: [], precision: 'strict' });

  const inputsOf = ({ parameters }: Graph): Literal[] => {
    const random = new Random(3, { special: false });
    return parameters.map(({ type: { dtype, shape } }) => {
      const count = shape.reduce<number>((product, size) => product * Number(size), 1);
      const element = dtype === 'int32' ? () => random.integer(0, 4) : () => Math.fround(random.next());
      return { dtype, shape: shape.map(Number), data: Float64Array.from({ length: count }, element) };
    });
  };

  test.each([
    ['forward', (layers: number) => gptLoss({ ...sizes, layers }).graph, 1],
    ['with descent', (layers: number) => sgdStep(gptLoss({ ...sizes, layers })), 2],
    ['with Adam', (layers: number) => adamStep(gptLoss({ ...sizes, layers })), 2],
  ] as const)('%s: each block once, the same bits', (_, make, blocks) => {
    const graph = make(4);
    const module = optimize(graph, everyBlock);
    expect(module.functions).toHaveLength(1 + blocks);
    expect(callsOf(module)).toHaveLength(4 * blocks);
    const inputs = inputsOf(graph);
    const expected = runLowered(lower(optimize(graph, nothing)), inputs);
    expect(bitDifference(runLowered(lower(module), inputs), expected)).toBeUndefined();
  });

  test('the work of passes and lowering does not grow with the layers', () => {
    const count = (layers: number) => {
      const module = optimize(adamStep(gptLoss({ ...sizes, layers })), everyBlock);
      const lowered = lower(module);
      const ops = module.functions.map(({ graph }) => graph.ops.filter(isNoCall).length);
      return {
        ops,
        kernels: lowered.kernels.length,
        accounts: new Set(lowered.report.groups.map(({ ops: of }) => of)).size,
      };
    };
    expect(count(12)).toEqual(count(6));
  });

  test('hardly a launch more than without blocks', () => {
    const large = { batch: 4, time: 64, width: 128, heads: 4, vocabulary: 256, layers: 6 };
    const graph = adamStep(gptLoss(large));
    const [plain, blocks] = [lower(optimize(graph, nothing)), lower(optimize(graph, everyBlock))];
    expect(blocks.launches.length).toBeLessThanOrEqual(plain.launches.length + 2 * large.layers);
    expect(blocks.kernels.length).toBeLessThanOrEqual(plain.kernels.length);
  });
});

const isNoCall = ({ opcode }: Op): boolean => opcode !== 'call';

test('a norm at both ends of the layers does not shift the blocks', () => {
  const b = new GraphBuilder();
  let x = b.parameter(f32(4, 8));
  const norm = (value: Value): Value => layerNorm(b, value, b.parameter(f32(8)), b.parameter(f32(8)));
  for (let at = 0; at < 4; at++) x = b.op('add', [x, b.op('tanh', [dense(b, norm(x), weight(b))])]);
  const module = outlined(
    moduleOf(b.build([norm(x)])),
    outlineRepeatsWith({
      leastOps: 12,
      leastSites: 3,
      leastSaved: 0,
      cutsChains: false,
    }),
  );
  expect(callsOf(module)).toHaveLength(4);
  expect(module.functions[0].graph.results).toHaveLength(1);
});
