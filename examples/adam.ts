/** Adam (Kingma and Ba, 2015) over any tree of parameters. */
import { type Tensor, tensor, tree, zerosLike } from '../index.ts';

/** What Adam keeps between steps: two trees like the parameters, and the number of steps, float32[]. */
export type AdamState<P> = { parameters: P; mean: P; variance: P; step: Tensor };

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

export const adamState = <P>(parameters: P): AdamState<P> => ({
  parameters,
  mean: tree.map(zerosLike, parameters),
  variance: tree.map(zerosLike, parameters),
  step: tensor(0),
});

/** The state after one more step along `gradients`. */
export function adam<P>(state: AdamState<P>, gradients: P, { learningRate }: { learningRate: number }): AdamState<P> {
  const step = state.step.add(1);
  const mean = tree.map((m, g) => m.mul(beta1).add(g.mul(1 - beta1)), state.mean, gradients);
  const variance = tree.map((v, g) => v.mul(beta2).add(g.square().mul(1 - beta2)), state.variance, gradients);
  const rate = step
    .mul(Math.log(beta2))
    .expm1()
    .neg()
    .sqrt()
    .mul(learningRate)
    .div(step.mul(Math.log(beta1)).expm1().neg());
  const parameters = tree.map(
    (p, m, v) => p.sub(rate.mul(m).div(v.sqrt().add(epsilon))),
    state.parameters,
    mean,
    variance,
  );
  return { parameters, mean, variance, step };
}
