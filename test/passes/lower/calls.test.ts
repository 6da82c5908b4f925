/** Calls: functions that are lowered once, their launches copied, one memory plan over all of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { Random } from '../../../ir/ops/random.ts';
import type { Func, Module, Value } from '../../../ir/types.ts';
import { mainOf } from '../../../ir/types.ts';
import { verifyModule } from '../../../ir/verifier.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { type Cut, carve } from '../../support/carve.ts';
import { bitDifference } from '../../support/device-run.ts';
import { dense, f32, gelu, layerNorm, softmax } from '../../support/models.ts';
import { randomModule } from '../../support/random-graph.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { runs } from '../../support/runs.ts';

/** Ranges of ops that do not overlap. */
function randomCuts(count: number, random: Random): Cut[] {
  const cuts: Cut[] = [];
  for (let from = random.integer(0, 3); from < count - 1; ) {
    const to = Math.min(count, from + random.integer(1, 8));
    cuts.push({ from, to });
    from = to + random.integer(0, 4);
  }
  return cuts;
}

const lowered = (module: Module, fusion: 'full' | 'none', donated: readonly boolean[] = []) =>
  lowerModule(module, { name: 'test', donated, precision: 'strict', fusion });

test.each(['full', 'none'] as const)(
  'random functions cut out of random modules: the same bits, fusion %s',
  (fusion) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { module, inputs } = randomModule(seed, { ops: 14 });
        const random = new Random(seed, { special: false });
        const once = carve(module, randomCuts(mainOf(module).graph.ops.length, random));
        const twice = carve(once, randomCuts(mainOf(once).graph.ops.length, random));
        verifyModule(twice);
        const expected = runLowered(lowered(module, fusion), inputs);
        for (const [how, cut] of Object.entries({ once, twice })) {
          expect(bitDifference(runLowered(lowered(cut, fusion), inputs), expected), how).toBeUndefined();
        }
        const donated = inputs.map(() => true);
        const given = runLowered(lowered(twice, fusion, donated), inputs);
        expect(bitDifference(given, expected), 'given up').toBeUndefined();
      }),
      runs(60),
    );
  },
);

/** A layer that is called `layers` times. */
function stack(layers: number): Module {
  const body = new GraphBuilder();
  const x = body.parameter(f32(6, 8));
  const [gain, bias, w] = [body.parameter(f32(8)), body.parameter(f32(8)), body.parameter(f32(8, 8))];
  const layer: Func = {
    name: 'layer',
    graph: body.build([body.op('add', [x, dense(body, gelu(body, layerNorm(body, x, gain, bias)), w)])]),
  };
  const b = new GraphBuilder({ functions: new Map([['layer', layer]]) });
  let h: Value = b.parameter(f32(6, 8));
  for (let at = 0; at < layers; at++) {
    const parameters = [f32(8), f32(8), f32(8, 8)].map((type) => b.parameter(type));
    [h] = b.results('call', [h, ...parameters], { function: 'layer' });
  }
  return { functions: [layer, { name: 'main', graph: b.build([softmax(b, h)]) }], main: 'main' };
}

describe('a layer called many times', () => {
  test('is lowered once', () => {
    const [few, many] = [lowered(stack(2), 'full'), lowered(stack(10), 'full')];
    const [{ kernels, launches }] = [many];
    expect(kernels.map(({ name }) => name)).toEqual(few.kernels.map(({ name }) => name));
    expect(launches).toHaveLength((10 * (few.launches.length - 1)) / 2 + 1);
    const groups = many.report.groups.slice(0, -1);
    const each = groups.length / 10;
    expect(groups.map(({ block }) => block?.call)).toEqual(groups.map((_, at) => Math.floor(at / each)));
    expect(new Set(groups.map(({ ops }) => ops)).size).toBe(each);
    expect(many.report.refusals).toHaveLength(few.report.refusals.length);
  });

  test('shares its memory between calls', () => {
    const [few, many] = [lowered(stack(4), 'full'), lowered(stack(12), 'full')];
    expect(many.arenaBytes).toBe(few.arenaBytes);
  });
});

test('one value for two parameters is not overwritten while the other is read', () => {
  const body = new GraphBuilder();
  const [p, q] = [body.parameter(f32(4)), body.parameter(f32(4))];
  const turned = body.op('reverse', [q], { axes: [0] });
  const mix: Func = { name: 'mix', graph: body.build([body.op('subtract', [p, turned])]) };
  const b = new GraphBuilder({ functions: new Map([['mix', mix]]) });
  const x = b.op('exponential', [b.parameter(f32(4))]);
  const [y] = b.results('call', [x, x], { function: 'mix' });
  const module = { functions: [mix, { name: 'main', graph: b.build([y]) }], main: 'main' };
  const program = lowered(module, 'full', [true]);
  const [given] = runLowered(program, [{ dtype: 'float32', shape: [4], data: [0, 0, 1, 1] }]);
  const e = Math.fround(Math.E);
  expect([...(given.data as Float32Array)].map((v) => v.toFixed(3))).toEqual(
    [1 - e, 1 - e, e - 1, e - 1].map((v) => v.toFixed(3)),
  );
});
