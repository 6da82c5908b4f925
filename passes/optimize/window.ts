/**
 * Rules for `convolution` and `reduce_window`: padding before them becomes padding of theirs, and a window over all
 * there is is a reduction. Convolutions with windows of one element stay: as products they take the same time for one
 * image, and longer for several, whose channels then lie apart.
 *
 *     convolution(pad(x, 0), w)                          = convolution(x, w, padding=...)
 *     reduce_window(x: [8,4], max, window=[1,4])         = reduce(x, max, axes=[1]) in another shape
 */
import { addDims, type Dim, equalDims, isAtMostDim } from '../../base/dim.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import { identityOf } from '../../ir/ops/combine.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { plusZero, range, reshape } from '../rewrite-emit.ts';
import { isSplat, splatOf } from '../rewrite-match.ts';

type Padding = OpAttributes['convolution']['padding'];

const isNone = (padding: Padding): boolean => padding.every(([low, high]) => low === 0 && high === 0);
const areOnes = (list: readonly number[]): boolean => list.every((step) => step === 1);

/** Whether padding neither crops nor comes with dilation that another padding would be spread by. */
const grows = (amounts: readonly Dim[]): boolean => amounts.every((amount) => isAtMostDim(0, amount) === 'always');

/** Zeros around an image are padding of the convolution. */
const convolutionPad = rule({
  name: 'convolution_pad',
  opcodes: ['convolution'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'pad');
    if (!inner || !isSplat(rewriter, inner.operands[1], 0)) return undefined;
    const { low, high, interior } = inner.attributes;
    const { padding, lhs_dilation } = op.attributes;
    const isSpatial = [0, 1].every((axis) => low[axis] === 0 && high[axis] === 0 && interior[axis] === 0);
    if (!isSpatial || !areOnes(lhs_dilation) || !grows([...low, ...high])) return undefined;
    // What the convolution itself crops might be an element and not padding.
    if (!padding.every((amounts) => grows(amounts))) return undefined;
    return rewriter.op('convolution', [inner.operands[0], op.operands[1]], {
      ...op.attributes,
      padding: padding.map(([before, after], i) => [addDims(before, low[i + 2]), addDims(after, high[i + 2])] as const),
      lhs_dilation: interior.slice(2).map((between) => between + 1),
    });
  },
});

const windowsAreUnit = ({ window, strides, padding, base_dilation }: OpAttributes['reduce_window']): boolean =>
  areOnes(window) && areOnes(strides) && areOnes(base_dilation) && isNone(padding);

/** Windows of one element each. */
const windowOfOne = rule({
  name: 'window_of_one',
  opcodes: ['reduce_window'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes }, rewriter) => {
    if (!windowsAreUnit(attributes)) return undefined;
    return attributes.kind === 'sum' ? plusZero(rewriter, x) : x;
  },
});

/** One window over all of some axes, and over one element of the others, is a reduction. */
function windowOverAll(op: OpOf<'reduce_window'>, rewriter: Rewriter): Value | undefined {
  const [x] = op.operands;
  const { kind, window, strides, padding, base_dilation, window_dilation } = op.attributes;
  if (!isNone(padding) || !areOnes(base_dilation) || windowsAreUnit(op.attributes)) return undefined;
  const axes = range(window.length).filter((axis) => window[axis] !== 1);
  const isOver = axes.every((axis) => equalDims(x.type.shape[axis], window[axis]) && window_dilation[axis] === 1);
  const rest = range(window.length).every((axis) => axes.includes(axis) || strides[axis] === 1);
  if (!isOver || !rest) return undefined;
  return reshape(rewriter, rewriter.op('reduce', [x], { kind, axes }), op.results[0].type.shape);
}

const windowOfAll = rule({
  name: 'window_of_all',
  opcodes: ['reduce_window'],
  floatClass: 'exact',
  apply: (op, rewriter) =>
    op.attributes.kind === 'max' || op.attributes.kind === 'min' ? windowOverAll(op, rewriter) : undefined,
});

/** Windows add in another order than reductions. */
const windowOfAllFloat = rule({
  name: 'window_of_all_float',
  opcodes: ['reduce_window'],
  floatClass: 'reassociating',
  apply: windowOverAll,
});

/** Padding with what the kind starts from is what windows have around them. */
const windowPad = rule({
  name: 'window_pad',
  opcodes: ['reduce_window'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'pad');
    if (!inner) return undefined;
    const { low, high, interior } = inner.attributes;
    const { kind, padding, base_dilation } = op.attributes;
    const neutral = splatOf(rewriter, inner.operands[1]);
    const { dtype } = op.operands[0].type;
    const isNeutral = neutral !== undefined && Object.is(neutral, identityOf(kind, dtype));
    if (!isNeutral || !areOnes(base_dilation) || !grows([...low, ...high, ...padding.flat()])) return undefined;
    return rewriter.op('reduce_window', [inner.operands[0]], {
      ...op.attributes,
      padding: padding.map(([before, after], i) => [addDims(before, low[i]), addDims(after, high[i])] as const),
      base_dilation: interior.map((between) => between + 1),
    });
  },
});

export const windowRules: readonly RewriteRule[] = [
  convolutionPad,
  windowOfOne,
  windowOfAll,
  windowOfAllFloat,
  windowPad,
];
