/**
 * Every bench graph at its small size: compiled and eager are as close to the reference evaluator as rounding allows,
 * and inputs are the same for a seed.
 */
import { describe, expect, test } from 'vitest';
import { modelsOf } from '../../bench/models/index.ts';
import { traceModel } from '../../bench/models/trace.ts';
import { compile, type Tensor, tree } from '../../index.ts';
import type { Literal } from '../../ir/types.ts';
import { distantFrom } from '../support/every-way.ts';

const literals = (values: unknown): Literal[] =>
  tree.leaves(values as Tensor[]).map((leaf) => ({
    dtype: leaf.dtype,
    shape: leaf.shape,
    data: Array.from(leaf.dataSync() as ArrayLike<number>, Number),
  }));

describe.each(modelsOf('small').map((model) => [model.name, model] as const))('%s', (_, model) => {
  test('compiled and eager are close to the reference', () => {
    const args = model.make(1);
    const inputs = literals(args);
    const module = traceModel(model);
    expect(distantFrom(literals(compile(model.fn, { name: model.name })(...args)), module, inputs)).toBeUndefined();
    expect(distantFrom(literals(model.fn(...args)), module, inputs)).toBeUndefined();
  });
});

test('models have names of their own, the same in both sizes', () => {
  const names = modelsOf('small').map(({ name }) => name);
  expect(modelsOf('bench').map(({ name }) => name)).toEqual(names);
  expect(new Set(names).size).toBe(names.length);
});

test('inputs are drawn from the seed alone', () => {
  const [model] = modelsOf('small');
  expect(literals(model.make(7))).toEqual(literals(model.make(7)));
  expect(literals(model.make(7))).not.toEqual(literals(model.make(8)));
});
