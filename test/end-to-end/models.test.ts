/**
 * Blocks of networks and whole training steps as graphs: the same bits op by op, without fusion and with it, and close
 * to the reference evaluator. They have what random graphs seldom do: rows that are normalised, attention, the
 * gradients of all that, and updates of many parameters at once.
 */
import { describe, expect, test } from 'vitest';
import { dim, evaluateDim } from '../../base/dim.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Graph, Literal, Value } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { compileModule, runProgram } from '../support/device-run.ts';
import { atSize, differentWays, differs, distantFrom } from '../support/every-way.ts';
import {
  adamStep,
  attention,
  batchNorm,
  f32,
  gelu,
  gptLoss,
  layerNorm,
  logSoftmax,
  mlpLoss,
  moduleOf,
  sgdStep,
  softmax,
} from '../support/models.ts';

/** Inputs of the sizes that `B` stands for: labels and tokens are small integers, what is squared is positive. */
function inputsOf({ parameters }: Graph, size: number, mostInteger: number): Literal[] {
  const random = new Random(size, { special: false });
  return parameters.map(({ type: { dtype, shape } }) => {
    const sizes = shape.map((d) => evaluateDim(d, new Map([['B', size]])));
    const count = sizes.reduce((product, n) => product * n, 1);
    const element = dtype === 'int32' ? () => random.integer(0, mostInteger) : () => Math.fround(random.next());
    return { dtype, shape: sizes, data: Float64Array.from({ length: count }, element) };
  });
}

const build = (make: (b: GraphBuilder) => Value): Graph => {
  const b = new GraphBuilder();
  return b.build([make(b)]);
};

const blocks: Readonly<Record<string, Graph>> = {
  softmax: build((b) => softmax(b, b.parameter(f32(5, 37)))),
  logSoftmax: build((b) => logSoftmax(b, b.parameter(f32(3, 2, 130)))),
  layerNorm: build((b) => layerNorm(b, b.parameter(f32(4, 65)), b.parameter(f32(65)), b.parameter(f32(65)))),
  gelu: build((b) => gelu(b, b.parameter(f32(7, 19)))),
  'batchNorm of vectors': build((b) => batchNorm(b, b.parameter(f32(70, 37)), [0])),
  'batchNorm of images': build((b) => batchNorm(b, b.parameter(f32(3, 5, 6, 7)), [0, 2, 3])),
  'softmax of columns': build((b) => {
    const permutation = [1, 0];
    const columns = b.op('transpose', [b.parameter(f32(70, 37))], { permutation });
    return b.op('transpose', [softmax(b, columns)], { permutation });
  }),
  attention: build((b) =>
    attention(b, b.parameter(f32(2, 9, 12)), b.parameter(f32(12, 36)), b.parameter(f32(12, 12)), 3),
  ),
};

const gradientOf = (graph: Graph): Graph => vjpGraph(graph, { wrt: graph.parameters.map((_, at) => at), outputs: [0] });

const gpt = gptLoss({ batch: 2, time: 5, width: 8, heads: 2, layers: 2, vocabulary: 11 });

const all: Readonly<Record<string, Graph>> = {
  ...blocks,
  ...Object.fromEntries(Object.entries(blocks).map(([name, graph]) => [`gradient of ${name}`, gradientOf(graph)])),
  'classifier with descent': sgdStep(mlpLoss(6, [10, 17, 5])),
  'classifier with Adam': adamStep(mlpLoss(6, [10, 17, 5])),
  'language model with descent': sgdStep(gpt),
  'language model with Adam': adamStep(gpt),
};

describe.each(Object.entries(all))('%s', (_, graph) => {
  const module = moduleOf(graph);
  const inputs = inputsOf(graph, 4, 4);

  test('strict: the same in every way', async () => {
    expect(await differentWays(module, inputs)).toBeUndefined();
  });

  test.each(['fast', 'strict'] as const)('%s: close to the reference', async (precision) => {
    const program = compileModule(module, { precision });
    expect(distantFrom(await runProgram(program, graph, inputs), module, inputs)).toBeUndefined();
  });
});

test('a classifier with descent: one program for every batch size', async () => {
  const graph = sgdStep(mlpLoss(dim('B', { min: 1, max: 64 }), [10, 17, 5]));
  const module = moduleOf(graph);
  const program = compileModule(module, { precision: 'strict' });
  for (const size of [1, 2, 7, 64]) {
    const inputs = inputsOf(graph, size, 4);
    const given = await runProgram(program, graph, inputs);
    expect(distantFrom(given, module, inputs), `size ${size}`).toBeUndefined();
    const fixed = atSize(graph, new Map([['B', size]]));
    const ownProgram = compileModule(fixed, { precision: 'strict' });
    const own = size > 1 && (await runProgram(ownProgram, graph, inputs));
    expect(own && differs(given, own, fixed, inputs), `size ${size}`).toBeFalsy();
  }
});
