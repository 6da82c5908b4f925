/**
 * A language model after GPT-2 (Radford et al., 2019): token and position embeddings, pre-norm transformer blocks with
 * causal attention, a last norm, and the token table again as the head. Attention is written out, so that what the
 * compiler makes of it is its own doing.
 *
 *     gpt({ layers: 4, width: 128, heads: 4, vocabulary: 256, time: 64, batch: 4 })
 */
import { crossEntropy, embedding, gelu, layerNorm, ones, softmax, type Tensor, tril, where } from '../../index.ts';
import { type Dense, dense, denseSpecs } from './mlp.ts';
import { defineModel, inputs, type Model } from './model.ts';
import type { LossModel } from './training.ts';

export interface Norm<T = Tensor> {
  readonly weight: T;
  readonly bias: T;
}

export interface Block<T = Tensor> {
  readonly attentionNorm: Norm<T>;
  /** From the width to queries, keys and values side by side. */
  readonly qkv: Dense<T>;
  readonly out: Dense<T>;
  readonly mlpNorm: Norm<T>;
  readonly up: Dense<T>;
  readonly down: Dense<T>;
}

export interface GptParameters<T = Tensor> {
  readonly tokens: T;
  readonly positions: T;
  readonly blocks: readonly Block<T>[];
  readonly norm: Norm<T>;
}

export interface BlockOptions {
  readonly batch: number;
  readonly time: number;
  readonly width: number;
  readonly heads: number;
}

export interface GptOptions extends BlockOptions {
  readonly layers: number;
  readonly vocabulary: number;
}

export const normSpecs = (width: number) => ({ weight: inputs.gain([width]), bias: inputs.floats([width], 0.1) });

export const blockSpecs = (width: number) => ({
  attentionNorm: normSpecs(width),
  qkv: denseSpecs(width, 3 * width),
  out: denseSpecs(width, width),
  mlpNorm: normSpecs(width),
  up: denseSpecs(width, 4 * width),
  down: denseSpecs(4 * width, width),
});

const normalize = (x: Tensor, { weight, bias }: Norm): Tensor => layerNorm(x, weight, bias);

/** `softmax(mask(q kᵀ / sqrt(size))) v` of tensors `[batch, heads, time, size]`. */
export function causalAttention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const [time, size] = q.shape.slice(-2);
  const scores = q.matmul(k.mT).mul(1 / Math.sqrt(size));
  const seen = tril(ones([time, time], { dtype: 'bool' }));
  return softmax(where(seen, scores, -1e9)).matmul(v);
}

/** Attention among the positions of `x: f32[batch, time, width]`. */
export function selfAttention(x: Tensor, { qkv, out }: Pick<Block, 'qkv' | 'out'>, heads: number): Tensor {
  const [batch, time, width] = x.shape;
  const [q, k, v] = dense(x, qkv)
    .split(3, -1)
    .map((part) => part.reshape([batch, time, heads, width / heads]).transpose([0, 2, 1, 3]));
  const mixed = causalAttention(q, k, v).transpose([0, 2, 1, 3]).reshape([batch, time, width]);
  return dense(mixed, out);
}

/** One pre-norm block. */
export function transformerBlock(x: Tensor, block: Block, heads: number): Tensor {
  const attended = x.add(selfAttention(normalize(x, block.attentionNorm), block, heads));
  return attended.add(dense(gelu(dense(normalize(attended, block.mlpNorm), block.up)), block.down));
}

/** Scores of the next token: int32[batch, time] to f32[batch, time, vocabulary]. */
export function gptLogits({ tokens, positions, blocks, norm }: GptParameters, text: Tensor, heads: number): Tensor {
  const embedded = embedding(text, tokens).add(positions);
  const last = blocks.reduce((x, block) => transformerBlock(x, block, heads), embedded);
  return normalize(last, norm).matmul(tokens.mT);
}

export function gpt(options: GptOptions): LossModel<GptParameters, [text: Tensor, next: Tensor]> {
  const { batch, time, width, heads, layers, vocabulary } = options;
  return {
    name: 'GPT',
    loss: (parameters, text, next) => crossEntropy(gptLogits(parameters, text, heads), next),
    parameters: () => ({
      tokens: inputs.weight([vocabulary, width], width),
      positions: inputs.floats([time, width], 0.1),
      blocks: Array.from({ length: layers }, () => blockSpecs(width)),
      norm: normSpecs(width),
    }),
    data: () => [inputs.integers([batch, time], vocabulary), inputs.integers([batch, time], vocabulary)],
  };
}

/** A block alone, forward. */
export function blockModel({ batch, time, width, heads }: BlockOptions): Model {
  return defineModel(
    'transformer block forward',
    (block: Block, x: Tensor) => transformerBlock(x, block, heads),
    () => [blockSpecs(width), inputs.floats([batch, time, width])],
  );
}

/** A block alone as a loss, for its gradient. */
export function blockLoss({ batch, time, width, heads }: BlockOptions): LossModel<Block, [x: Tensor, target: Tensor]> {
  const rows = (): ReturnType<typeof inputs.floats> => inputs.floats([batch, time, width]);
  return {
    name: 'transformer block',
    loss: (block, x, target) => transformerBlock(x, block, heads).sub(target).square().mean(),
    parameters: () => blockSpecs(width),
    data: () => [rows(), rows()],
  };
}
