/**
 * Rules for padding, joins and updates whose parts are known to be apart. All but one are exact.
 *
 *     add(pad(a, 0, low=[0], high=[2]), pad(b, 0, low=[3], high=[0]))     = concatenate(a, b) + 0
 *     dynamic_update_slice(zeros, u, 4)                                    = pad(u, 0, low=[4], ...)
 */
import { addDims, type Dim, equalDims, equalShapes, isAtMostDim, isStatic, subDims } from '../../base/dim.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, plusZero, range } from '../rewrite-emit.ts';
import { isSplat, splatOf } from '../rewrite-match.ts';
import { sliceTo } from './slice.ts';

const isAlways = (a: Dim, b: Dim): boolean => isAtMostDim(a, b) === 'always';

/** The scalar that a value repeats, if it does. */
function repeatedScalar(rewriter: Rewriter, value: Value): Value | undefined {
  if (value.type.shape.length === 0) return value;
  const source = rewriter.definedBy(value, 'broadcast_in_dim')?.operands[0];
  return source?.type.shape.length === 0 ? source : undefined;
}

function isSameScalar(rewriter: Rewriter, a: Value, b: Value): boolean {
  if (a === b) return true;
  const [x, y] = [splatOf(rewriter, a), splatOf(rewriter, b)];
  return x !== undefined && Object.is(x, y);
}

/** Padding around a repeated scalar with the same scalar. */
const padRepeated = rule({
  name: 'pad_repeated',
  opcodes: ['pad'],
  floatClass: 'exact',
  apply: ({ operands: [x, value], results: [result] }, rewriter) => {
    const scalar = repeatedScalar(rewriter, x);
    return scalar && isSameScalar(rewriter, scalar, value)
      ? broadcastTo(rewriter, value, result.type.shape, [])
      : undefined;
  },
});

/** A part of nothing but padding. */
const sliceOfPadding = rule({
  name: 'slice_of_padding',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'pad');
    if (!inner) return undefined;
    const { low, interior } = inner.attributes;
    const { shape } = inner.operands[0].type;
    const { start, limit } = op.attributes;
    const isOutside = shape.some((size, axis) => {
      if (isAlways(limit[axis], low[axis])) return true;
      const gaps = interior[axis];
      if (gaps !== 0 && !(isStatic(size) && size > 0)) return false;
      const reach = gaps === 0 ? size : addDims(size, ((size as number) - 1) * gaps);
      return isAlways(addDims(low[axis], reach), start[axis]);
    });
    return isOutside ? broadcastTo(rewriter, inner.operands[1], op.results[0].type.shape, []) : undefined;
  },
});

/** A part of a join needs only the operands that it touches. */
const sliceTrimsConcatenate = rule({
  name: 'slice_trims_concatenate',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const joined = rewriter.definedBy(op.operands[0], 'concatenate');
    if (!joined || rewriter.useCount(op.operands[0]) > 1) return undefined;
    const { axis } = joined.attributes;
    const { start, limit, strides } = op.attributes;
    const kept: Value[] = [];
    let [begin, offset]: [Dim, Dim] = [0, 0];
    for (const part of joined.operands) {
      const end = addDims(begin, part.type.shape[axis]);
      const isBefore = isAlways(end, start[axis]) && kept.length === 0;
      if (isBefore) offset = end;
      else if (!isAlways(limit[axis], begin)) kept.push(part);
      begin = end;
    }
    if (kept.length === joined.operands.length || kept.length === 0) return undefined;
    const moved = (bounds: readonly Dim[]): Dim[] =>
      bounds.map((bound, i) => (i === axis ? subDims(bound, offset) : bound));
    const smaller = kept.length === 1 ? kept[0] : rewriter.op('concatenate', kept, joined.attributes);
    return sliceTo(rewriter, smaller, { start: moved(start), limit: moved(limit), strides });
  },
});

/** Neighbours that repeat the same scalar are one; a join of nothing else is the scalar repeated. */
const concatenateRepeated = rule({
  name: 'concatenate_repeated',
  opcodes: ['concatenate'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { axis } = op.attributes;
    const parts: Value[] = [];
    let scalar: Value | undefined;
    for (const part of op.operands) {
      const own = repeatedScalar(rewriter, part);
      const before = parts.at(-1);
      if (before && own && scalar && isSameScalar(rewriter, scalar, own)) {
        const size = addDims(before.type.shape[axis], part.type.shape[axis]);
        const shape = part.type.shape.map((given, i) => (i === axis ? size : given));
        parts[parts.length - 1] = broadcastTo(rewriter, own, shape, []);
      } else {
        parts.push(part);
        scalar = own;
      }
    }
    if (parts.length === op.operands.length) return undefined;
    return parts.length === 1 ? parts[0] : rewriter.op('concatenate', parts, op.attributes);
  },
});

/** Padding with zeros along one axis: where the operand starts and ends there. */
interface Placed {
  readonly value: Value;
  readonly zero: Value;
  readonly axis: number;
  readonly start: Dim;
  readonly end: Dim;
}

function placedAlong(rewriter: Rewriter, value: Value): Placed | undefined {
  const op = rewriter.definedBy(value, 'pad');
  if (!op || rewriter.useCount(value) > 1 || !isSplat(rewriter, op.operands[1], 0)) return undefined;
  const { low, high, interior } = op.attributes;
  const moved = range(low.length).filter((axis) => low[axis] !== 0 || high[axis] !== 0);
  const [axis] = moved;
  if (moved.length !== 1 || interior[axis] !== 0 || !isAlways(0, low[axis]) || !isAlways(0, high[axis]))
    return undefined;
  const [x, zero] = op.operands;
  return { value: x, zero, axis, start: low[axis], end: addDims(low[axis], x.type.shape[axis]) };
}

/** Parts that are added where the others are 0 are joined: what comes of the gradients of slices. */
const addPlaced = rule({
  name: 'add_placed',
  opcodes: ['add'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [a, b] = op.operands.map((operand) => placedAlong(rewriter, operand));
    if (!a || !b || a.axis !== b.axis || op.operands[0] === op.operands[1]) return undefined;
    const isForward = equalDims(a.end, b.start);
    if (!isForward && !equalDims(b.end, a.start)) return undefined;
    const [first, second] = isForward ? [a, b] : [b, a];
    const joined = rewriter.op('concatenate', [plusZero(rewriter, first.value), plusZero(rewriter, second.value)], {
      axis: a.axis,
    });
    const size = op.results[0].type.shape[a.axis];
    const [low, high] = [first.start, subDims(size, second.end)];
    if (equalShapes(joined.type.shape, op.results[0].type.shape)) return joined;
    const along = (amount: Dim): Dim[] => joined.type.shape.map((_, axis) => (axis === a.axis ? amount : 0));
    return rewriter.op('pad', [joined, first.zero], {
      low: along(low),
      high: along(high),
      interior: joined.type.shape.map(() => 0),
    });
  },
});

/** Start indices that are known, moved inside as the op would. */
function knownStarts(rewriter: Rewriter, op: OpOf<'dynamic_update_slice'>): number[] | undefined {
  const [x, update, ...starts] = op.operands;
  const known = starts.map((start, i) => {
    const room = subDims(x.type.shape[i], update.type.shape[i]);
    const value = splatOf(rewriter, start);
    return value === undefined || !isStatic(room) ? undefined : Math.max(0, Math.min(value, room));
  });
  return known.every((start) => start !== undefined) ? known : undefined;
}

/** An update of a repeated scalar at a known place is padding. */
const updateRepeated = rule({
  name: 'update_repeated',
  opcodes: ['dynamic_update_slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x, update] = op.operands;
    const scalar = repeatedScalar(rewriter, x);
    const low = scalar && knownStarts(rewriter, op);
    if (!scalar || !low) return undefined;
    return rewriter.op('pad', [update, scalar], {
      low,
      high: low.map((start, i) => subDims(x.type.shape[i], addDims(update.type.shape[i], start))),
      interior: low.map(() => 0),
    });
  },
});

/** What is read where it has just been written is what was written; an update over an update hides it. */
const updateOfUpdate = rule({
  name: 'update_of_update',
  opcodes: ['dynamic_update_slice', 'dynamic_slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const before = rewriter.definedBy(op.operands[0], 'dynamic_update_slice');
    if (!before) return undefined;
    const [, written, ...starts] = before.operands;
    const isRead = op.opcode === 'dynamic_slice';
    const own = op.operands.slice(isRead ? 1 : 2);
    if (!equalShapes(written.type.shape, isRead ? op.results[0].type.shape : op.operands[1].type.shape))
      return undefined;
    if (!own.every((start, i) => isSameScalar(rewriter, start, starts[i]))) return undefined;
    return isRead ? written : rewriter.op('dynamic_update_slice', [before.operands[0], op.operands[1], ...own], {});
  },
});

export const paddingRules: readonly RewriteRule[] = [
  padRepeated,
  sliceOfPadding,
  sliceTrimsConcatenate,
  concatenateRepeated,
  addPlaced,
  updateRepeated,
  updateOfUpdate,
];
