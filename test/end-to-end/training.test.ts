/**
 * Training as users write it: the same bits eager and compiled, a loss that falls, inputs given up or kept, and as few
 * kernels as a training step needs.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batch, context, initialState, trainingStep } from '../../examples/language-model.ts';
import {
  type Compiled,
  compile,
  crossEntropy,
  dim,
  gelu,
  init,
  layerNorm,
  logSoftmax,
  random,
  softmax,
  spec,
  specOf,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
  zeros,
  zerosLike,
} from '../../index.ts';
import { isOnWebgpu } from '../support/target.ts';

type Layer = { weight: Tensor; bias: Tensor };
type Step<S> = (state: S, x: Tensor, y: Tensor) => readonly [loss: Tensor, next: S];

const regressionLoss = ({ weight, bias }: Layer, x: Tensor, y: Tensor) =>
  x.matmul(weight).add(bias).sub(y).square().mean();

/** Gradient descent on the mean squared error. */
const regressionStep: Step<Layer> = (parameters, x, y) => {
  const [loss, gradients] = valueAndGrad(regressionLoss)(parameters, x, y);
  return [loss, tree.map((p, g) => p.sub(g.mul(0.02)), parameters, gradients)];
};

const forward = (layers: readonly Layer[], x: Tensor): Tensor =>
  layers.reduce((h, { weight, bias }, i) => {
    const y = h.matmul(weight).add(bias);
    return i < layers.length - 1 ? y.relu() : y;
  }, x);

const classifierLoss = (layers: Layer[], x: Tensor, labels: Tensor) => crossEntropy(forward(layers, x), labels);

type AdamState = { layers: Layer[]; mean: Layer[]; variance: Layer[]; count: Tensor };

const adamStep: Step<AdamState> = ({ layers, mean, variance, count }, x, labels) => {
  const [loss, gradients] = valueAndGrad(classifierLoss)(layers, x, labels);
  const t = count.add(1);
  const m = tree.map((old, g) => old.mul(0.9).add(g.mul(0.1)), mean, gradients);
  const v = tree.map((old, g) => old.mul(0.999).add(g.square().mul(0.001)), variance, gradients);
  const [first, second] = [0.9, 0.999].map((beta) => tensor(1).sub(tensor(beta).pow(t)));
  const next = tree.map((p, a, b) => p.sub(a.div(first).div(b.div(second).sqrt().add(1e-8)).mul(0.01)), layers, m, v);
  return [loss, { layers: next, mean: m, variance: v, count: t }];
};

const descentStep: Step<Layer[]> = (layers, x, labels) => {
  const [loss, gradients] = valueAndGrad(classifierLoss)(layers, x, labels);
  return [loss, tree.map((p, g) => p.sub(g.mul(0.1)), layers, gradients)];
};

/** Fresh layers between the given widths. */
function layersOf(widths: readonly number[]): Layer[] {
  const keys = random.split(random.key(7), widths.length).unstack();
  return widths.slice(1).map((to, i) => ({
    weight: random.normal(keys[i], [widths[i], to]).mul(1 / Math.sqrt(widths[i])),
    bias: zeros([to]),
  }));
}

/** The losses of some steps and the last state, as bits. */
async function trajectory<S>(step: Step<S>, initial: S, x: Tensor, y: Tensor, steps: number): Promise<Float32Array[]> {
  let state = initial;
  const losses = new Float32Array(steps);
  for (let i = 0; i < steps; i++) {
    const [loss, next] = step(state, x, y);
    losses[i] = Number(await loss.item());
    state = next;
  }
  return [losses, ...(await valuesOf(state))];
}

const valuesOf = (state: unknown): Promise<Float32Array[]> =>
  Promise.all(
    (tree.leaves(state) as Tensor[]).map(async (leaf) => Float32Array.from((await leaf.data()) as Float32Array)),
  );

async function copyOf<S>(state: S): Promise<S> {
  const values = await valuesOf(state);
  return tree.map((t: Tensor) => tensor(values.shift()!, { shape: [...t.shape] }), state as never) as S;
}

/** The same bits on WASM; on WebGPU what the roundings of fifty steps make of it. */
function expectSame(given: readonly Float32Array[], expected: readonly Float32Array[]): void {
  if (!isOnWebgpu) {
    expect(given).toEqual(expected);
    return;
  }
  given.forEach((values, i) => {
    const scale = expected[i].reduce((greatest, value) => Math.max(greatest, Math.abs(value)), 1e-3);
    values.forEach((value, k) => {
      expect(Math.abs(value - expected[i][k])).toBeLessThan(1e-3 * scale);
    });
  });
}

describe('strict: eager, compiled, and with the state given up: the same', () => {
  beforeAll(() => init({ precision: 'strict' }));
  afterAll(() => init());
  const steps = 50;

  async function compareWays<S>(step: Step<S>, make: () => S, x: Tensor, y: Tensor): Promise<Float32Array> {
    const initial = make();
    const eager = await trajectory(step, await copyOf(initial), x, y, steps);
    const compiled = await trajectory(compile(step, { precision: 'strict' }), await copyOf(initial), x, y, steps);
    expectSame(compiled, eager);
    const donating = compile(step, { precision: 'strict', donate: [0] });
    expectSame(await trajectory(donating, await copyOf(initial), x, y, steps), eager);
    expect(donating.stats()).toMatchObject({ calls: steps, compiles: 1, recompiles: [] });
    return eager[0];
  }

  test('linear regression', async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const y = tensor([[2], [4], [6]]);
    const make = () => ({ weight: tensor([[0.5], [-0.3]]), bias: tensor([0.1]) });
    const losses = await compareWays(regressionStep, make, x, y);
    expect(losses[steps - 1]).toBeLessThan(losses[0] / 20);
  });

  test('a network with Adam', async () => {
    const [a, b] = random.split(random.key(3), 2).unstack();
    const x = random.normal(a, [12, 7]);
    const labels = random.randint(b, [12], 0, 3);
    const make = () => {
      const layers = layersOf([7, 19, 3]);
      return { layers, mean: tree.map(zerosLike, layers), variance: tree.map(zerosLike, layers), count: tensor(0) };
    };
    const losses = await compareWays(adamStep, make, x, labels);
    expect(losses[steps - 1]).toBeLessThan(losses[0] / 2);
  });
});

test('fast: one program for batches of 1, 7 and 64, close to eager', async () => {
  const size = dim('B', { min: 1, max: 128 });
  const layers = layersOf([9, 33, 4]);
  const step = compile(descentStep, { dynamic: [null, spec([size, 9]), spec([size], 'int32')] });
  for (const b of [1, 7, 64]) {
    const x = random.normal(random.key(b), [b, 9]);
    const labels = random.randint(random.key(b), [b], 0, 4);
    const [loss, next] = step(layers, x, labels);
    const [expected, expectedNext] = descentStep(layers, x, labels);
    expect(Number(await loss.item())).toBeCloseTo(Number(await expected.item()), 5);
    const leaves = await Promise.all([next, expectedNext].map(valuesOf));
    leaves[0].forEach((leaf, i) => {
      leaf.forEach((value, k) => {
        expect(Math.abs(Number(value) - Number(leaves[1][i][k]))).toBeLessThan(1e-6);
      });
    });
  }
  expect(step.stats().compiles).toBe(1);
});

describe('kernels', () => {
  /** Kernels of one run, and ops traced, constants left out. */
  function countsOf<F extends (...args: never[]) => unknown>(
    fn: Compiled<F>,
    ...args: unknown[]
  ): { readonly kernels: number; readonly ops: number; readonly refusals: string } {
    const call = fn as unknown as {
      explain(...given: unknown[]): { kernels: number; toString(): string };
      lower(...given: unknown[]): { graph: unknown };
    };
    const lines = String(call.lower(...args).graph).split('\n');
    const ops = lines.filter((line) => line.includes(' = ') && !line.includes(' = constant')).length;
    const explanation = call.explain(...args);
    return { kernels: explanation.kernels, ops, refusals: String(explanation) };
  }

  const x = spec([32, 100]);
  test.each([
    ['softmax', compile((t: Tensor) => softmax(t, -1)), [x]],
    ['logSoftmax', compile((t: Tensor) => logSoftmax(t, -1)), [x]],
    ['gelu', compile((t: Tensor) => gelu(t)), [x]],
    [
      'layerNorm',
      compile((t: Tensor, weight: Tensor, bias: Tensor) => layerNorm(t, weight, bias)),
      [x, spec([100]), spec([100])],
    ],
  ] as const)('%s is one', (_, fn, args) => {
    const { kernels, refusals } = countsOf(fn as Compiled<(...a: never[]) => unknown>, ...args);
    expect(kernels, refusals).toBe(1);
  });

  test('a training step of a classifier (784, 256, 10) has at most 12', () => {
    const layers = [784, 256].map((from, i) => ({ weight: spec([from, [256, 10][i]]), bias: spec([[256, 10][i]]) }));
    const { kernels, refusals } = countsOf(compile(descentStep), layers, spec([64, 784]), spec([64], 'int32'));
    expect(kernels, refusals).toBeLessThanOrEqual(12);
  });

  test('a training step of the language model has at most a third of its ops', () => {
    const step = compile(trainingStep, { donate: [0] });
    const state = specOf(initialState(80, 1));
    const counts = countsOf(step, state, spec([batch, context], 'int32'), spec([batch], 'int32'));
    expect(counts.kernels, counts.refusals).toBeLessThanOrEqual(counts.ops / 3);
  });
});
