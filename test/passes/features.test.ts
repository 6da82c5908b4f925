/** Whatever a compile leaves out, results are the same; and each feature that is left out shows somewhere. */
import { describe, expect, test } from 'vitest';
import { modelsOf } from '../../bench/models/index.ts';
import { traceModel } from '../../bench/models/trace.ts';
import { equalLiterals } from '../../ir/literal.ts';
import type { Lowered } from '../../ir/lowered.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal, Module, TensorType } from '../../ir/types.ts';
import { type Feature, features } from '../../passes/features.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { type PassContext, runPasses, type Step } from '../../passes/manager.ts';
import { optimizePipeline, ruleFamilies } from '../../passes/optimize/index.ts';
import { moduleOf } from '../support/models.ts';
import { randomNetwork } from '../support/random-network.ts';
import { runLowered } from '../support/run-lowered.ts';

const namesIn = (steps: readonly Step[]): string[] =>
  steps.flatMap((step) => ('repeat' in step ? [step.name, ...namesIn(step.repeat)] : [step.name]));

const passes = namesIn(optimizePipeline);
const families = Object.keys(ruleFamilies).map((family) => `canonicalize/${family}`);

function lowered(module: Module, left: readonly string[], donated = false): Lowered {
  const without = new Set(left);
  const context: PassContext = { precision: 'strict', verify: true, constantBudget: 65_536, without };
  const optimized = runPasses(module, optimizePipeline, context);
  const parameters = module.functions[0].graph.parameters.map(() => donated);
  const held = parameters.map((isDonated, at) => !isDonated && at % 2 === 1);
  return lowerModule(optimized, { name: 'test', donated: parameters, held, precision: 'strict', without });
}

function inputsOf(types: readonly TensorType[]): Literal[] {
  const random = new Random(3, { special: false });
  return types.map(({ dtype, shape }) => {
    const sizes = shape as readonly number[];
    const draw = dtype === 'int32' ? () => random.integer(0, 1) : () => Math.fround(random.next() * 0.4);
    const length = sizes.reduce((product, size) => product * size, 1);
    return { dtype, shape: sizes, data: Array.from({ length }, draw) };
  });
}

describe('networks give the same bits', () => {
  const networks = Array.from({ length: 8 }, (_, seed) => moduleOf(randomNetwork(seed, { gradient: seed % 2 === 1 })));
  const cases = networks.map((module) => {
    const inputs = inputsOf(module.functions[0].graph.parameters.map(({ type }) => type));
    return { module, inputs, expected: runLowered(lowered(module, []), inputs) };
  });
  const left = [...passes, ...families, ...Object.keys(features)].filter((name) => name !== 'inlineCalls');
  test.each(left)('without %s', (name) => {
    for (const [seed, { module, inputs, expected }] of cases.entries()) {
      runLowered(lowered(module, [name]), inputs).forEach((literal, at) => {
        if (!equalLiterals(literal, expected[at])) expect.fail(`network ${seed}: output ${at} differs`);
      });
    }
  });

  test('without anything that can be left out', () => {
    for (const { module, inputs, expected } of cases) {
      const given = runLowered(lowered(module, left), inputs);
      given.forEach((literal, at) => {
        if (!equalLiterals(literal, expected[at])) expect.fail(`output ${at} differs`);
      });
    }
  });
});

test('leaving a feature out changes what is launched, for some bench graph', () => {
  const modules = modelsOf('small').map(traceModel);
  const account = ({ launches, kernels, temporaries }: Lowered): string =>
    JSON.stringify([
      launches,
      temporaries.map(({ offset }) => offset),
      kernels.map(({ body, scratch }) => [body, scratch]),
    ]);
  const before = modules.map((module) => account(lowered(module, [])));
  for (const feature of Object.keys(features) as Feature[]) {
    const changed = modules.some((module, at) => account(lowered(module, [feature])) !== before[at]);
    expect(changed, feature).toBe(true);
  }
});
