/** Calls without operands and results that nobody needs. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluateModule } from '../../../ir/evaluate.ts';
import { Random } from '../../../ir/ops/random.ts';
import { parseModule } from '../../../ir/parser.ts';
import { printModule } from '../../../ir/printer.ts';
import { type Module, mainOf } from '../../../ir/types.ts';
import { runPasses } from '../../../passes/manager.ts';
import { trimCalls } from '../../../passes/outline/trim-calls.ts';
import { carve } from '../../support/carve.ts';
import { bitDifference } from '../../support/device-run.ts';
import { randomModule } from '../../support/random-graph.ts';
import { runs } from '../../support/runs.ts';

const context = { precision: 'strict', verify: true, constantBudget: 0 } as const;

test('results that nobody reads go, and parameters with them, through calls of calls', () => {
  const module = parseModule(`func @inner(%a: f32[2], %b: f32[2]) -> (f32[2], f32[2]) {
  %0: f32[2] = tanh %a
  %1: f32[2] = sine %b
  return %0, %1
}
func @outer(%a: f32[2], %b: f32[2]) -> (f32[2]) {
  %0: f32[2], %1: f32[2] = call %a, %b {function=@inner}
  return %0
}
func @main(%p: f32[2], %q: f32[2]) -> (f32[2]) {
  %0: f32[2] = call %p, %q {function=@outer}
  return %0
}
`);
  expect(printModule(runPasses(module, [trimCalls], context))).toBe(`func @inner(%a: f32[2]) -> (f32[2]) {
  %0: f32[2] = tanh %a
  return %0
}

func @outer(%a: f32[2]) -> (f32[2]) {
  %0: f32[2] = call %a {function=@inner}
  return %0
}

func @main(%p: f32[2], %q: f32[2]) -> (f32[2]) {
  %0: f32[2] = call %p {function=@outer}
  return %0
}
`);
});

test('what one of two calls needs stays for both', () => {
  const module = parseModule(`func @f(%a: f32[2], %b: f32[2]) -> (f32[2], f32[2]) {
  %0: f32[2] = tanh %a
  %1: f32[2] = sine %b
  return %0, %1
}
func @main(%p: f32[2], %q: f32[2]) -> (f32[2], f32[2]) {
  %0: f32[2], %1: f32[2] = call %p, %q {function=@f}
  %2: f32[2], %3: f32[2] = call %q, %p {function=@f}
  return %0, %3
}
`);
  expect(runPasses(module, [trimCalls], context)).toBe(module);
});

test('random functions give the same, and a second run finds nothing', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const { module, inputs } = randomModule(seed, { ops: 14 });
      const random = new Random(seed, { special: false });
      const from = random.integer(0, 4);
      const cut = carve(module, [{ from, to: Math.min(from + random.integer(2, 9), mainOf(module).graph.ops.length) }]);
      const { graph } = mainOf(cut);
      const kept = graph.results.filter(() => random.boolean());
      const main = { name: 'main', graph: { ...graph, results: kept } };
      const part: Module = { ...cut, functions: [...cut.functions.slice(0, -1), main] };
      const trimmed = runPasses(part, [trimCalls], context);
      const run = (it: Module) => evaluateModule(it, inputs, { mode: 'rounded' });
      expect(bitDifference(run(trimmed), run(part))).toBeUndefined();
      expect(trimCalls.run(trimmed, context)).toBe(trimmed);
    }),
    runs(60),
  );
});
