/**
 * Random networks as users write them, through the public functions: two to five layers of the same make, now and then
 * with another between, of attention (masks, fewer heads of keys, dropout), norms, gated and low-rank products,
 * convolutions with statistics of the batch; forward, with gradients, or as a training step, with checkpoints or
 * without.
 *
 *     const network = randomLayers(7);
 *     network.model()                                  // sizes that the seed chose
 *     network.model({ batch: dim('B'), time: dim('T') })   // the same network for symbolic sizes
 */
import type { Dim } from '../../base/dim.ts';
import { defineModel, inputs, type Model } from '../../bench/models/model.ts';
import { descend, forwardModel, gradientModel, stepModel } from '../../bench/models/training.ts';
import * as kiln from '../../index.ts';
import { type Tensor, type TensorSpec, tree } from '../../index.ts';
import { Random } from '../../ir/ops/random.ts';

export interface Sizes {
  readonly batch: Dim;
  readonly time: Dim;
}

export interface RandomLayers {
  readonly sizes: { readonly batch: number; readonly time: number };
  /** What it is made of, for messages. */
  readonly text: string;
  model(sizes?: Sizes): Model;
}

/** What layers share: arguments that are no parameters. */
interface Data {
  /** int32[batch, 1, 1, time], zero where a key is padding. */
  readonly padding: Tensor;
  /** f32[time, time], added to scores. */
  readonly bias: Tensor;
  /** int32[2], a random key. */
  readonly key: Tensor;
}

type Weights = Readonly<Record<string, Tensor>>;

interface Part {
  readonly text: string;
  readonly specs: Readonly<Record<string, TensorSpec>>;
  apply(x: Tensor, weights: Weights, data: Data): Tensor;
}

interface Plan {
  readonly random: Random;
  readonly width: number;
}

type Maker = (plan: Plan) => Part;

const square = (width: number): TensorSpec => inputs.weight([width, width], width);

const softmaxOf = (scores: Tensor, byHand: boolean): Tensor => {
  if (!byHand) return kiln.softmax(scores, -1);
  const e = scores.sub(scores.max(-1, { keepdims: true })).exp();
  return e.div(e.sum(-1, { keepdims: true }));
};

const attention: Maker = ({ random, width }) => {
  const heads = random.pick([1, 2, 2, 4].filter((count) => width % count === 0));
  const share = random.pick([1, 1, heads]);
  const mask = random.pick(['none', 'causal', 'causal', 'finite', 'padding', 'bias', 'both', 'window'] as const);
  const p = random.pick([0, 0, 0, 0.3]);
  const [byHand, together, ready] = [random.boolean(), random.boolean() && share === 1, random.boolean()];
  const size = width / heads;
  const keyWidth = width / share;
  const masked = (scores: Tensor, { padding, bias }: Data): Tensor => {
    const [queries, keys] = scores.shape.slice(-2);
    const seen = kiln.tril(kiln.ones([queries, keys], { dtype: 'bool' }));
    const below = (allowed: Tensor, given: Tensor): Tensor => kiln.where(allowed, given, Number.NEGATIVE_INFINITY);
    if (mask === 'causal') return below(seen, scores);
    if (mask === 'finite') return kiln.where(seen, scores, -1e9);
    if (mask === 'padding') return below(padding.greater(0), scores);
    if (mask === 'bias') return scores.add(bias);
    if (mask === 'both') return below(seen, below(padding.greater(0), scores.add(bias)));
    if (mask === 'window') return below(seen.logicalAnd(kiln.triu(seen.logicalOr(true), -3)), scores);
    return scores;
  };
  const split = (x: Tensor, of: number): Tensor => {
    const [batch, time] = x.shape;
    return x.reshape([batch, time, of, size]).transpose([0, 2, 1, 3]);
  };
  const repeated = (x: Tensor): Tensor => {
    if (share === 1) return x;
    const [batch, of, time] = x.shape;
    return x
      .reshape([batch, of, 1, time, size])
      .broadcastTo([batch, of, share, time, size])
      .reshape([batch, heads, time, size]);
  };
  return {
    text: `attention(${heads}/${share} ${mask}${p ? ' dropout' : ''}${byHand ? ' by hand' : ''}${together ? ' qkv' : ''})`,
    specs: {
      ...(together
        ? { qkv: inputs.weight([width, 3 * width], width) }
        : { q: square(width), k: inputs.weight([width, keyWidth], width), v: inputs.weight([width, keyWidth], width) }),
      out: square(width),
    },
    apply: (x, { qkv, q, k, v, out }, data) => {
      const [batch, time] = x.shape;
      const parts = qkv ? x.matmul(qkv).split(3, -1) : [x.matmul(q), x.matmul(k), x.matmul(v)];
      const [queries, keys, values] = parts.map((part, at) => split(part, at === 0 ? heads : heads / share));
      const attend = (): Tensor => {
        if (ready && p === 0 && (mask === 'none' || mask === 'causal' || mask === 'bias')) {
          return kiln.scaledDotProductAttention(queries, repeated(keys), repeated(values), {
            isCausal: mask === 'causal',
            ...(mask === 'bias' && { mask: data.bias }),
          });
        }
        const scores = queries.matmul(repeated(keys).mT).mul(1 / Math.sqrt(size));
        const weights = softmaxOf(masked(scores, data), byHand);
        const dropped = p > 0 ? kiln.dropout(weights, data.key.astype('uint32'), { p }) : weights;
        return dropped.matmul(repeated(values));
      };
      return attend().transpose([0, 2, 1, 3]).reshape([batch, time, width]).matmul(out);
    },
  };
};

const activations = {
  gelu: kiln.gelu,
  relu: kiln.relu,
  silu: kiln.silu,
  tanh: kiln.tanh,
  softplus: kiln.softplus,
} as const;

const mlp: Maker = ({ random, width }) => {
  const wide = random.pick([width, 2 * width, 5]);
  const name = random.pick(Object.keys(activations) as (keyof typeof activations)[]);
  const [gated, biased] = [random.boolean(), random.boolean()];
  return {
    text: `mlp(${wide} ${name}${gated ? ' gated' : ''})`,
    specs: {
      up: inputs.weight([width, wide], width),
      ...(gated && { gate: inputs.weight([width, wide], width) }),
      ...(biased && { a: inputs.floats([wide], 0.1), b: inputs.floats([width], 0.1) }),
      down: inputs.weight([wide, width], wide),
    },
    apply: (x, { up, gate, a, b, down }) => {
      const hidden = activations[name](a ? x.matmul(up).add(a) : x.matmul(up));
      const out = (gate ? hidden.mul(x.matmul(gate)) : hidden).matmul(down);
      return b ? out.add(b) : out;
    },
  };
};

/** `x W + (x A) B`, and chains of products that are not in their best order. */
const products: Maker = ({ random, width }) => {
  const form = random.pick(['low rank', 'chain', 'common', 'transposed'] as const);
  return {
    text: `products(${form})`,
    specs: { w: square(width), a: inputs.weight([width, 2], width), b: inputs.weight([2, width], 2) },
    apply: (x, { w, a, b }) => {
      if (form === 'low rank') return x.matmul(w).add(x.matmul(a).matmul(b).mul(0.5));
      if (form === 'chain') return x.matmul(w.matmul(a)).matmul(b);
      if (form === 'common') return x.matmul(w).add(x.matmul(w.mul(2)));
      return a.matmul(b).mT.matmul(x.mT).mT.sub(x.matmul(w));
    },
  };
};

const norm: Maker = ({ random, width }) => {
  const kind = random.pick(['layer', 'layer', 'rms', 'batch', 'group', 'softmax', 'length', 'logSoftmax'] as const);
  const plain = random.boolean(0.3);
  return {
    text: `norm(${kind})`,
    specs: { gain: inputs.gain([width]), bias: inputs.floats([width], 0.1) },
    apply: (x, { gain, bias }) => {
      if (kind === 'layer') return plain ? kiln.layerNorm(x) : kiln.layerNorm(x, gain, bias);
      if (kind === 'rms') return plain ? kiln.rmsNorm(x) : kiln.rmsNorm(x, gain);
      if (kind === 'softmax') return kiln.softmax(x, -1).mul(gain);
      if (kind === 'logSoftmax') return kiln.logSoftmax(x, -1).mul(gain).add(bias);
      if (kind === 'length') return x.div(x.square().sum(-1, { keepdims: true }).add(1e-3).sqrt());
      if (kind === 'batch') {
        const [mean, variance] = [x.mean([0, 1]), x.variance([0, 1])];
        return kiln.batchNorm(x, mean, variance, gain, bias, { axis: -1 });
      }
      const [batch, time] = x.shape;
      const groups = x.reshape([batch, time, 2, width / 2]);
      return kiln.layerNorm(groups).reshape([batch, time, width]).mul(gain);
    },
  };
};

/** A convolution over time that sees the past alone, or all around. */
const convolution: Maker = ({ random, width }) => {
  const [normed, depthwise, causal] = [random.boolean(), random.boolean(0.3), random.boolean()];
  return {
    text: `convolution(${depthwise ? 'depthwise' : ''}${normed ? ' normed' : ''})`,
    specs: {
      w: depthwise ? inputs.weight([width, 1, 3], 3) : inputs.weight([width, width, 3], 3 * width),
      b: inputs.floats([width], 0.1),
      gain: inputs.gain([width]),
    },
    apply: (x, { w, b, gain }) => {
      const options = { groups: depthwise ? width : 1, padding: causal ? ([[2, 0]] as const) : ('same' as const) };
      const y = kiln.conv1d(x.mT, w, b, options as never);
      if (!normed) return y.mT;
      return kiln.relu(kiln.batchNorm(y, y.mean([0, 2]), y.variance([0, 2]), gain, b)).mT;
    },
  };
};

const mixing: Maker = ({ random, width }) => {
  const kind = random.pick(['halves', 'linear attention', 'gate', 'dropout', 'mean', 'shift', 'cumulative'] as const);
  return {
    text: kind,
    specs: { w: square(width), u: square(width) },
    apply: (x, { w, u }, { key }) => {
      const [batch, time] = x.shape;
      if (kind === 'halves') {
        const [a, b] = x.split(2, -1);
        return kiln.concat([b.neg(), a], -1).mul(x.matmul(w));
      }
      if (kind === 'linear attention') {
        const [q, k] = [kiln.elu(x.matmul(w)).add(1), kiln.elu(x.matmul(u)).add(1)];
        return q
          .matmul(k.mT)
          .matmul(x)
          .div(q.matmul(k.mT).sum(-1, { keepdims: true }).add(1));
      }
      if (kind === 'gate') return kiln.sigmoid(x.matmul(w)).mul(kiln.tanh(x.matmul(u)));
      if (kind === 'dropout') return kiln.dropout(x.matmul(w), key.astype('uint32'), { p: 0.2 });
      if (kind === 'mean') return x.sub(x.mean(1, { keepdims: true })).matmul(w);
      if (kind === 'cumulative') return kiln.cumulativeSum(x.matmul(w), 1);
      const before = kiln.zeros([batch, 1, width]);
      return kiln.concat([before, x], 1).slice(null, [0, time]).matmul(w);
    },
  };
};

const makers = [attention, attention, attention, mlp, mlp, products, norm, norm, norm, convolution, mixing] as const;

interface Layer {
  readonly parts: readonly { readonly part: Part; readonly residual: boolean }[];
  readonly checkpointed: boolean;
}

const layerOf = (plan: Plan): Layer => ({
  parts: Array.from({ length: plan.random.pick([1, 1, 2, 2, 3, 4]) }, () => ({
    part: plan.random.pick(makers)(plan),
    residual: plan.random.boolean(0.6),
  })),
  checkpointed: plan.random.boolean(0.25),
});

type LayerWeights = readonly Weights[];

function applyLayer({ parts, checkpointed }: Layer, x: Tensor, weights: LayerWeights, data: Data): Tensor {
  const steps = parts.map(({ part, residual }): Part['apply'] =>
    residual ? (h, own, shared) => h.add(part.apply(h, own, shared)) : part.apply,
  );
  const run = (given: Tensor, own: LayerWeights, shared: Data): Tensor =>
    steps.reduce((h, step, at) => step(h, own[at], shared), given);
  return checkpointed ? kiln.checkpoint(run)(x, weights, data) : run(x, weights, data);
}

interface Parameters {
  readonly table: Tensor;
  readonly layers: readonly LayerWeights[];
  readonly head: Tensor;
}

const modes = ['forward', 'gradient', 'gradient', 'sgd', 'adam', 'clipped'] as const;

/** Gradients scaled to a length, then the update. */
function clippedStep(loss: (p: Parameters, ...data: Tensor[]) => Tensor) {
  return (p: Parameters, ...data: Tensor[]) => {
    const [value, gradients] = kiln.valueAndGrad(loss)(p, ...data);
    const leaves = tree.leaves(gradients) as Tensor[];
    const length = leaves
      .map((g) => g.square().sum())
      .reduce((a, b) => a.add(b))
      .sqrt();
    const factor = kiln.minimum(kiln.full([], 1).div(length.add(1e-6)), 1);
    return [
      value,
      length,
      descend(
        p,
        tree.map((g: Tensor) => g.mul(factor), gradients),
      ),
    ] as const;
  };
}

export function randomLayers(seed: number): RandomLayers {
  const random = new Random(seed, { special: false });
  const width = random.pick([4, 8, 8]);
  const plan: Plan = { random, width };
  const [layer, other] = [layerOf(plan), layerOf(plan)];
  const count = random.pick([2, 2, 2, 3, 3, 4, 5]);
  const odd = random.boolean(0.2) ? random.integer(0, count - 1) : -1;
  const order = Array.from({ length: count }, (_, at) => (at === odd ? other : layer));
  const mode = random.pick(modes);
  const [tied, labelled] = [random.boolean(), random.boolean(0.6)];
  const classes = 7;
  const sizes = { batch: random.pick([1, 2, 2]), time: random.pick([1, 4, 4, 5, 5, 7, 8, 16, 33, 66]) };
  if (sizes.time > 30) sizes.batch = 1;
  const loss = ({ table, layers, head }: Parameters, ...args: Tensor[]): Tensor => {
    const [tokens, labels, padding, bias, key] = args;
    const last = order.reduce(
      (x, of, at) => applyLayer(of, x, layers[at], { padding, bias, key }),
      kiln.embedding(tokens, table),
    );
    const logits = last.matmul(tied ? table.mT : head);
    return labelled ? kiln.crossEntropy(logits, labels) : logits.tanh().mean();
  };
  const model = ({ batch, time }: Sizes = sizes): Model => {
    const made = {
      name: `layers ${seed}`,
      loss,
      parameters: () => ({
        table: inputs.floats([classes, width]),
        layers: order.map(({ parts }) => parts.map(({ part }) => part.specs)),
        head: inputs.weight([width, classes], width),
      }),
      data: () => [
        inputs.integers([batch, time], classes),
        inputs.integers([batch, time], classes),
        inputs.integers([batch, 1, 1, time], 5),
        inputs.floats([time, time]),
        inputs.integers([2], 1000),
      ],
    };
    if (mode === 'forward') return forwardModel(made);
    if (mode === 'gradient') return gradientModel(made);
    if (mode === 'clipped') return defineModel(made.name, clippedStep(loss), () => [made.parameters(), ...made.data()]);
    return stepModel(made, mode);
  };
  const texts = order.map(
    ({ parts, checkpointed }) =>
      `${checkpointed ? 'checkpoint ' : ''}[${parts.map(({ part, residual }) => (residual ? '+' : '') + part.text).join(', ')}]`,
  );
  return { sizes, model, text: `${mode} B${sizes.batch} T${sizes.time} W${width}: ${texts.join(' ')}` };
}
