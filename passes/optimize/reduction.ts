/**
 * Rules for `reduce`. A reduction reads its operand where it lies: transposes, reshapes, padding and repetition before
 * it vanish where they do not change what is combined. Float sums are only put into another order in fast mode. They
 * start from 0, so a sum of one element `x` is `x + 0`, which turns -0 into 0 and is kept as it is.
 *
 *     reduce(broadcast_in_dim(x, [8,n]), max, axes=[1])    = x
 *     reduce(reshape(x, [4,6]), max, axes=[1])             = reduce(x: f32[4,2,3], max, axes=[1,2])
 */
import { dimBounds, dimProduct, equalDims, isAtMostDim } from '../../base/dim.ts';
import { isFloat, isSigned } from '../../base/dtype.ts';
import type { OpAttributes, ReduceKind } from '../../ir/opcodes.ts';
import { type CombineKind, identityOf } from '../../ir/ops/combine.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { reshapeSegments } from '../lower/index-algebra.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import {
  broadcastTo,
  full,
  invertPermutation,
  isAscending,
  otherAxes,
  plusZero,
  range,
  reshape,
  sizeOf,
  transpose,
} from '../rewrite-emit.ts';
import { splatOf } from '../rewrite-match.ts';

const isPositional = (kind: ReduceKind): boolean => kind === 'argmax' || kind === 'argmin';

/** Whether the order in which elements are combined is no part of the result's bits. */
const isOrderFree = (kind: ReduceKind, x: Value): boolean =>
  !isPositional(kind) && (!isFloat(x.type.dtype) || kind === 'max' || kind === 'min');

/**
 * A rewrite that changes the order of a reduction: exact where that is no part of the bits, elsewhere reassociating.
 */
function inTwoClasses(
  name: string,
  apply: RewriteRule<'reduce'>['apply'],
  isExact = ({ attributes, operands }: OpOf<'reduce'>): boolean => isOrderFree(attributes.kind, operands[0]),
): readonly RewriteRule[] {
  const exact: RewriteRule<'reduce'>['apply'] = (op, rewriter) => (isExact(op) ? apply(op, rewriter) : undefined);
  return [
    rule({ name, opcodes: ['reduce'], floatClass: 'exact', apply: exact }),
    rule({ name: `${name}_float`, opcodes: ['reduce'], floatClass: 'reassociating', apply }),
  ];
}

/** Drops reduced axes of size 1 by a reshape. */
function dropUnitAxes(op: OpOf<'reduce'>, rewriter: Rewriter, units: readonly number[]): Value | undefined {
  if (units.length === 0) return undefined;
  const [x] = op.operands;
  const { kind, axes } = op.attributes;
  const { shape } = x.type;
  const kept = otherAxes(shape.length, units);
  const smaller = reshape(
    rewriter,
    x,
    kept.map((axis) => shape[axis]),
  );
  const rest = axes.filter((axis) => !units.includes(axis)).map((axis) => kept.indexOf(axis));
  return rewriter.op('reduce', [smaller], { kind, axes: rest });
}

const isUnit = (op: OpOf<'reduce'>, axis: number): boolean => op.operands[0].type.shape[axis] === 1;

/** A reduction over axes of size 1 and no others is its operand; the position of the extremum of one element is 0. */
const reduceOneElement = rule({
  name: 'reduce_one_element',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { kind, axes } = op.attributes;
    if (!axes.every((axis) => isUnit(op, axis))) return undefined;
    const { type } = op.results[0];
    if (isPositional(kind)) return full(rewriter, type, 0);
    const element = reshape(rewriter, op.operands[0], type.shape);
    return kind === 'sum' ? plusZero(rewriter, element) : element;
  },
});

/**
 * Axes of size 1 are dropped beside others. The last reduced axis is another matter for float sums: positions on it
 * decide in which order a kernel adds.
 */
const reduceUnitAxes = rule({
  name: 'reduce_unit_axes',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { kind, axes } = op.attributes;
    const last = isOrderFree(kind, op.operands[0]) ? -1 : Math.max(...axes);
    const units = axes.filter((axis) => axis !== last && isUnit(op, axis));
    return units.length < axes.length ? dropUnitAxes(op, rewriter, units) : undefined;
  },
});

const reduceUnitAxesFloat = rule({
  name: 'reduce_unit_axes_float',
  opcodes: ['reduce'],
  floatClass: 'reassociating',
  apply: (op, rewriter) => {
    const units = op.attributes.axes.filter((axis) => isUnit(op, axis));
    return units.length < op.attributes.axes.length ? dropUnitAxes(op, rewriter, units) : undefined;
  },
});

/** Ops looked at before a value counts as made of its rows. */
const searchBound = 16;

/**
 * Whether elements take part of what is computed of their rows, as in a softmax: the sums of such rows go with their
 * kernel, which has the rows as its loops.
 */
function followsFromRows({ operands: [operand], attributes }: OpOf<'reduce'>, rewriter: Rewriter): boolean {
  const kept = otherAxes(operand.type.shape.length, attributes.axes);
  const waiting: Value[] = [operand];
  for (let seen = 0; seen < searchBound; seen++) {
    const value = waiting.pop();
    if (!value) return false;
    const op = rewriter.definition(value);
    if (op?.opcode === 'broadcast_in_dim') {
      const { shape } = op.operands[0].type;
      const wide = op.attributes.axes.filter((_, at) => shape[at] !== 1);
      const ofRows = wide.length > 0 && wide.every((axis) => kept.includes(axis));
      if (ofRows && rewriter.definition(op.operands[0])) return true;
    } else if (op && traitsOf(op.opcode).elementwise) waiting.push(...op.operands);
  }
  return waiting.length > 0;
}

/** Two reductions of one kind are one over the axes of both. */
function mergeReductions(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'reduce');
  const { kind, axes } = op.attributes;
  if (!inner || inner.attributes.kind !== kind || isPositional(kind)) return undefined;
  if (rewriter.useCount(op.operands[0]) > 1 || followsFromRows(inner, rewriter)) return undefined;
  const kept = otherAxes(inner.operands[0].type.shape.length, inner.attributes.axes);
  const all = [...inner.attributes.axes, ...axes.map((axis) => kept[axis])].sort((a, b) => a - b);
  return rewriter.op('reduce', inner.operands, { kind, axes: all });
}

const reduceReduce = rule({
  name: 'reduce_reduce',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) =>
    isOrderFree(op.attributes.kind, op.operands[0]) ? mergeReductions(op, rewriter) : undefined,
});

const reduceReduceFloat = rule({
  name: 'reduce_reduce_float',
  opcodes: ['reduce'],
  floatClass: 'reassociating',
  apply: (op, rewriter) => (op.attributes.kind === 'sum' ? mergeReductions(op, rewriter) : undefined),
});

/** A reduction reads a transposed operand where it is, when the axes that stay keep their order. */
function reduceThroughTranspose(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'transpose');
  if (!inner) return undefined;
  const { permutation } = inner.attributes;
  const { kind, axes } = op.attributes;
  const stays = otherAxes(permutation.length, axes).map((axis) => permutation[axis]);
  if (!isAscending(stays)) return undefined;
  const reduced = axes.map((axis) => permutation[axis]).sort((a, b) => a - b);
  return rewriter.op('reduce', inner.operands, { kind, axes: reduced });
}

const transposeRules = inTwoClasses(
  'reduce_transpose',
  reduceThroughTranspose,
  ({ attributes, operands }) => isOrderFree(attributes.kind, operands[0]) || attributes.axes.length === 1,
);

interface RepeatedReduction {
  /** The operand of the broadcast, still with the axes that are really reduced. */
  readonly rest: Value;
  /** The broadcast without the axes that only repeat. */
  readonly attributes: OpAttributes['broadcast_in_dim'];
  readonly restAxes: readonly number[];
  readonly repeats: readonly number[];
}

/** Splits the reduced axes of a broadcast into those that only repeat, and others. */
function splitRepeats(op: OpOf<'reduce'>, rewriter: Rewriter): RepeatedReduction | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
  if (!inner) return undefined;
  const [x] = inner.operands;
  const { shape, axes } = inner.attributes;
  const repeats = op.attributes.axes.filter((axis) => {
    const from = axes.indexOf(axis);
    return (from < 0 || !equalDims(x.type.shape[from], shape[axis])) && dimBounds(shape[axis])[0] >= 1;
  });
  if (repeats.length === 0) return undefined;
  // A repeated axis of size 1 in the operand is dropped there first.
  const keptOfX = range(axes.length).filter((i) => !repeats.includes(axes[i]));
  const rest = reshape(
    rewriter,
    x,
    keptOfX.map((i) => x.type.shape[i]),
  );
  const kept = otherAxes(shape.length, repeats);
  return {
    rest,
    attributes: { shape: kept.map((axis) => shape[axis]), axes: keptOfX.map((i) => kept.indexOf(axes[i])) },
    restAxes: op.attributes.axes.filter((axis) => !repeats.includes(axis)).map((axis) => kept.indexOf(axis)),
    repeats,
  };
}

/** Equal elements combine to themselves, for the kinds where `f(x, x)` is `x`. */
const reduceBroadcast = rule({
  name: 'reduce_broadcast',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { kind } = op.attributes;
    if (kind !== 'max' && kind !== 'min' && kind !== 'and' && kind !== 'or') return undefined;
    const split = splitRepeats(op, rewriter);
    if (!split) return undefined;
    const smaller = broadcastTo(rewriter, split.rest, split.attributes.shape, split.attributes.axes);
    return split.restAxes.length === 0 ? smaller : rewriter.op('reduce', [smaller], { kind, axes: split.restAxes });
  },
});

/** A sum of equal elements is their number times one of them. */
function sumOfRepeats(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  if (op.attributes.kind !== 'sum') return undefined;
  const split = splitRepeats(op, rewriter);
  if (!split) return undefined;
  const { shape } = op.operands[0].type;
  const count = dimProduct(split.repeats.map((axis) => shape[axis]));
  const { dtype } = op.operands[0].type;
  const smaller = broadcastTo(rewriter, split.rest, split.attributes.shape, split.attributes.axes);
  const rest =
    split.restAxes.length === 0 ? smaller : rewriter.op('reduce', [smaller], { kind: 'sum', axes: split.restAxes });
  const factor = broadcastTo(rewriter, sizeOf(rewriter, count, dtype), rest.type.shape, []);
  return plusZero(rewriter, rewriter.op('multiply', [rest, factor]));
}

const reduceBroadcastInteger = rule({
  name: 'reduce_broadcast_integer',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) => (isFloat(op.operands[0].type.dtype) ? undefined : sumOfRepeats(op, rewriter)),
});

const reduceBroadcastFloat = rule({
  name: 'reduce_broadcast_float',
  opcodes: ['reduce'],
  floatClass: 'reassociating',
  apply: sumOfRepeats,
});

/** A reduction that takes the sign with it, where that is the same: `sum(-x)` is `0 - sum(x)`, never -0. */
const reduceNegate = rule({
  name: 'reduce_negate',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const negated = rewriter.definedBy(op.operands[0], 'negate');
    const { kind, axes } = op.attributes;
    if (!negated || rewriter.useCount(op.operands[0]) > 1 || !isSigned(op.operands[0].type.dtype)) return undefined;
    if (kind === 'sum') {
      const sum = rewriter.op('reduce', negated.operands, op.attributes);
      return rewriter.op('subtract', [full(rewriter, sum.type, 0), sum]);
    }
    // The least integer has no opposite.
    const mirrored = isFloat(op.operands[0].type.dtype) ? mirroredKinds[kind] : undefined;
    if (!mirrored) return undefined;
    const extremum = rewriter.op('reduce', negated.operands, { kind: mirrored, axes });
    return isPositional(kind) ? extremum : rewriter.op('negate', [extremum]);
  },
});

const mirroredKinds: Partial<Record<ReduceKind, ReduceKind>> = {
  max: 'min',
  min: 'max',
  argmax: 'argmin',
  argmin: 'argmax',
};

/** A reduction over whole runs of axes that a reshape made is one over those they were made of, units aside. */
function reduceThroughReshape(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'reshape');
  const { kind, axes } = op.attributes;
  if (!inner || isPositional(kind)) return undefined;
  const [x] = inner.operands;
  const to = inner.attributes.shape;
  const reduced: number[] = [];
  for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(x.type.shape, to)) {
    const run = range(toEnd - toStart)
      .map((i) => toStart + i)
      .filter((axis) => to[axis] !== 1);
    const count = run.filter((axis) => axes.includes(axis)).length;
    if (count > 0 && count < run.length) return undefined;
    for (let axis = fromStart; axis < fromEnd && count > 0; axis++) {
      if (x.type.shape[axis] !== 1) reduced.push(axis);
    }
  }
  return reshape(rewriter, rewriter.op('reduce', [x], { kind, axes: reduced }), op.results[0].type.shape);
}

const reshapeRules = inTwoClasses('reduce_reshape', reduceThroughReshape);

/** Padding with what a kind starts from adds nothing. */
function reduceThroughPad(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'pad');
  const { kind, axes } = op.attributes;
  if (!inner || isPositional(kind)) return undefined;
  const [x, value] = inner.operands;
  const neutral = splatOf(rewriter, value);
  const { low, high, interior } = inner.attributes;
  // Around axes that stay there would be whole rows of padding, and what crops may drop elements.
  const isAround = range(low.length).every((axis) => {
    if (!axes.includes(axis)) return low[axis] === 0 && high[axis] === 0 && interior[axis] === 0;
    return isAtMostDim(0, low[axis]) === 'always' && isAtMostDim(0, high[axis]) === 'always';
  });
  if (!isAround || neutral !== identityOf(kind as CombineKind, x.type.dtype)) return undefined;
  return rewriter.op('reduce', [x], op.attributes);
}

const padRules = inTwoClasses('reduce_pad', reduceThroughPad);

/** Which source axis stands on each axis of a broadcast's result; axes that only repeat have none. */
function sourceAxes({ operands: [x], attributes: { shape, axes } }: OpOf<'broadcast_in_dim'>): (number | undefined)[] {
  return shape.map((size, axis) => {
    const from = axes.indexOf(axis);
    return from >= 0 && size !== 1 && equalDims(x.type.shape[from], size) ? from : undefined;
  });
}

/**
 * A sum over products of two values that are repeated along different axes is a contraction, which is computed in tiles
 * and not element by element: `sum(a[:, :, None] * b[None, :, :], 1)`.
 */
const reduceProductToDot = rule({
  name: 'reduce_product_to_dot',
  opcodes: ['reduce'],
  floatClass: 'reassociating',
  apply: (op, rewriter) => {
    const product = op.attributes.kind === 'sum' ? rewriter.definedBy(op.operands[0], 'multiply') : undefined;
    if (!product || rewriter.useCount(op.operands[0]) > 1) return undefined;
    const sides = product.operands.map((operand) => rewriter.definedBy(operand, 'broadcast_in_dim'));
    const [lhs, rhs] = sides;
    if (!lhs || !rhs) return undefined;
    const [a, b] = [sourceAxes(lhs), sourceAxes(rhs)];
    const places = { contract: [] as number[], batch: [] as number[], lhs: [] as number[], rhs: [] as number[] };
    for (const axis of range(a.length)) {
      const isReduced = op.attributes.axes.includes(axis);
      const [inA, inB] = [a[axis] !== undefined, b[axis] !== undefined];
      if (isReduced && !(inA && inB)) return undefined;
      if (!inA && !inB) return undefined;
      places[isReduced ? 'contract' : inA && inB ? 'batch' : inA ? 'lhs' : 'rhs'].push(axis);
    }
    if (places.contract.length === 0 || places.lhs.length === 0 || places.rhs.length === 0) return undefined;
    const [left, right] = [squeezed(rewriter, lhs, a), squeezed(rewriter, rhs, b)];
    const dot = rewriter.op('dot_general', [left.value, right.value], {
      contract: [places.contract.map(left.at), places.contract.map(right.at)],
      batch: [places.batch.map(left.at), places.batch.map(right.at)],
    });
    const byAxis = (of: (axis: number) => number) => (p: number, q: number) => of(p) - of(q);
    const order = [...places.batch, ...places.lhs.sort(byAxis(left.at)), ...places.rhs.sort(byAxis(right.at))];
    const kept = otherAxes(a.length, op.attributes.axes);
    return transpose(rewriter, dot, invertPermutation(order.map((axis) => kept.indexOf(axis))));
  },
});

/** The operand of a broadcast without axes of size 1 that it repeats, and where result axes are in it. */
function squeezed(rewriter: Rewriter, op: OpOf<'broadcast_in_dim'>, sources: readonly (number | undefined)[]) {
  const [x] = op.operands;
  const kept = range(x.type.shape.length).filter((axis) => sources.includes(axis));
  const value = reshape(
    rewriter,
    x,
    kept.map((axis) => x.type.shape[axis]),
  );
  return { value, at: (axis: number): number => kept.indexOf(sources[axis] ?? -1) };
}

export const reductionRules: readonly RewriteRule[] = [
  reduceOneElement,
  reduceUnitAxes,
  reduceUnitAxesFloat,
  reduceReduce,
  reduceReduceFloat,
  ...transposeRules,
  ...reshapeRules,
  ...padRules,
  reduceNegate,
  reduceBroadcast,
  reduceBroadcastInteger,
  reduceBroadcastFloat,
  reduceProductToDot,
];
