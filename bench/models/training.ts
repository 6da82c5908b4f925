/**
 * Training steps of any loss over a tree of parameters: loss, gradient and update in one function.
 *
 *     trainingStep('GPT', lossOf, parameters, data, 'adam')
 *       (state, ...data) → [loss, next state]
 */
import { type Dim, type Tensor, type TensorSpec, tree, valueAndGrad } from '../../index.ts';
import { defineModel, inputs, type Model } from './model.ts';

export type Optimizer = 'sgd' | 'adam';

/** A loss of parameters and data, with the specs of both. */
export interface LossModel<P, D extends readonly unknown[]> {
  readonly name: string;
  readonly loss: (parameters: P, ...data: D) => Tensor;
  readonly parameters: () => unknown;
  readonly data: () => readonly unknown[];
}

/** What Adam carries from step to step. */
export interface AdamState<P> {
  readonly parameters: P;
  readonly mean: P;
  readonly variance: P;
  readonly step: Tensor;
}

const rates = { sgd: 0.1, adam: 1e-3 } as const;
const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** Parameters after a step against the gradients. */
export const descend = <P>(parameters: P, gradients: P): P =>
  tree.map((p: Tensor, g: Tensor) => p.sub(g.mul(rates.sgd)), parameters, gradients);

/** One update by Adam (Kingma and Ba, 2015). */
export function adam<P>({ parameters, mean, variance, step }: AdamState<P>, gradients: P): AdamState<P> {
  const next = step.add(1);
  const nextMean = tree.map((m: Tensor, g: Tensor) => m.mul(beta1).add(g.mul(1 - beta1)), mean, gradients);
  const nextVariance = tree.map(
    (v: Tensor, g: Tensor) => v.mul(beta2).add(g.square().mul(1 - beta2)),
    variance,
    gradients,
  );
  const correction = (beta: number): Tensor => next.mul(Math.log(beta)).expm1().neg();
  const rate = correction(beta2).sqrt().mul(rates.adam).div(correction(beta1));
  const moved = tree.map(
    (p: Tensor, m: Tensor, v: Tensor) => p.sub(rate.mul(m).div(v.sqrt().add(epsilon))),
    parameters,
    nextMean,
    nextVariance,
  );
  return { parameters: moved, mean: nextMean, variance: nextVariance, step: next };
}

/** The loss alone. */
export const forwardModel = <P, D extends readonly unknown[]>(model: LossModel<P, D>): Model =>
  defineModel(`${model.name} forward`, model.loss, () => [model.parameters(), ...model.data()]);

/** Loss and gradients with respect to the parameters. */
export const gradientModel = <P, D extends readonly unknown[]>(model: LossModel<P, D>): Model =>
  defineModel(`${model.name} gradient`, valueAndGrad(model.loss), () => [model.parameters(), ...model.data()]);

/** Loss, gradients and the update: `(state, ...data)` to `[loss, next state]`. */
export function stepModel<P, D extends readonly unknown[]>(model: LossModel<P, D>, optimizer: Optimizer): Model {
  const valueAndGradients = valueAndGrad(model.loss) as (parameters: P, ...data: D) => [Tensor, P];
  if (optimizer === 'sgd') {
    const step = (parameters: P, ...data: D) => {
      const [loss, gradients] = valueAndGradients(parameters, ...data);
      return [loss, descend(parameters, gradients)] as const;
    };
    return defineModel(`${model.name} step, SGD`, step, () => [model.parameters(), ...model.data()]);
  }
  const step = (state: AdamState<P>, ...data: D) => {
    const [loss, gradients] = valueAndGradients(state.parameters, ...data);
    return [loss, adam(state, gradients)] as const;
  };
  return defineModel(`${model.name} step, Adam`, step, () => [adamState(model.parameters()), ...model.data()]);
}

function adamState(parameters: unknown): AdamState<unknown> | object {
  const like = (make: (shape: readonly Dim[]) => TensorSpec): unknown => {
    const { leaves, structure } = tree.flatten<unknown>(parameters);
    const specs = leaves.map((leaf) => make((leaf as TensorSpec).shape));
    return tree.unflatten(structure, specs);
  };
  return {
    parameters,
    mean: like((shape) => inputs.floats(shape, 0.1)),
    variance: like(inputs.positive),
    step: inputs.constant(3),
  };
}
