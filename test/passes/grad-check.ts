/**
 * Compares gradients with central finite differences in double precision, along random directions: for `y = f(x)`, a
 * cotangent `c` and a direction `d`, `<vjp(c), d>` is the derivative of `<c, f(x + t d)>` at `t = 0`.
 */
import { expect } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, elementCount } from '../../ir/literal.ts';
import type { Random } from '../../ir/ops/random.ts';
import type { Graph, Literal, Value } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { vjpGraph } from '../../passes/grad/index.ts';

export const moduleOf = (graph: Graph) => ({ functions: [{ name: 'main', graph }], main: 'main' });

export const evaluate = (graph: Graph, inputs: readonly Literal[]): Literal[] =>
  evaluateModule(moduleOf(graph), inputs, { mode: 'double' });

/** Positions of the values that are float32. */
export const floatsOf = (values: readonly Value[]): number[] =>
  values.flatMap(({ type }, i) => (type.dtype === 'float32' ? [i] : []));

const dot = (a: Literal, b: Literal): number => {
  const [x, y] = [denseData(a), denseData(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
};

const moved = (x: Literal, direction: Literal, by: number): Literal => {
  const [from, along] = [denseData(x), denseData(direction)];
  return { ...x, data: Float64Array.from({ length: from.length }, (_, i) => from[i] + by * along[i]) };
};

/** Numbers in [-1, 1], with full mantissas so that ties do not occur. */
export const randomFloats = (random: Random, shape: readonly number[]): Literal => ({
  dtype: 'float32',
  shape,
  data: Float64Array.from({ length: elementCount(shape) }, () => 2 * random.next() - 1),
});

export interface CheckOptions {
  readonly step?: number;
  readonly tolerance?: number;
}

/**
 * Checks the gradients of the given results for the given parameters.
 * @returns the gradient graph, which can be checked in turn
 */
export function checkVjp(
  graph: Graph,
  inputs: readonly Literal[],
  random: Random,
  wrt: readonly number[] = floatsOf(graph.parameters),
  outputs: readonly number[] = floatsOf(graph.results),
  { step = 1e-5, tolerance = 2e-6 }: CheckOptions = {},
): { gradient: Graph; inputs: Literal[] } {
  const gradient = vjpGraph(graph, { wrt, outputs });
  verifyModule(moduleOf(gradient));
  const primal = evaluate(graph, inputs);
  const cotangents = outputs.map((position) => randomFloats(random, primal[position].shape));
  const allInputs = [...inputs, ...cotangents];
  const results = evaluate(gradient, allInputs);
  expect(results.slice(0, primal.length)).toEqual(primal);
  wrt.forEach((position, i) => {
    const direction = randomFloats(random, inputs[position].shape);
    const along = (by: number): number => {
      const shifted = inputs.map((input, j) => (j === position ? moved(input, direction, by) : input));
      const values = evaluate(graph, shifted);
      return outputs.reduce((sum, output, j) => sum + dot(values[output], cotangents[j]), 0);
    };
    const expected = (along(step) - along(-step)) / (2 * step);
    const actual = dot(results[primal.length + i], direction);
    const scale = 1 + Math.abs(expected);
    expect(Math.abs(actual - expected) / scale, `d/d parameter ${position}: ${actual}, not ${expected}`).toBeLessThan(
      tolerance,
    );
  });
  return { gradient, inputs: allInputs };
}
