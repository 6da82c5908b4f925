/**
 * Convolutions of an image with gaps, as transposed convolutions and the gradients of strided ones are: of `s` taps in
 * a row all but one meet a zero. Results whose positions leave the same rest when divided by `s` use the same taps, so
 * each rest is a convolution of its own, without gaps, and their results are interleaved.
 *
 *     convolution(x: [1,8,14,14], w: [8,8,3,3], lhs_dilation=[2,2], padding=[[1,2],[1,2]])
 *     = interleave of four convolutions of x with every other tap of w: [8,8,1,1], [8,8,1,2], [8,8,2,1], [8,8,2,2]
 *
 * The products with zeros are left out, and the others added in other blocks, so that strict mode does without: there
 * an infinite weight over a gap is NaN.
 */
import { type Dim, isStatic } from '../../base/dim.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { type Rewriter, rewriteGraph, rule, ruleTable } from '../rewrite.ts';
import { full, reshape } from '../rewrite-emit.ts';

/** Multiplications and additions below which several launches cost more than the products with zeros. */
const leastFlops = 1 << 20;
const mostPhases = 16;

/** A spatial axis with gaps. */
interface Gap {
  readonly axis: number;
  readonly spread: number;
  readonly low: number;
  readonly input: number;
  readonly window: number;
  readonly output: number;
}

/** The axes of a convolution that have gaps; `undefined` for none, or where one does not split. */
function gapsOf(op: OpOf<'convolution'>): readonly Gap[] | undefined {
  const { strides, padding, lhs_dilation, rhs_dilation } = op.attributes;
  const [lhs, rhs] = op.operands;
  const gaps: Gap[] = [];
  for (const [axis, spread] of lhs_dilation.entries()) {
    if (spread === 1) continue;
    const [input, window, output] = [lhs, rhs, op.results[0]].map(({ type }) => type.shape[axis + 2]);
    const [low] = padding[axis];
    if (strides[axis] !== 1 || rhs_dilation[axis] !== 1) return undefined;
    if (!isStatic(low) || !isStatic(input) || !isStatic(window) || !isStatic(output)) return undefined;
    if (input === 0 || output === 0) return undefined;
    gaps.push({ axis, spread, low, input, window, output });
  }
  return gaps.length > 0 ? gaps : undefined;
}

/** Floating point operations of a convolution; symbolic sizes count as one. */
function flopsOf({ operands: [, rhs], results: [result] }: OpOf<'convolution'>): number {
  const count = (shape: readonly Dim[]): number =>
    shape.reduce<number>((product, size) => product * (isStatic(size) ? size : 1), 1);
  return 2 * count(result.type.shape) * count(rhs.type.shape.slice(1));
}

const splitRule = rule({
  name: 'split_dilation',
  opcodes: ['convolution'],
  floatClass: 'regrouping',
  apply: (op, rewriter) => {
    const gaps = gapsOf(op);
    if (!gaps || flopsOf(op) < leastFlops) return undefined;
    if (gaps.reduce((phases, { spread }) => phases * spread, 1) > mostPhases) return undefined;
    return interleaved(op, rewriter, gaps, []);
  },
});

/** The results at given rests of the first axes with gaps, the others interleaved. */
function interleaved(
  op: OpOf<'convolution'>,
  rewriter: Rewriter,
  gaps: readonly Gap[],
  rests: readonly number[],
): Value {
  if (rests.length === gaps.length) return phase(op, rewriter, gaps, rests);
  const { axis, spread, output } = gaps[rests.length];
  const parts = Array.from({ length: spread }, (_, rest) => interleaved(op, rewriter, gaps, [...rests, rest]));
  const at = axis + 2;
  const { shape } = parts[0].type;
  const apart = [...shape.slice(0, at + 1), 1, ...shape.slice(at + 1)];
  const joined = rewriter.op(
    'concatenate',
    parts.map((part) => reshape(rewriter, part, apart)),
    { axis: at + 1 },
  );
  const whole = Number(shape[at]) * spread;
  const result = reshape(rewriter, joined, [...shape.slice(0, at), whole, ...shape.slice(at + 1)]);
  return whole === output ? result : cut(rewriter, result, at, 0, output, 1);
}

/** Every `step`-th element of an axis from `start` up to `limit`. */
function cut(rewriter: Rewriter, x: Value, axis: number, start: number, limit: number, step: number): Value {
  const { shape } = x.type;
  return rewriter.op('slice', [x], {
    start: shape.map((_, i) => (i === axis ? start : 0)),
    limit: shape.map((size, i) => (i === axis ? limit : size)),
    strides: shape.map((_, i) => (i === axis ? step : 1)),
  });
}

/**
 * The results at positions `spread * q + rest`: tap `first + spread * t` meets element `q + t - low'` of the image, and
 * the other taps meet gaps.
 */
function phase(op: OpOf<'convolution'>, rewriter: Rewriter, gaps: readonly Gap[], rests: readonly number[]): Value {
  const [lhs, rhs] = op.operands;
  const { padding, lhs_dilation } = op.attributes;
  const newPadding = [...padding];
  const newDilation = [...lhs_dilation];
  const shape = [...op.results[0].type.shape];
  let weight = rhs;
  let isEmpty = false;
  gaps.forEach(({ axis, spread, low, input, window, output }, i) => {
    const first = (((low - rests[i]) % spread) + spread) % spread;
    const taps = Math.ceil((window - first) / spread);
    const positions = Math.ceil(output / spread);
    shape[axis + 2] = positions;
    if (taps <= 0) isEmpty = true;
    else weight = cut(rewriter, weight, axis + 2, first, window, spread);
    const before = (low - rests[i] - first) / spread;
    newPadding[axis] = [before, positions - 1 + taps - input - before];
    newDilation[axis] = 1;
  });
  if (isEmpty) return full(rewriter, { ...op.results[0].type, shape }, 0);
  return rewriter.op('convolution', [lhs, weight], {
    ...op.attributes,
    padding: newPadding,
    lhs_dilation: newDilation,
  });
}

const tables = { fast: ruleTable([splitRule], 'fast'), strict: ruleTable([splitRule], 'strict') };

/** Convolutions of images with gaps become several without, in fast mode. */
export const splitDilation: Pass = {
  name: 'splitDilation',
  run: (module, context) => mapGraphs(module, (graph) => rewriteGraph(graph, tables[context.precision], context)),
};
