/**
 * Attention in many forms, as graphs of plain ops: masks of several kinds, biases, factors as of dropout, fewer heads
 * of keys than of queries, operands that come as [batch, time, head, size], statistics that gradients flow through or
 * not.
 *
 *     attentionGraph({ batch: 1, heads: 2, queries: 7, keys: 9, size: 4, out: 5, mask: 'causal', gradient: true })
 */
import { type Dim, mulDims } from '../../base/dim.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Graph, Value } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { f32, like, softmax, spread } from './models.ts';

export interface AttentionForm {
  readonly batch: Dim;
  readonly heads: number;
  readonly queries: Dim;
  readonly keys: Dim;
  readonly size: number;
  readonly out: number;
  readonly mask?: 'none' | 'causal' | 'padding' | 'operand';
  readonly bias?: 'none' | 'full' | 'heads';
  readonly dropout?: boolean;
  /** Heads of queries that share a head of keys. */
  readonly share?: number;
  /** Operands as [batch, time, head, size]. */
  readonly timeFirst?: boolean;
  readonly stopped?: boolean;
  /** `linear`: no softmax, as in linear attention. */
  readonly weights?: 'softmax' | 'linear';
  readonly gradient?: boolean;
  /** Gives the sum of the weights over the heads too, and the scores with the axes of batch and heads as one. */
  readonly weightsToo?: boolean;
}

/**
 * Results: the attention, and with `gradient` what follows for each operand from a cotangent given as last parameter.
 */
export function attentionGraph(form: AttentionForm): Graph {
  const { batch, heads, queries, keys, size, out, share = 1, timeFirst = false } = form;
  const b = new GraphBuilder();
  const operand = (of: number, time: Dim, width: number): Value =>
    b.parameter(timeFirst ? f32(batch, time, of, width) : f32(batch, of, time, width));
  const heading = (x: Value): Value => (timeFirst ? b.op('transpose', [x], { permutation: [0, 2, 1, 3] }) : x);
  const repeat = (x: Value): Value => {
    if (share === 1) return x;
    const [first, of, time, width] = x.type.shape;
    const wide = spread(b, x, [first, of, share, time, width], [0, 1, 3, 4]);
    return b.op('reshape', [wide], { shape: [first, heads, time, width] });
  };
  const q = operand(heads, queries, size);
  const k = operand(heads / share, keys, size);
  const v = operand(heads / share, keys, out);
  const scores = dot(b, heading(q), repeat(heading(k)), 3, 3);
  const changed = masked(b, form, b.op('multiply', [scores, like(b, scores, 0.5)]));
  const weights = form.weights === 'linear' ? changed : form.stopped ? stoppedSoftmax(b, changed) : softmax(b, changed);
  const dropped = form.dropout ? b.op('multiply', [weights, dropoutFactors(b, weights)]) : weights;
  const result = dot(b, dropped, repeat(heading(v)), 3, 2);
  const given = timeFirst ? b.op('transpose', [result], { permutation: [0, 2, 1, 3] }) : result;
  const graph = b.build([given, ...(form.weightsToo ? furtherResults(b, weights, changed) : [])]);
  if (!form.gradient) return graph;
  const wrt = graph.parameters.flatMap(({ type }, at) => (type.dtype === 'float32' ? [at] : []));
  return vjpGraph(graph, { wrt, outputs: [0] });
}

function furtherResults(b: GraphBuilder, weights: Value, scores: Value): Value[] {
  const [batch, heads, ...matrix] = scores.type.shape;
  const together = b.op('reshape', [scores], { shape: [mulDims(batch, heads), ...matrix] });
  return [b.op('reduce', [weights], { kind: 'sum', axes: [1] }), together];
}

const dot = (b: GraphBuilder, lhs: Value, rhs: Value, left: number, right: number): Value =>
  b.op('dot_general', [lhs, rhs], {
    contract: [[left], [right]],
    batch: [
      [0, 1],
      [0, 1],
    ],
  });

function masked(b: GraphBuilder, { mask = 'none', bias = 'none' }: AttentionForm, scores: Value): Value {
  const { shape } = scores.type;
  let result = scores;
  if (bias === 'full') result = b.op('add', [result, b.parameter(scores.type)]);
  if (bias === 'heads') {
    const perHead = b.parameter(f32(shape[1], shape[2], shape[3]));
    result = b.op('add', [result, spread(b, perHead, shape, [1, 2, 3])]);
  }
  const iota = (axis: number): Value => b.op('iota', [], { dtype: 'int32', shape, axis });
  const keep = (seen: Value): Value => b.op('select', [seen, result, like(b, result, -1e9)]);
  if (mask === 'causal') return keep(b.op('compare', [iota(2), iota(3)], { direction: 'GE' }));
  if (mask === 'padding') {
    const lengths = b.parameter({ dtype: 'int32', shape: [shape[0]] });
    return keep(b.op('compare', [iota(3), spread(b, lengths, shape, [0])], { direction: 'LE' }));
  }
  if (mask === 'operand') return keep(b.parameter({ dtype: 'bool', shape }));
  return result;
}

function stoppedSoftmax(b: GraphBuilder, x: Value): Value {
  const rows = (value: Value): Value => spread(b, value, x.type.shape, [0, 1, 2]);
  const greatest = b.op('stop_gradient', [b.op('reduce', [x], { kind: 'max', axes: [3] })]);
  const safe = b.op('select', [b.op('is_finite', [greatest]), greatest, like(b, greatest, 0)]);
  const e = b.op('exponential', [b.op('subtract', [x, rows(safe)])]);
  return b.op('divide', [e, rows(b.op('reduce', [e], { kind: 'sum', axes: [3] }))]);
}

/** Zero or 1.25, from positions alone, by a few rounds of mixing. */
function dropoutFactors(b: GraphBuilder, { type }: Value): Value {
  const { shape } = type;
  const number = (value: number): Value => like(b, words, value);
  let words: Value = b.op('iota', [], { dtype: 'uint32', shape, axis: 3 });
  for (let axis = 0; axis < 3; axis++) {
    const mixed = b.op('multiply', [
      b.op('xor', [words, b.op('shift_right_logical', [words, number(7)])]),
      number(0x9e3779b1),
    ]);
    words = b.op('add', [mixed, b.op('iota', [], { dtype: 'uint32', shape, axis })]);
  }
  const kept = b.op('compare', [words, number(0x33333333)], { direction: 'GE' });
  return b.op('select', [kept, like(b, { type }, 1.25), like(b, { type }, 0)]);
}
