/**
 * Depthwise convolutions with a large window and few results, as the gradients of depthwise convolutions for their
 * weights are: each result is a sum over a whole plane, so it is written as one, and the sum runs along the plane as
 * vector code.
 *
 *     convolution(x: [1,64,56,56], w: [64,1,56,56], padding=[[1,1],[1,1]], groups=64): [1,64,3,3]
 *     = nine sums over planes, of a part of x times a part of w each
 *
 * Products with padding are left out and sums run in another order, so that strict mode does without: there an infinite
 * weight over padding is NaN.
 */
import { type Dim, isStatic } from '../../base/dim.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { type Rewriter, rewriteGraph, rule, ruleTable } from '../rewrite.ts';
import { full, range, reshape } from '../rewrite-emit.ts';

/** Results of a channel that are written out, and elements of a plane from which on that pays. */
const mostPositions = 64;
const leastElements = 128;

/** A spatial axis with its numbers. */
interface Axis {
  readonly input: number;
  readonly window: number;
  readonly output: number;
  readonly low: number;
  readonly stride: number;
  readonly dilation: number;
}

function axesOf(op: OpOf<'convolution'>): readonly Axis[] | undefined {
  const { strides, padding, lhs_dilation, rhs_dilation } = op.attributes;
  const axes: Axis[] = [];
  for (const axis of range(strides.length)) {
    const [input, window, output] = [...op.operands, op.results[0]].map(({ type }) => type.shape[axis + 2]);
    const [low] = padding[axis];
    if (!isStatic(input) || !isStatic(window) || !isStatic(output) || !isStatic(low)) return undefined;
    if (lhs_dilation[axis] !== 1) return undefined;
    axes.push({ input, window, output, low, stride: strides[axis], dilation: rhs_dilation[axis] });
  }
  return axes;
}

/** The parts of an axis of both operands that meet at a result: `count` elements, none where only padding does. */
function overlap({ input, window, low, stride, dilation }: Axis, position: number) {
  const start = position * stride - low;
  const first = Math.max(0, Math.ceil(-start / dilation));
  const last = Math.min(window - 1, Math.floor((input - 1 - start) / dilation));
  return { lhs: start + first * dilation, rhs: first, count: Math.max(0, last - first + 1) };
}

const positionsRule = rule({
  name: 'reduce_positions',
  opcodes: ['convolution'],
  floatClass: 'regrouping',
  apply: (op, rewriter) => {
    const [lhs, rhs] = op.operands;
    const { groups } = op.attributes;
    const isDepthwise = lhs.type.shape[0] === 1 && rhs.type.shape[0] === groups;
    const axes = isDepthwise ? axesOf(op) : undefined;
    if (!axes) return undefined;
    const outputs = axes.reduce((count, { output }) => count * output, 1);
    const elements = axes.reduce((count, { window }) => count * window, 1);
    if (outputs === 0 || outputs > mostPositions || elements < Math.max(leastElements, 4 * outputs)) return undefined;
    const sums = range(outputs).map((number) => {
      let rest = number;
      const positions = [...axes].reverse().map(({ output }) => {
        const position = rest % output;
        rest = Math.floor(rest / output);
        return position;
      });
      return reshape(rewriter, sumAt(op, rewriter, axes, positions.reverse()), [groups, 1]);
    });
    return reshape(rewriter, rewriter.op('concatenate', sums, { axis: 1 }), op.results[0].type.shape);
  },
});

/** The results of all channels at one position: `[groups]`. */
function sumAt(
  op: OpOf<'convolution'>,
  rewriter: Rewriter,
  axes: readonly Axis[],
  positions: readonly number[],
): Value {
  const [lhs, rhs] = op.operands;
  const [channels, inputs] = rhs.type.shape;
  const parts = axes.map((axis, i) => overlap(axis, positions[i]));
  if (parts.some(({ count }) => count === 0)) return full(rewriter, { dtype: rhs.type.dtype, shape: [channels] }, 0);
  const counts = parts.map(({ count }) => count);
  const part = (x: Value, starts: readonly number[], steps: readonly number[]): Value => {
    const limits = starts.map((start, i) => start + (counts[i] - 1) * steps[i] + 1);
    const lead: readonly Dim[] = x.type.shape.slice(0, 2);
    return rewriter.op('slice', [x], {
      start: [0, 0, ...starts],
      limit: [...lead, ...limits],
      strides: [1, 1, ...steps],
    });
  };
  const image = part(
    lhs,
    parts.map((each) => each.lhs),
    axes.map(({ dilation }) => dilation),
  );
  const window = part(
    rhs,
    parts.map((each) => each.rhs),
    axes.map(() => 1),
  );
  const product = rewriter.op('multiply', [reshape(rewriter, image, [channels, inputs, ...counts]), window]);
  // Channels stand before the last axis, so that the sum runs along that alone and then over the others.
  const last = axes.length + 1;
  const order = [...range(last).slice(1), 0, last];
  const turned = rewriter.op('transpose', [product], { permutation: order });
  return rewriter.op('reduce', [turned], { kind: 'sum', axes: [...range(last - 1), last] });
}

const tables = { fast: ruleTable([positionsRule], 'fast'), strict: ruleTable([positionsRule], 'strict') };

/** Depthwise convolutions with few results are sums over planes, in fast mode. */
export const reducePositions: Pass = {
  name: 'reducePositions',
  run: (module, context) => mapGraphs(module, (graph) => rewriteGraph(graph, tables[context.precision], context)),
};
