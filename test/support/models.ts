/**
 * Small models as graphs, for tests of fusion and lowering: blocks of layers, losses, gradients and optimiser steps,
 * written with the builder alone.
 *
 *     const b = new GraphBuilder();
 *     const x = b.parameter(f32(8, 128));
 *     const graph = b.build([softmax(b, x)]);
 */
import { type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import { full, GraphBuilder, scalar } from '../../ir/builder.ts';
import type { Graph, Module, TensorType, Value } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';

export const f32 = (...shape: Dim[]): TensorType => ({ dtype: 'float32', shape });
export const i32 = (...shape: Dim[]): TensorType => ({ dtype: 'int32', shape });

export const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });

/** The module after the optimisation passes, as fusion gets it. */
export function optimized(graph: Graph, precision: 'fast' | 'strict' = 'fast'): Module {
  return runPasses(moduleOf(graph), optimizePipeline(precision), { precision, verify: true, constantBudget: 65_536 });
}

const leading = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => axis);

export const like = (b: GraphBuilder, value: Value, number: number): Value => full(b, value.type, number);

/** Repeats a value along the axes of a shape that `axes` does not name. */
export const spread = (b: GraphBuilder, value: Value, shape: readonly Dim[], axes: readonly number[]): Value =>
  b.op('broadcast_in_dim', [value], { shape, axes });

const overRows = (b: GraphBuilder, x: Value, kind: 'sum' | 'max'): Value =>
  b.op('reduce', [x], { kind, axes: [x.type.shape.length - 1] });

const toRows = (b: GraphBuilder, rows: Value, x: Value): Value =>
  spread(b, rows, x.type.shape, leading(x.type.shape.length - 1));

export function softmax(b: GraphBuilder, x: Value): Value {
  const shifted = b.op('subtract', [x, toRows(b, overRows(b, x, 'max'), x)]);
  const e = b.op('exponential', [shifted]);
  return b.op('divide', [e, toRows(b, overRows(b, e, 'sum'), x)]);
}

export function logSoftmax(b: GraphBuilder, x: Value): Value {
  const shifted = b.op('subtract', [x, toRows(b, overRows(b, x, 'max'), x)]);
  const sum = overRows(b, b.op('exponential', [shifted]), 'sum');
  return b.op('subtract', [shifted, toRows(b, b.op('log', [sum]), x)]);
}

export function layerNorm(b: GraphBuilder, x: Value, gain: Value, bias: Value): Value {
  const { shape } = x.type;
  const last = shape.length - 1;
  const mean = (v: Value): Value => {
    const sum = overRows(b, v, 'sum');
    return b.op('divide', [
      sum,
      spread(b, b.op('dimension_size', [], { size: shape[last], dtype: 'float32' }), sum.type.shape, []),
    ]);
  };
  const centred = b.op('subtract', [x, toRows(b, mean(x), x)]);
  const variance = mean(b.op('multiply', [centred, centred]));
  const scale = b.op('rsqrt', [b.op('add', [variance, like(b, variance, 1e-5)])]);
  const normal = b.op('multiply', [centred, toRows(b, scale, x)]);
  return b.op('add', [b.op('multiply', [normal, spread(b, gain, shape, [last])]), spread(b, bias, shape, [last])]);
}

/** Normalises over `axes` with the statistics of the batch; scale and bias belong to the other axes. */
export function batchNorm(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const { shape } = x.type;
  const kept = shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const channels = f32(...kept.map((axis) => shape[axis]));
  const [gain, bias] = [b.parameter(channels), b.parameter(channels)];
  const count = spread(
    b,
    b.op('dimension_size', [], { size: dimProduct(axes.map((axis) => shape[axis])), dtype: 'float32' }),
    channels.shape,
    [],
  );
  const everywhere = (value: Value): Value => spread(b, value, shape, kept);
  const mean = (v: Value): Value => b.op('divide', [b.op('reduce', [v], { kind: 'sum', axes }), count]);
  const centred = b.op('subtract', [x, everywhere(mean(x))]);
  const variance = mean(b.op('multiply', [centred, centred]));
  const scale = b.op('rsqrt', [b.op('add', [variance, like(b, variance, 1e-5)])]);
  const normal = b.op('multiply', [centred, everywhere(scale)]);
  return b.op('add', [b.op('multiply', [normal, everywhere(gain)]), everywhere(bias)]);
}

export function gelu(b: GraphBuilder, x: Value): Value {
  const erf = b.op('erf', [b.op('multiply', [x, like(b, x, Math.SQRT1_2)])]);
  const half = b.op('multiply', [x, like(b, x, 0.5)]);
  return b.op('multiply', [half, b.op('add', [erf, like(b, x, 1)])]);
}

export const relu = (b: GraphBuilder, x: Value): Value => b.op('maximum', [x, like(b, x, 0)]);

/** `x @ w + bias` over the last axis of `x`. */
export function dense(b: GraphBuilder, x: Value, w: Value, bias?: Value): Value {
  const last = x.type.shape.length - 1;
  const y = b.op('dot_general', [x, w], { contract: [[last], [0]], batch: [[], []] });
  return bias ? b.op('add', [y, spread(b, bias, y.type.shape, [last])]) : y;
}

/** Mean over rows of `logSumExp - logit of the label`. */
export function crossEntropy(b: GraphBuilder, logits: Value, labels: Value): Value {
  const { shape } = logits.type;
  const iota = b.op('iota', [], { dtype: 'int32', shape, axis: 1 });
  const hot = b.op('compare', [iota, spread(b, labels, shape, [0])], { direction: 'EQ' });
  const picked = b.op('select', [hot, logSoftmax(b, logits), like(b, logits, 0)]);
  const total = b.op('reduce', [picked], { kind: 'sum', axes: [0, 1] });
  const count = b.op('dimension_size', [], { size: shape[0], dtype: 'float32' });
  return b.op('negate', [b.op('divide', [total, count])]);
}

/** A loss over parameters and data, and the parameters to train. */
export interface LossModel {
  readonly graph: Graph;
  /** How many of the first graph parameters are trained. */
  readonly trained: number;
}

/** Dense layers with relu between them, cross-entropy at the end. */
export function mlpLoss(batch: Dim, sizes: readonly number[]): LossModel {
  const b = new GraphBuilder();
  const weights = sizes.slice(1).flatMap((size, at) => [b.parameter(f32(sizes[at], size)), b.parameter(f32(size))]);
  const x = b.parameter(f32(batch, sizes[0]));
  const labels = b.parameter(i32(batch));
  let h = x;
  for (let layer = 0; layer < sizes.length - 1; layer++) {
    h = dense(b, h, weights[2 * layer], weights[2 * layer + 1]);
    if (layer < sizes.length - 2) h = relu(b, h);
  }
  return { graph: b.build([crossEntropy(b, h, labels)]), trained: weights.length };
}

/** Loss, gradients and plain descent: parameters, data -> loss, new parameters. */
export function sgdStep({ graph, trained }: LossModel, rate = 0.1): Graph {
  const { b, results, gradients } = withGradients(graph, trained);
  const updated = gradients.map((g, at) =>
    b.op('subtract', [graph.parameters[at], b.op('multiply', [g, like(b, g, rate)])]),
  );
  return { ...b.build([...results, ...updated]), parameters: graph.parameters };
}

/** The same with Adam: parameters, data, then m and v of each, and the step count. */
export function adamStep({ graph, trained }: LossModel): Graph {
  const { b, results, gradients } = withGradients(graph, trained);
  const state = gradients.map((g) => [b.parameter(g.type), b.parameter(g.type)] as const);
  const count = b.parameter(f32());
  const [one, next] = [scalar(b, 'float32', 1), b.op('add', [count, scalar(b, 'float32', 1)])];
  const correction = (beta: number): Value =>
    b.op('subtract', [one, b.op('power', [scalar(b, 'float32', beta), next])]);
  const [first, second] = [correction(0.9), correction(0.999)];
  const updated = gradients.flatMap((g, at) => {
    const [m, v] = state[at];
    const mix = (old: Value, fresh: Value, beta: number): Value =>
      b.op('add', [b.op('multiply', [old, like(b, old, beta)]), b.op('multiply', [fresh, like(b, fresh, 1 - beta)])]);
    const everywhere = (value: Value): Value => spread(b, value, g.type.shape, []);
    const [nextM, nextV] = [mix(m, g, 0.9), mix(v, b.op('multiply', [g, g]), 0.999)];
    const root = b.op('sqrt', [b.op('divide', [nextV, everywhere(second)])]);
    const direction = b.op('divide', [
      b.op('divide', [nextM, everywhere(first)]),
      b.op('add', [root, like(b, root, 1e-8)]),
    ]);
    const moved = b.op('subtract', [graph.parameters[at], b.op('multiply', [direction, like(b, direction, 1e-3)])]);
    return [moved, nextM, nextV];
  });
  const built = b.build([...results, next, ...updated]);
  return { ...built, parameters: [...graph.parameters, ...built.parameters] };
}

/** Multi-head attention over `x: f32[batch, time, width]`; weights of width x 3 width, and width x width. */
export function attention(b: GraphBuilder, x: Value, qkv: Value, out: Value, heads: number): Value {
  const [batch, time, width] = x.type.shape as [Dim, Dim, number];
  const each = width / heads;
  const all = dense(b, x, qkv);
  const part = (at: number): Value => {
    const [start, limit] = [at * width, (at + 1) * width];
    const sliced = b.op('slice', [all], { start: [0, 0, start], limit: [batch, time, limit], strides: [1, 1, 1] });
    const split = b.op('reshape', [sliced], { shape: [batch, time, heads, each] });
    return b.op('transpose', [split], { permutation: [0, 2, 1, 3] });
  };
  const [q, k, v] = [part(0), part(1), part(2)];
  const scores = b.op('dot_general', [q, k], {
    contract: [[3], [3]],
    batch: [
      [0, 1],
      [0, 1],
    ],
  });
  const { shape } = scores.type;
  const row = b.op('iota', [], { dtype: 'int32', shape, axis: 2 });
  const column = b.op('iota', [], { dtype: 'int32', shape, axis: 3 });
  const seen = b.op('compare', [row, column], { direction: 'GE' });
  const scaled = b.op('multiply', [scores, like(b, scores, 1 / Math.sqrt(each))]);
  const weights = softmax(b, b.op('select', [seen, scaled, like(b, scores, -1e9)]));
  const mixed = b.op('dot_general', [weights, v], {
    contract: [[3], [2]],
    batch: [
      [0, 1],
      [0, 1],
    ],
  });
  const merged = b.op('reshape', [b.op('transpose', [mixed], { permutation: [0, 2, 1, 3] })], {
    shape: [batch, time, width],
  });
  return dense(b, merged, out);
}

/** Token embedding, pre-norm transformer blocks, and cross-entropy of the next token. */
export function gptLoss(options: {
  batch: Dim;
  time: number;
  width: number;
  heads: number;
  layers: number;
  vocabulary: number;
}): LossModel {
  const { batch, time, width, heads, layers, vocabulary } = options;
  const b = new GraphBuilder();
  const table = b.parameter(f32(vocabulary, width));
  const blocks = Array.from({ length: layers }, () => ({
    norms: [f32(width), f32(width), f32(width), f32(width)].map((type) => b.parameter(type)),
    qkv: b.parameter(f32(width, 3 * width)),
    out: b.parameter(f32(width, width)),
    up: b.parameter(f32(width, 4 * width)),
    upBias: b.parameter(f32(4 * width)),
    down: b.parameter(f32(4 * width, width)),
    downBias: b.parameter(f32(width)),
  }));
  const trained = 1 + layers * 10;
  const tokens = b.parameter(i32(batch, time));
  const labels = b.parameter(i32(mulDims(batch, time)));
  let x = b.op('gather', [table, tokens], {
    offset_axes: [2],
    collapsed_axes: [0],
    start_index_map: [0],
    index_vector_axis: 2,
    slice_sizes: [1, width],
    mode: 'clamp',
  });
  for (const { norms, qkv, out, up, upBias, down, downBias } of blocks) {
    x = b.op('add', [x, attention(b, layerNorm(b, x, norms[0], norms[1]), qkv, out, heads)]);
    const hidden = gelu(b, dense(b, layerNorm(b, x, norms[2], norms[3]), up, upBias));
    x = b.op('add', [x, dense(b, hidden, down, downBias)]);
  }
  const flat = b.op('reshape', [x], { shape: [mulDims(batch, time), width] });
  const logits = b.op('dot_general', [flat, table], { contract: [[1], [1]], batch: [[], []] });
  return { graph: b.build([crossEntropy(b, logits, labels)]), trained };
}

function withGradients(graph: Graph, trained: number): { b: GraphBuilder; results: Value[]; gradients: Value[] } {
  const wrt = Array.from({ length: trained }, (_, at) => at);
  const full = vjpGraph(graph, { wrt, outputs: [0] });
  const b = new GraphBuilder();
  const one = scalar(b, 'float32', 1);
  const seed = full.parameters[graph.parameters.length];
  const renamed = (value: Value): Value => (value === seed ? one : value);
  for (const op of full.ops) b.append({ ...op, operands: op.operands.map(renamed) });
  const results = full.results.map(renamed);
  return { b, results: results.slice(0, graph.results.length), gradients: results.slice(graph.results.length) };
}
