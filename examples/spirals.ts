/**
 * Three spirals, told apart by a network of two hidden layers. The same code trains in Node, in a page and in a Web
 * Worker, on WASM and on WebGPU; data and parameters come from seeds, so that the answers agree.
 *
 *     const { loss, accuracy } = await trainSpirals({ steps: 200 });
 */
import { compile, crossEntropy, random, softmax, type Tensor, tensor, valueAndGrad, zeros } from '../index.ts';
import { type AdamState, adam, adamState } from './adam.ts';
import { accuracyOf, arms, spirals } from './spiral-points.ts';

const hidden = 64;

export type Layer = { weight: Tensor; bias: Tensor };
export type Parameters = { first: Layer; second: Layer; output: Layer };
export type TrainingState = AdamState<Parameters>;

/** Points float32[n, 2] to logits float32[n, arms]. */
export function predict({ first, second, output }: Parameters, points: Tensor): Tensor {
  const h1 = points.matmul(first.weight).add(first.bias).tanh();
  const h2 = h1.matmul(second.weight).add(second.bias).tanh();
  return h2.matmul(output.weight).add(output.bias);
}

/** How likely each arm is: points float32[n, 2] to float32[n, arms]. */
export const likelihood = (parameters: Parameters, points: Tensor): Tensor => softmax(predict(parameters, points));

/** Mean cross-entropy, in nats. */
export const lossOf = (parameters: Parameters, points: Tensor, labels: Tensor) =>
  crossEntropy(predict(parameters, points), labels);

/** One step over all points: `[loss, next state]`. */
export function trainingStep(state: TrainingState, points: Tensor, labels: Tensor) {
  const [loss, gradients] = valueAndGrad(lossOf)(state.parameters, points, labels);
  return [loss, adam(state, gradients, { learningRate: 3e-3 })] as const;
}

/** Fresh parameters, scaled by the square root of the fan-in. */
export function initialState(seed = 1): TrainingState {
  const keys = random.split(random.key(seed), 3).unstack();
  const layer = (key: Tensor, from: number, to: number, gain: number): Layer => ({
    weight: random.normal(key, [from, to]).mul(gain / Math.sqrt(from)),
    bias: zeros([to]),
  });
  return adamState({
    first: layer(keys[0], 2, hidden, 3),
    second: layer(keys[1], hidden, hidden, 1),
    output: layer(keys[2], hidden, arms, 1),
  });
}

export interface SpiralsResult {
  /** The loss before the last step, in nats. */
  readonly loss: number;
  /** Of the parameters after it. */
  readonly accuracy: number;
  /** Of all steps after the first, which waits for the compiler. */
  readonly milliseconds: number;
}

/** Trains from the start, on the device of the session. */
export async function trainSpirals({ steps }: { readonly steps: number }): Promise<SpiralsResult> {
  const { points, labels } = spirals();
  const x = tensor(points, { shape: [labels.length, 2] });
  const y = tensor(labels);
  const step = compile(trainingStep, { donate: [0] });
  let state = initialState();
  let loss: Tensor = zeros([]);
  let start = 0;
  for (let i = 0; i < steps; i++) {
    [loss, state] = step(state, x, y);
    if (i > 0) continue;
    await loss.ready();
    start = performance.now();
  }
  await loss.ready();
  const milliseconds = performance.now() - start;
  const odds = Float32Array.from(await compile(likelihood)(state.parameters, x).data(), Number);
  return { loss: Number(await loss.item()), accuracy: accuracyOf(odds, labels), milliseconds };
}
