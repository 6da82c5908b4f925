/**
 * Graphs for tests of fusion and lowering: blocks of layers for the builder, and the bench graphs as tracing gives
 * them.
 *
 *     const b = new GraphBuilder();
 *     const x = b.parameter(f32(8, 128));
 *     const graph = b.build([softmax(b, x)]);
 *     const step = adamStep(mlpLoss(64, [784, 256, 10]));
 */
import { type Dim, dimProduct } from '../../base/dim.ts';
import { forwardModel, gpt, type Model, mlp, stepModel } from '../../bench/models/index.ts';
import { traceModel } from '../../bench/models/trace.ts';
import type { LossModel, Optimizer } from '../../bench/models/training.ts';
import { full, type GraphBuilder } from '../../ir/builder.ts';
import { type Graph, type Module, mainOf, type TensorType, type Value } from '../../ir/types.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';

export const f32 = (...shape: Dim[]): TensorType => ({ dtype: 'float32', shape });
export const i32 = (...shape: Dim[]): TensorType => ({ dtype: 'int32', shape });

export const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });

/** The module after the optimisation passes, as fusion gets it. */
export function optimized(graph: Graph, precision: 'fast' | 'strict' = 'fast'): Module {
  return runPasses(moduleOf(graph), optimizePipeline, { precision, verify: true, constantBudget: 65_536 });
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

/** A bench graph of a loss, traced. */
export interface TracedLoss {
  readonly graph: Graph;
  step(optimizer: Optimizer): Graph;
}

function traced<P, D extends readonly unknown[]>(model: LossModel<P, D>): TracedLoss {
  const graphOf = (made: Model): Graph => mainOf(traceModel(made)).graph;
  return { graph: graphOf(forwardModel(model)), step: (optimizer) => graphOf(stepModel(model, optimizer)) };
}

export const mlpLoss = (batch: Dim, sizes: readonly number[]): TracedLoss => traced(mlp({ batch, sizes }));
export const gptLoss = (options: Parameters<typeof gpt>[0]): TracedLoss => traced(gpt(options));

/** Loss, gradients and plain descent. */
export const sgdStep = (loss: TracedLoss): Graph => loss.step('sgd');
/** The same with Adam. */
export const adamStep = (loss: TracedLoss): Graph => loss.step('adam');
