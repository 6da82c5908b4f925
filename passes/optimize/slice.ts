/**
 * Rules for ops that cut and join: `slice`, `pad`, `concatenate`, `dynamic_slice`, `dynamic_update_slice`. All are
 * exact. Cutting moves towards the inputs, so that less is made and less is moved:
 *
 *     slice(concatenate(a[4], b[6]), 5:9)        = slice(b, 1:5)
 *     slice(broadcast_in_dim(c, [8,8]), 0:2)     = broadcast_in_dim(c, [2,8])
 */
import { addDims, type Dim, equalDims, equalShapes, isAtMostDim, mulDims, subDims } from '../../base/dim.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, range } from '../rewrite-emit.ts';
import { splatOf } from '../rewrite-match.ts';

type Bounds = OpAttributes['slice'];

const isAlways = (a: Dim, b: Dim): boolean => isAtMostDim(a, b) === 'always';

/** `slice`, or the operand itself where everything is kept. */
export function sliceTo(rewriter: Rewriter, x: Value, bounds: Bounds): Value {
  return keepsAll(x, bounds) ? x : rewriter.op('slice', [x], bounds);
}

export const keepsAll = (x: Value, { start, limit, strides }: Bounds): boolean =>
  x.type.shape.every((size, i) => start[i] === 0 && equalDims(limit[i], size) && strides[i] === 1);

const sliceIdentity = rule({
  name: 'slice_identity',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes }) => (keepsAll(x, attributes) ? x : undefined),
});

const sliceSlice = rule({
  name: 'slice_slice',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'slice');
    if (!inner) return undefined;
    const [outer, { start: offset, strides: steps }] = [op.attributes, inner.attributes];
    const counts = op.results[0].type.shape;
    const strides = outer.strides.map((stride, i) => stride * steps[i]);
    if (counts.some((count, i) => strides[i] !== 1 && !isAlways(1, count))) return undefined;
    const start = outer.start.map((from, i) => addDims(offset[i], mulDims(from, steps[i])));
    const limit = start.map((from, i) =>
      addDims(from, strides[i] === 1 ? counts[i] : addDims(mulDims(subDims(counts[i], 1), strides[i]), 1)),
    );
    return rewriter.op('slice', inner.operands, { start, limit, strides });
  },
});

/** A slice that lies in one of the parts is a slice of that part. */
const sliceConcatenate = rule({
  name: 'slice_concatenate',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const joined = rewriter.definedBy(op.operands[0], 'concatenate');
    if (!joined) return undefined;
    const { axis } = joined.attributes;
    const { start, limit, strides } = op.attributes;
    let begin: Dim = 0;
    for (const part of joined.operands) {
      const end = addDims(begin, part.type.shape[axis]);
      if (isAlways(begin, start[axis]) && isAlways(limit[axis], end)) {
        const moved = (bounds: readonly Dim[]): Dim[] =>
          bounds.map((bound, i) => (i === axis ? subDims(bound, begin) : bound));
        return sliceTo(rewriter, part, { start: moved(start), limit: moved(limit), strides });
      }
      if (!isAlways(end, start[axis])) return undefined;
      begin = end;
    }
    return undefined;
  },
});

const sliceBroadcast = rule({
  name: 'slice_broadcast',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
    if (!inner) return undefined;
    const [x] = inner.operands;
    const { axes, shape } = inner.attributes;
    const repeats = axes.map((axis, i) => !equalDims(x.type.shape[i], shape[axis]));
    const { start, limit, strides } = op.attributes;
    const source = sliceTo(rewriter, x, {
      start: axes.map((axis, i) => (repeats[i] ? 0 : start[axis])),
      limit: axes.map((axis, i) => (repeats[i] ? 1 : limit[axis])),
      strides: axes.map((axis, i) => (repeats[i] ? 1 : strides[axis])),
    });
    return broadcastTo(rewriter, source, op.results[0].type.shape, axes);
  },
});

/** A slice that touches no padding is a slice of the operand. */
const slicePad = rule({
  name: 'slice_pad',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'pad');
    if (!inner) return undefined;
    const [x] = inner.operands;
    const { low, interior } = inner.attributes;
    const { start, limit, strides } = op.attributes;
    const inside = x.type.shape.every(
      (size, i) =>
        (interior[i] === 0 || size === 1) && isAlways(low[i], start[i]) && isAlways(limit[i], addDims(low[i], size)),
    );
    if (!inside) return undefined;
    return sliceTo(rewriter, x, {
      start: start.map((from, i) => subDims(from, low[i])),
      limit: limit.map((to, i) => subDims(to, low[i])),
      strides,
    });
  },
});

const padNothing = rule({
  name: 'pad_nothing',
  opcodes: ['pad'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { low, high, interior } }) =>
    x.type.shape.every((size, i) => low[i] === 0 && high[i] === 0 && (interior[i] === 0 || size === 1)) ? x : undefined,
});

/** Negative amounts and no others crop. */
const padCrop = rule({
  name: 'pad_crop',
  opcodes: ['pad'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { low, high, interior } }, rewriter) => {
    const crops = x.type.shape.every((_, i) => interior[i] === 0 && isAlways(low[i], 0) && isAlways(high[i], 0));
    const start = low.map((amount) => mulDims(amount, -1));
    const limit = x.type.shape.map((size, i) => addDims(size, high[i]));
    // Crops from both sides may overlap by no more than what is there; the type rule has checked the sum.
    if (!crops || start.some((from, i) => !isAlways(from, limit[i]))) return undefined;
    return sliceTo(rewriter, x, { start, limit, strides: interior.map(() => 1) });
  },
});

const samePaddingValue = (rewriter: Rewriter, a: Value, b: Value): boolean => {
  if (a === b) return true;
  const [x, y] = [splatOf(rewriter, a), splatOf(rewriter, b)];
  return x !== undefined && Object.is(x, y);
};

/** Twice the same padding around is one. Where the outer one crops, it would cut into the inner. */
const padPad = rule({
  name: 'pad_pad',
  opcodes: ['pad'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'pad');
    if (!inner || !samePaddingValue(rewriter, inner.operands[1], op.operands[1])) return undefined;
    const [outer, { low, high, interior }] = [op.attributes, inner.attributes];
    const grows = [...outer.low, ...outer.high, ...low, ...high].every((amount) => isAlways(0, amount));
    if (!grows || outer.interior.some((between) => between !== 0)) return undefined;
    return rewriter.op('pad', inner.operands, {
      low: low.map((amount, i) => addDims(amount, outer.low[i])),
      high: high.map((amount, i) => addDims(amount, outer.high[i])),
      interior,
    });
  },
});

/** Joins become as long as this at most when they are merged, so that long chains stay linear. */
const mostParts = 64;

/** Parts that are joins along the same axis are taken apart; empty parts vanish. */
const concatenateFlatten = rule({
  name: 'concatenate_flatten',
  opcodes: ['concatenate'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { axis } = op.attributes;
    let parts = op.operands.flatMap((part) => {
      const inner = rewriter.definedBy(part, 'concatenate');
      return inner && inner.attributes.axis === axis && op.operands.length <= mostParts ? inner.operands : [part];
    });
    if (parts.length > mostParts) parts = [...op.operands];
    const kept = parts.filter((part) => part.type.shape[axis] !== 0);
    if (kept.length === 0) return op.operands.length === 1 ? undefined : op.operands[0];
    if (kept.length === op.operands.length && kept.every((part, i) => part === op.operands[i])) return undefined;
    return kept.length === 1 ? kept[0] : rewriter.op('concatenate', kept, op.attributes);
  },
});

const concatenateOne = rule({
  name: 'concatenate_one',
  opcodes: ['concatenate'],
  floatClass: 'exact',
  apply: ({ operands }) => (operands.length === 1 ? operands[0] : undefined),
});

/** The slice that two neighbours are together, if they are slices of one value that meet. */
function joinSlices(rewriter: Rewriter, a: Value, b: Value, axis: number): Value | undefined {
  const [left, right] = [rewriter.definedBy(a, 'slice'), rewriter.definedBy(b, 'slice')];
  if (!left || !right || left.operands[0] !== right.operands[0]) return undefined;
  const [l, r] = [left.attributes, right.attributes];
  const meets = l.strides.every((stride, i) => {
    if (stride !== r.strides[i]) return false;
    if (i === axis) return stride === 1 && equalDims(l.limit[i], r.start[i]);
    return equalDims(l.start[i], r.start[i]) && equalDims(l.limit[i], r.limit[i]);
  });
  if (!meets) return undefined;
  const limit = l.limit.map((bound, i) => (i === axis ? r.limit[i] : bound));
  return rewriter.op('slice', left.operands, { ...l, limit });
}

const concatenateSlices = rule({
  name: 'concatenate_slices',
  opcodes: ['concatenate'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { axis } = op.attributes;
    const parts: Value[] = [];
    for (const part of op.operands) {
      const before = parts.at(-1);
      const joined = before && joinSlices(rewriter, before, part, axis);
      if (joined) parts[parts.length - 1] = joined;
      else parts.push(part);
    }
    if (parts.length === op.operands.length) return undefined;
    return parts.length === 1 ? parts[0] : rewriter.op('concatenate', parts, op.attributes);
  },
});

const dynamicSliceWhole = rule({
  name: 'dynamic_slice_whole',
  opcodes: ['dynamic_slice'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { sizes } }) => (equalShapes(x.type.shape, sizes) ? x : undefined),
});

const dynamicUpdateWhole = rule({
  name: 'dynamic_update_whole',
  opcodes: ['dynamic_update_slice'],
  floatClass: 'exact',
  apply: ({ operands: [x, update] }) => (equalShapes(x.type.shape, update.type.shape) ? update : undefined),
});

/** Start indices that are known, moved inside as the op would. */
function knownStarts(rewriter: Rewriter, op: OpOf<'dynamic_slice'>): number[] | undefined {
  const [x, ...starts] = op.operands;
  const known = starts.map((start, i) => {
    const room = subDims(x.type.shape[i], op.attributes.sizes[i]);
    const value = splatOf(rewriter, start);
    return value === undefined || typeof room !== 'number' ? undefined : Math.max(0, Math.min(value, room));
  });
  return known.every((start) => start !== undefined) ? known : undefined;
}

const dynamicSliceConstant = rule({
  name: 'dynamic_slice_constant',
  opcodes: ['dynamic_slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const start = knownStarts(rewriter, op);
    if (!start) return undefined;
    const limit = start.map((from, i) => addDims(from, op.attributes.sizes[i]));
    return sliceTo(rewriter, op.operands[0], { start, limit, strides: range(start.length).map(() => 1) });
  },
});

export const sliceRules: readonly RewriteRule[] = [
  sliceIdentity,
  sliceSlice,
  sliceConcatenate,
  sliceBroadcast,
  slicePad,
  padNothing,
  padCrop,
  padPad,
  concatenateOne,
  concatenateFlatten,
  concatenateSlices,
  dynamicSliceWhole,
  dynamicUpdateWhole,
  dynamicSliceConstant,
];
