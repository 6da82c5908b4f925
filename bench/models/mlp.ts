/**
 * A classifier of dense layers with relu between them and cross-entropy at the end.
 *
 *     mlp({ batch: 64, sizes: [784, 256, 256, 10] })
 */
import { crossEntropy, type Dim, relu, type Tensor } from '../../index.ts';
import { inputs } from './model.ts';
import type { LossModel } from './training.ts';

export interface Dense<T = Tensor> {
  readonly weight: T;
  readonly bias: T;
}

/** Specs of a layer from `from` features to `to`. */
export const denseSpecs = (from: number, to: number) => ({
  weight: inputs.weight([from, to], from),
  bias: inputs.floats([to], 0.1),
});

/** `x @ weight + bias`. */
export const dense = (x: Tensor, { weight, bias }: Dense): Tensor => x.matmul(weight).add(bias);

export interface MlpOptions {
  readonly batch: Dim;
  /** Features of the input, of each hidden layer, and the number of classes. */
  readonly sizes: readonly number[];
}

export function mlp({ batch, sizes }: MlpOptions): LossModel<readonly Dense[], [x: Tensor, labels: Tensor]> {
  return {
    name: 'MLP',
    loss: (layers, x, labels) => {
      const hidden = layers.slice(0, -1).reduce((h, layer) => relu(dense(h, layer)), x);
      return crossEntropy(dense(hidden, layers[layers.length - 1]), labels);
    },
    parameters: () => sizes.slice(1).map((size, i) => denseSpecs(sizes[i], size)),
    data: () => [inputs.floats([batch, sizes[0]]), inputs.integers([batch], sizes[sizes.length - 1])],
  };
}
