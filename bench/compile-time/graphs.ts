/**
 * Graphs of any length, for the growth of compile time: a GPT whose layers are equal, a classifier none of whose layers
 * is like another, and one long chain. `opsOf` of them grows with `size`.
 */
import type { Tensor } from '../../index.ts';
import { blockSpecs, transformerBlock } from '../models/gpt.ts';
import { gpt, gradientModel, type Model, mlp, modelSizes, stepModel } from '../models/index.ts';
import { defineModel, inputs } from '../models/model.ts';

export interface GraphFamily {
  readonly what: string;
  /** About so many ops for each unit of size. */
  readonly opsPerUnit: number;
  make(size: number): Model;
}

/** Widths of layers, all different. */
const widths = (layers: number): number[] => Array.from({ length: layers + 1 }, (_, i) => 8 + ((i * 7) % 997));

function chain(length: number): Model {
  const fn = (x: Tensor, y: Tensor): Tensor => {
    let value = x;
    for (let i = 0; i < length; i++)
      value = value
        .mul(y)
        .add(0.5 + i / 1e6)
        .tanh();
    return value;
  };
  return defineModel('chain', fn, () => [inputs.floats([256]), inputs.floats([256])]);
}

export const graphFamilies = {
  equal: {
    what: 'equal layers (GPT, forward and backward)',
    opsPerUnit: 216,
    make: (layers) => gradientModel(gpt({ ...modelSizes.bench.gpt, layers })),
  },
  different: {
    what: 'different layers (classifier, step with Adam)',
    opsPerUnit: 70,
    make: (layers) => stepModel(mlp({ batch: 4, sizes: widths(layers) }), 'adam'),
  },
  chain: { what: 'one elementwise chain', opsPerUnit: 5, make: chain },
} as const satisfies Readonly<Record<string, GraphFamily>>;

/** What is compiled cold: a language model of twelve layers, forward and backward. */
export const coldModel = graphFamilies.equal.make(12);

/** So many transformer blocks and nothing else, forward and backward. */
export const blocksModel = (blocks: number): Model =>
  gradientModel({
    name: `${blocks} blocks`,
    loss: (parameters: readonly Parameters<typeof transformerBlock>[1][], x: Tensor) =>
      parameters
        .reduce((h, block) => transformerBlock(h, block, 4), x)
        .square()
        .mean(),
    parameters: () => Array.from({ length: blocks }, () => blockSpecs(128)),
    data: () => [inputs.floats([2, 64, 128])],
  });
