/**
 * Random networks: blocks that people write (norms, softmax, dense layers, pooling over axes, residuals, reshapes) in a
 * random order, optionally with the gradient of their sum. Where `random-graph.ts` mixes single ops, this makes the
 * patterns that fusion looks for.
 */
import type { Dim } from '../../base/dim.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Graph, Value } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { batchNorm, dense, f32, gelu, layerNorm, like, logSoftmax, relu, softmax, spread } from './models.ts';

type Block = (b: GraphBuilder, x: Value, random: Random) => Value;

const width = (x: Value): number => Number(x.type.shape[x.type.shape.length - 1]);

/** A statistic over some axes, repeated along them: `x - sum(x)`, `x * max(x)` and the like. */
const centre: Block = (b, x, random) => {
  const { shape } = x.type;
  const axes = random.subset(shape.length);
  const kept = shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const kind = random.pick(['sum', 'max'] as const);
  const statistic = b.op('tanh', [b.op('reduce', [x], { kind, axes })]);
  const opcode = random.pick(['subtract', 'multiply', 'add'] as const);
  return b.op(opcode, [x, spread(b, statistic, shape, kept)]);
};

const permuted: Block = (b, x, random) => {
  const rank = x.type.shape.length;
  return b.op('transpose', [x], { permutation: random.permutation(rank) });
};

const reshaped: Block = (b, x) => {
  const { shape } = x.type;
  if (shape.length < 3) {
    const size = width(x);
    return size % 2 === 0 ? b.op('reshape', [x], { shape: [...shape.slice(0, -1), 2, size / 2] }) : x;
  }
  const [last, before] = [shape.length - 1, shape.length - 2];
  const merged = Number(shape[last]) * Number(shape[before]);
  return b.op('reshape', [x], { shape: [...shape.slice(0, before), merged] });
};

const halves: Block = (b, x) => {
  const size = width(x);
  const start = x.type.shape.map(() => 0);
  const strides = x.type.shape.map(() => 1);
  const cut = Math.floor(size / 2);
  const part = (from: number, to: number): Value =>
    b.op('slice', [x], { start: start.with(-1, from), limit: x.type.shape.with(-1, to), strides });
  return b.op('concatenate', [b.op('negate', [part(cut, size)]), part(0, cut)], { axis: x.type.shape.length - 1 });
};

/** Statistics over any axes, the leading one too: rows that jump through memory. */
const batchNormed: Block = (b, x, random) => {
  const axes = random.subset(x.type.shape.length);
  return axes.length > 0 ? batchNorm(b, x, axes) : x;
};

/** Softmax along an axis other than the last. */
const columns: Block = (b, x, random) => {
  const { length } = x.type.shape;
  const permutation = Array.from({ length }, (_, axis) => axis);
  const axis = random.integer(0, length - 1);
  [permutation[axis], permutation[length - 1]] = [length - 1, axis];
  return b.op('transpose', [softmax(b, b.op('transpose', [x], { permutation }))], { permutation });
};

const blocks: readonly Block[] = [
  (b, x) => softmax(b, x),
  (b, x) => logSoftmax(b, x),
  (b, x) => layerNorm(b, x, b.parameter(f32(width(x))), b.parameter(f32(width(x)))),
  (b, x) => gelu(b, x),
  (b, x) => relu(b, x),
  (b, x, random) => dense(b, x, b.parameter(f32(width(x), random.pick([4, 6]))), undefined),
  (b, x) => dense(b, x, b.parameter(f32(width(x), width(x))), b.parameter(f32(width(x)))),
  (b, x) => b.op('add', [x, dense(b, gelu(b, x), b.parameter(f32(width(x), width(x))))]),
  centre,
  centre,
  batchNormed,
  columns,
  permuted,
  reshaped,
  halves,
];

/** @param batch size of the leading axis, which may be symbolic while no block moves it */
export function randomNetwork(seed: number, options: { readonly gradient: boolean; readonly batch?: Dim }): Graph {
  const random = new Random(seed, { special: false });
  const b = new GraphBuilder();
  const batch = options.batch ?? random.pick([1, 2, 3]);
  let x = b.parameter(f32(batch, ...(random.boolean() ? [3] : []), random.pick([4, 6])));
  const kept: Value[] = [];
  const choices = typeof batch === 'number' ? blocks : blocks.filter((block) => block !== permuted);
  for (let at = random.integer(2, 7); at > 0; at--) {
    const next = random.pick(choices)(b, x, random);
    const same = String(next.type.shape) === String(x.type.shape);
    x = same && random.boolean(0.2) ? b.op('add', [next, x]) : next;
    if (random.boolean(0.2)) kept.push(x);
  }
  const square = b.op('multiply', [x, b.op('sine', [x])]);
  const loss = b.op('reduce', [square], { kind: 'sum', axes: x.type.shape.map((_, axis) => axis) });
  const graph = b.build([loss, ...kept, b.op('multiply', [x, like(b, x, 2)])]);
  if (!options.gradient) return graph;
  return vjpGraph(graph, { wrt: graph.parameters.map((_, at) => at), outputs: [0] });
}
