/**
 * Attention as users write it: through the public functions, compiled whole. No program may hold a matrix of scores,
 * and each must give what its ops give one by one.
 */
import { describe, expect, test } from 'vitest';
import {
  compile,
  dropout,
  grad,
  matmul,
  scaledDotProductAttention,
  softmax,
  spec,
  type Tensor,
  type TensorSpec,
} from '../../index.ts';
import { parseModule } from '../../ir/parser.ts';
import { type Graph, mainOf } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { faultInAnyWay } from '../support/every-way.ts';
import { optimized } from '../support/models.ts';
import { sampleInputs } from '../support/samples.ts';

type Attention = (q: Tensor, k: Tensor, v: Tensor, extra: Tensor) => Tensor;

interface Case {
  readonly attention: Attention;
  readonly shapes: readonly (readonly number[])[];
  readonly extra?: TensorSpec;
}

const [batch, heads, time, size] = [2, 4, 32, 2];
const whole = [batch, heads, time, size];
const repeated = (x: Tensor): Tensor =>
  x.reshape([batch, 2, 1, time, size]).broadcastTo([batch, 2, 2, time, size]).reshape(whole);

const cases: Readonly<Record<string, Case>> = {
  'causal mask': {
    attention: (q, k, v) => scaledDotProductAttention(q, k, v, { isCausal: true }),
    shapes: [whole, whole, whole],
  },
  'padding mask': {
    attention: (q, k, v, mask) => scaledDotProductAttention(q, k, v, { mask }),
    shapes: [whole, whole, whole],
    extra: spec([batch, 1, 1, time], 'bool'),
  },
  'bias of positions': {
    attention: (q, k, v, mask) => scaledDotProductAttention(q, k, v, { mask, isCausal: true }),
    shapes: [whole, whole, whole],
    extra: spec([time, time], 'float32'),
  },
  dropout: {
    attention: (q, k, v, key) => {
      const weights = softmax(matmul(q, k.transpose([0, 1, 3, 2])), -1);
      return matmul(dropout(weights, key, { p: 0.2 }), v);
    },
    shapes: [whole, whole, whole],
    extra: spec([2], 'uint32'),
  },
  'heads in groups, copied': {
    attention: (q, k, v) => scaledDotProductAttention(q, repeated(k), repeated(v), { isCausal: true }),
    shapes: [whole, [batch, 2, time, size], [batch, 2, time, size]],
  },
  'heads in groups, broadcast': {
    attention: (q, k, v) => scaledDotProductAttention(q, k, v),
    shapes: [
      [batch, 2, 2, time, size],
      [batch, 2, 1, time, size],
      [batch, 2, 1, time, size],
    ],
  },
  'heads folded into the batch': {
    attention: (q, k, v, bias) => {
      const folded = (x: Tensor): Tensor => x.reshape([batch * heads, time, size]);
      const scores = matmul(folded(q), folded(k).transpose([0, 2, 1])).reshape([batch, heads, time, time]);
      const weights = softmax(scores.add(bias), -1).reshape([batch * heads, time, time]);
      return matmul(weights, folded(v)).reshape(whole);
    },
    shapes: [whole, whole, whole],
    extra: spec([batch, 1, time, time], 'float32'),
  },
  'odd sizes': {
    attention: (q, k, v) => scaledDotProductAttention(q, k, v, { isCausal: true }),
    shapes: [
      [1, 3, 37, 2],
      [1, 3, 37, 2],
      [1, 3, 37, 2],
    ],
  },
  'one query': {
    attention: (q, k, v) => scaledDotProductAttention(q, k, v),
    shapes: [
      [batch, heads, 1, size],
      [batch, heads, 120, size],
      [batch, heads, 120, size],
    ],
  },
  'heads beside each other': {
    attention: (x, w, out) => {
      const all = matmul(x, w).reshape([batch, time, 3, heads, size]).transpose([2, 0, 3, 1, 4]);
      const attended = scaledDotProductAttention(all.at(0), all.at(1), all.at(2), { isCausal: true });
      return matmul(attended.transpose([0, 2, 1, 3]).reshape([batch, time, heads * size]), out);
    },
    shapes: [
      [batch, time, heads * size],
      [heads * size, 3 * heads * size],
      [heads * size, heads * size],
    ],
  },
};

const functions = (attention: Attention) => ({
  forward: attention,
  gradient: grad(
    (...args: Parameters<Attention>) =>
      attention(...args)
        .tanh()
        .sum(),
    { argnums: [0, 1, 2] },
  ),
});

/** Kernels of forward and gradient: the products around the attention have kernels of their own. */
const kernels: Readonly<Record<string, readonly [number, number]>> = {
  'heads beside each other': [3, 10],
  'heads in groups, copied': [1, 5],
  'heads folded into the batch': [1, 5],
  'heads in groups, broadcast': [1, 5],
};

describe.each(Object.entries(cases))('%s', (name, { attention, shapes, extra }) => {
  const args = [...shapes.map((shape) => spec(shape, 'float32')), ...(extra ? [extra] : [])];
  test.each(['forward', 'gradient'] as const)(
    '%s: no scores in memory, and the values of single ops',
    async (which) => {
      const compiled = compile(functions(attention)[which] as (...args: unknown[]) => unknown);
      const module = parseModule(compiled.lower(...args).graph.text);
      const { graph } = mainOf(module);
      const lowered = lowerModule(optimized(graph), { name: 'test', donated: [], precision: 'fast' });
      // With one query, scores are no larger than a row of the values, and the gradient stores two of them.
      if (name !== 'one query' || which === 'forward')
        expect(lowered.temporaries.filter(({ bytes }) => Number(bytes) >= scoresOf(graph))).toEqual([]);
      expect(lowered.launches.length).toBeLessThanOrEqual((kernels[name] ?? [1, 4])[which === 'forward' ? 0 : 1]);
      expect(await faultInAnyWay(module, sampleInputs(graph))).toBeUndefined();
    },
  );
});

/** How many exponentials are taken, one for each score: no temporary has a byte for each. */
const scoresOf = ({ ops }: Graph): number =>
  Math.max(
    ...ops.flatMap(({ opcode, results }) =>
      opcode === 'exponential' ? results.map(({ type }) => type.shape.reduce<number>((a, b) => a * Number(b), 1)) : [],
    ),
  );
