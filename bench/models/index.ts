/**
 * All bench graphs by name, in two sizes: `bench` is what measures are taken on, `small` what the reference evaluator
 * can follow. The numbers of kernels hold for `bench`.
 *
 *     modelsOf('small').map(({ name }) => name)      // 'MLP forward', ...
 */
import { batchNormBlocks, type ImageOptions, type RowOptions, rowBlocks } from './blocks.ts';
import { elementwiseChains, matmulChains } from './chains.ts';
import { blockLoss, blockModel, type GptOptions, gpt } from './gpt.ts';
import { type MlpOptions, mlp } from './mlp.ts';
import type { Model } from './model.ts';
import { type ResNetOptions, resnet50 } from './resnet.ts';
import { forwardModel, gradientModel, stepModel } from './training.ts';

export { batchNormBlocks, rowBlocks } from './blocks.ts';
export { elementwiseChains, matmulChains } from './chains.ts';
export { blockLoss, blockModel, gpt } from './gpt.ts';
export { mlp } from './mlp.ts';
export type { Model } from './model.ts';
export { convolutionCount, resnet50 } from './resnet.ts';
export { forwardModel, gradientModel, stepModel } from './training.ts';

interface Sizes {
  readonly mlp: MlpOptions;
  readonly gpt: GptOptions;
  readonly resnet: ResNetOptions;
  readonly rows: RowOptions;
  readonly images: ImageOptions;
  readonly elements: number;
  readonly matrix: number;
}

/** Sizes of everything in the registry. */
export const modelSizes = {
  bench: {
    mlp: { batch: 64, sizes: [784, 256, 256, 10] },
    gpt: { batch: 4, time: 64, width: 128, heads: 4, layers: 4, vocabulary: 256 },
    resnet: { batch: 1, image: 224 },
    rows: { rows: 1024, size: 1024, batch: 32 },
    images: { batch: 8, channels: 64, image: 28 },
    elements: 1 << 20,
    matrix: 256,
  },
  small: {
    mlp: { batch: 6, sizes: [10, 17, 9, 5] },
    gpt: { batch: 2, time: 5, width: 8, heads: 2, layers: 2, vocabulary: 11 },
    resnet: { batch: 1, image: 32, width: 2, blocks: [2, 1, 1, 1], classes: 5 },
    rows: { rows: 7, size: 37, batch: 4 },
    images: { batch: 3, channels: 5, image: 4 },
    elements: 133,
    matrix: 16,
  },
} as const satisfies Readonly<Record<string, Sizes>>;

/** The registry. Names are the same in both sizes. */
export function modelsOf(size: keyof typeof modelSizes): readonly Model[] {
  const sizes: Sizes = modelSizes[size];
  const [classifier, language] = [mlp(sizes.mlp), gpt(sizes.gpt)];
  return [
    forwardModel(classifier),
    stepModel(classifier, 'sgd'),
    stepModel(classifier, 'adam'),
    blockModel(sizes.gpt),
    gradientModel(blockLoss(sizes.gpt)),
    forwardModel(language),
    gradientModel(language),
    stepModel(language, 'sgd'),
    stepModel(language, 'adam'),
    resnet50(sizes.resnet),
    ...rowBlocks(sizes.rows),
    ...batchNormBlocks(sizes.images),
    ...elementwiseChains(sizes.elements),
    ...matmulChains(sizes.matrix),
  ];
}
