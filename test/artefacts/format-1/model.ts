/**
 * What the artefact of format 1 was baked from: a perceptron with two layers, its forward pass and a training step, for
 * any number of rows. It stays as it is: the artefact beside it is older than the code that loads it.
 */
import {
  crossEntropy,
  defineBake,
  dim,
  spec,
  specOf,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
} from '../../../index.ts';
import { numbers } from './inputs.ts';

export interface Layer {
  readonly w: Tensor;
  readonly b: Tensor;
}

export interface Params {
  readonly hidden: Layer;
  readonly out: Layer;
}

const layer = (inputs: number, outputs: number, step: number): Layer => ({
  w: tensor(numbers(inputs * outputs, step), { shape: [inputs, outputs] }),
  b: tensor(numbers(outputs, step + 4)),
});

export const newParams = (): Params => ({ hidden: layer(8, 16, 37), out: layer(16, 3, 29) });

export const forward = ({ hidden, out }: Params, x: Tensor): Tensor =>
  x.matmul(hidden.w).add(hidden.b).relu().matmul(out.w).add(out.b);

export const step = (params: Params, x: Tensor, labels: Tensor, rate: number): { loss: Tensor; params: Params } => {
  const [loss, gradients] = valueAndGrad((p: Params) => crossEntropy(forward(p, x), labels))(params);
  return { loss, params: tree.map((w: Tensor, g: Tensor) => w.sub(g.mul(rate)), params, gradients) };
};

const rows = dim('B', { max: 64 });
const params = newParams();

export default defineBake(
  {
    forward: { fn: forward, args: [specOf(params), spec([rows, 8])], precision: 'strict' },
    step: {
      fn: step,
      args: [specOf(params), spec([rows, 8]), spec([rows], 'int32'), 0.5],
      donate: [0],
      precision: 'strict',
    },
  },
  { weights: { params } },
);
