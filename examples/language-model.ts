/**
 * A character-level language model: the last 16 characters are embedded, go through two hidden layers of 256 and give
 * the odds of the next one. Trained with cross-entropy and Adam, in one compiled step.
 */
import { compile, crossEntropy, random, type Tensor, take, tensor, tidy, valueAndGrad, zeros } from '../index.ts';
import { type AdamState, adam, adamState } from './adam.ts';

export const context = 16;
export const width = 32;
export const hidden = 256;
export const batch = 16;

export type Layer = { weight: Tensor; bias: Tensor };
export type Parameters = { embedding: Tensor; first: Layer; second: Layer; output: Layer };
export type TrainingState = AdamState<Parameters>;

/** The odds of the next character: tokens int32[B, context] to logits float32[B, vocabulary]. */
export function predict({ embedding, first, second, output }: Parameters, tokens: Tensor): Tensor {
  const x = take(embedding, tokens, 0).reshape([-1, context * width]);
  const h1 = x.matmul(first.weight).add(first.bias).tanh();
  const h2 = h1.matmul(second.weight).add(second.bias).tanh();
  return h2.matmul(output.weight).add(output.bias);
}

/** Mean cross-entropy of the next characters int32[B], in nats. */
export const lossOf = (parameters: Parameters, tokens: Tensor, targets: Tensor) =>
  crossEntropy(predict(parameters, tokens), targets);

/** One step of training: `[loss, next state]`. */
export function trainingStep(state: TrainingState, tokens: Tensor, targets: Tensor) {
  const [loss, gradients] = valueAndGrad(lossOf)(state.parameters, tokens, targets);
  return [loss, adam(state, gradients, { learningRate: 1e-3 })] as const;
}

/** Fresh parameters, scaled by the square root of the fan-in. */
export function initialState(vocabulary: number, seed: number): TrainingState {
  const keys = random.split(random.key(seed), 4).unstack();
  const layer = (key: Tensor, from: number, to: number): Layer => ({
    weight: random.normal(key, [from, to]).mul(1 / Math.sqrt(from)),
    bias: zeros([to]),
  });
  const parameters: Parameters = {
    embedding: random.normal(keys[0], [vocabulary, width]).mul(0.1),
    first: layer(keys[1], context * width, hidden),
    second: layer(keys[2], hidden, hidden),
    output: layer(keys[3], hidden, vocabulary),
  };
  return adamState(parameters);
}

/** Text as numbers: each distinct character is a token. */
export class CharacterText {
  readonly characters: readonly string[];
  readonly tokens: Int32Array;
  #random: number;

  /** @param seed of the order in which `nextBatch` draws windows */
  constructor(text: string, seed: number) {
    this.characters = [...new Set(text)].sort();
    const numbers = new Map(this.characters.map((character, index) => [character, index]));
    this.tokens = Int32Array.from(text, (character) => numbers.get(character) ?? 0);
    this.#random = seed;
  }

  /** A batch of random windows: tokens int32[batch, context] and the characters that follow, int32[batch]. */
  nextBatch(): readonly [tokens: Tensor, targets: Tensor] {
    const tokens = new Int32Array(batch * context);
    const targets = new Int32Array(batch);
    for (let row = 0; row < batch; row++) {
      this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
      const start = this.#random % (this.tokens.length - context);
      tokens.set(this.tokens.subarray(start, start + context), row * context);
      targets[row] = this.tokens[start + context];
    }
    return [tensor(tokens, { shape: [batch, context] }), tensor(targets)];
  }
}

export interface TrainingProgress {
  readonly step: number;
  /** In nats, the mean of the last forty losses that were read: a single batch of 16 says little. */
  readonly loss: number;
  readonly stepsPerSecond: number;
}

export interface TrainingOptions {
  readonly steps: number;
  /** Training ends early when this much time has passed. */
  readonly milliseconds: number;
  readonly onProgress?: (progress: TrainingProgress) => void;
}

/** Trains from a fresh state and returns the last one. The loss is read, and reported, each 50 steps. */
export async function train(
  text: CharacterText,
  { steps, milliseconds, onProgress }: TrainingOptions,
): Promise<TrainingState> {
  const step = compile(trainingStep, { donate: [0] });
  const start = performance.now();
  let state = initialState(text.characters.length, 1);
  const recent: number[] = [];
  for (let i = 1; i <= steps; i++) {
    const [tokens, targets] = text.nextBatch();
    const [loss, next] = step(state, tokens, targets);
    state = next;
    const last = i === steps || performance.now() - start > milliseconds;
    if (i % 50 === 0 || last) {
      recent.push(Number(await loss.item()));
      if (recent.length > 40) recent.shift();
      const mean = recent.reduce((sum, value) => sum + value, 0) / recent.length;
      onProgress?.({ step: i, loss: mean, stepsPerSecond: (i * 1000) / (performance.now() - start) });
    }
    for (const done of [tokens, targets, loss]) done.dispose();
    if (last) break;
  }
  return state;
}

/** Continues `prompt` by `length` characters, drawn at the given temperature. */
export async function sample(
  text: CharacterText,
  parameters: Parameters,
  prompt: string,
  length: number,
): Promise<string> {
  const draw = compile((p: Parameters, tokens: Tensor, key: Tensor) =>
    random.categorical(key, predict(p, tokens).div(0.7)).reshape([]),
  );
  const padded = prompt.padStart(context, ' ');
  const written = [...padded];
  let key = random.key(2);
  for (let i = 0; i < length; i++) {
    const window = written.slice(-context).map((character) => Math.max(0, text.characters.indexOf(character)));
    const [use, next] = tidy(() => random.split(key).unstack());
    using tokens = tensor(Int32Array.from(window), { shape: [1, context] });
    using token = draw(parameters, tokens, use);
    written.push(text.characters[await token.item()]);
    key.dispose();
    use.dispose();
    key = next;
  }
  return written.slice(padded.length - prompt.length).join('');
}
