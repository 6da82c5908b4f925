/**
 * ResNet-50 for inference (He et al., 2016; stride on the 3×3 convolution as in torchvision): a 7×7 stem, four stages
 * of bottlenecks, global average pool and a linear head. Norms use the statistics of training, so that each is a scale
 * and a shift of its convolution's result.
 *
 *     resnet50({ batch: 1, image: 224 })             // 53 convolutions
 *     resnet50({ batch: 1, image: 32, width: 4, blocks: [1, 1, 1, 1] })
 */
import { conv2d, maxPool2d, relu, type Tensor } from '../../index.ts';
import { type Dense, dense, denseSpecs } from './mlp.ts';
import { defineModel, inputs, type Model } from './model.ts';

/** Statistics and parameters of a batch norm, one element a channel. */
export interface BatchNorm<T = Tensor> {
  readonly mean: T;
  readonly variance: T;
  readonly weight: T;
  readonly bias: T;
}

/** A convolution without bias, and the norm after it. */
export interface ConvNorm<T = Tensor> {
  /** `[out, in, kernel, kernel]` */
  readonly kernel: T;
  readonly norm: BatchNorm<T>;
}

export interface Bottleneck<T = Tensor> {
  readonly reduce: ConvNorm<T>;
  readonly spatial: ConvNorm<T>;
  readonly expand: ConvNorm<T>;
  /** Brings the input to the shape of the result; null where it has it. */
  readonly shortcut: ConvNorm<T> | null;
}

export interface ResNetParameters<T = Tensor> {
  readonly stem: ConvNorm<T>;
  readonly stages: readonly (readonly Bottleneck<T>[])[];
  readonly head: Dense<T>;
}

export interface ResNetOptions {
  readonly batch: number;
  /** Height and width of the images. */
  readonly image: number;
  /** Channels of the stem: 64 unless given. */
  readonly width?: number;
  /** Bottlenecks of each stage: 3, 4, 6, 3 unless given. */
  readonly blocks?: readonly number[];
  /** 1000 unless given. */
  readonly classes?: number;
}

/** What a bottleneck's result has more channels than its middle. */
const expansion = 4;

/** `(x - mean) / sqrt(variance + eps) * weight + bias` for each channel of `[N, C, H, W]`. */
export function batchNormInference(x: Tensor, { mean, variance, weight, bias }: BatchNorm): Tensor {
  const channel = (values: Tensor): Tensor => values.reshape([1, -1, 1, 1]);
  const scale = weight.mul(variance.add(1e-5).rsqrt());
  return x.sub(channel(mean)).mul(channel(scale)).add(channel(bias));
}

const convNorm = (x: Tensor, { kernel, norm }: ConvNorm, stride = 1): Tensor => {
  const padding = Math.floor(kernel.shape[2] / 2);
  return batchNormInference(conv2d(x, kernel, { stride, padding }), norm);
};

function bottleneck(x: Tensor, { reduce, spatial, expand, shortcut }: Bottleneck, stride: number): Tensor {
  const narrow = relu(convNorm(x, reduce));
  const wide = convNorm(relu(convNorm(narrow, spatial, stride)), expand);
  return relu(wide.add(shortcut === null ? x : convNorm(x, shortcut, stride)));
}

/** `images: f32[batch, 3, size, size]` to scores `f32[batch, classes]`. */
export function resnet({ stem, stages, head }: ResNetParameters, images: Tensor): Tensor {
  let x: Tensor = maxPool2d(relu(convNorm(images, stem, 2)), 3, { stride: 2, padding: 1 });
  stages.forEach((blocks, stage) => {
    blocks.forEach((block, at) => {
      x = bottleneck(x, block, stage > 0 && at === 0 ? 2 : 1);
    });
  });
  return dense(x.mean([2, 3]), head);
}

const convNormSpecs = (from: number, to: number, size: number) => ({
  kernel: inputs.weight([to, from, size, size], from * size * size),
  norm: {
    mean: inputs.floats([to], 0.1),
    variance: inputs.positive([to]),
    weight: inputs.gain([to]),
    bias: inputs.floats([to], 0.1),
  },
});

function stageSpecs(from: number, middle: number, blocks: number) {
  const to = middle * expansion;
  return Array.from({ length: blocks }, (_, at) => {
    const before = at === 0 ? from : to;
    return {
      reduce: convNormSpecs(before, middle, 1),
      spatial: convNormSpecs(middle, middle, 3),
      expand: convNormSpecs(middle, to, 1),
      shortcut: at === 0 ? convNormSpecs(before, to, 1) : null,
    };
  });
}

export function resnet50(options: ResNetOptions): Model {
  const { batch, image, width = 64, blocks = [3, 4, 6, 3], classes = 1000 } = options;
  const stages = blocks.map((count, at) => ({
    count,
    middle: width * 2 ** at,
    from: at === 0 ? width : width * 2 ** (at - 1) * expansion,
  }));
  const last = stages[stages.length - 1];
  return defineModel('ResNet-50 forward', resnet, () => [
    {
      stem: convNormSpecs(3, width, 7),
      stages: stages.map(({ from, middle, count }) => stageSpecs(from, middle, count)),
      head: denseSpecs(last.middle * expansion, classes),
    },
    inputs.floats([batch, 3, image, image]),
  ]);
}

/** Convolutions of a network: the stem, three a bottleneck, and one shortcut a stage. */
export const convolutionCount = (blocks: readonly number[]): number =>
  blocks.reduce((count, bottlenecks) => count + 3 * bottlenecks + 1, 1);
