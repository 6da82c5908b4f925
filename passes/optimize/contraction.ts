/**
 * Rules for `dot_general` and `reduce`. Bringing a contraction into canonical form moves no data: transposes become
 * dimension numbers. Sums of floats start from 0, so a sum of one element `x` is `x + 0`, which turns -0 into 0 and is
 * kept as it is.
 *
 *     dot_general(transpose(a), b, contract=[[1],[0]])     = dot_general(a, b, contract=[[0],[0]])
 *     reduce(broadcast_in_dim(x, [8,n]), max, axes=[1])    = x
 */
import { dimBounds, dimProduct, equalDims } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import type { OpAttributes, ReduceKind } from '../../ir/opcodes.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, full, range, reshape, sizeOf, transpose } from '../rewrite-emit.ts';

const others = (rank: number, ...lists: readonly (readonly number[])[]): number[] =>
  range(rank).filter((axis) => !lists.some((list) => list.includes(axis)));
const isAscending = (axes: readonly number[]): boolean => axes.every((axis, i) => i === 0 || axes[i - 1] < axis);

/** `x + 0`, which is what a float sum of one element is; integers need nothing. */
const plusZero = (rewriter: Rewriter, x: Value): Value =>
  isFloat(x.type.dtype) ? rewriter.op('add', [x, full(rewriter, x.type, 0)]) : x;

/** A transposed operand whose free axes stay in order is read through its dimension numbers. */
const dotTranspose = rule({
  name: 'dot_transpose',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    for (const side of [0, 1] as const) {
      const inner = rewriter.definedBy(op.operands[side], 'transpose');
      if (!inner) continue;
      const from = (axes: readonly number[]): number[] => axes.map((axis) => inner.attributes.permutation[axis]);
      const free = others(inner.attributes.permutation.length, contract[side], batch[side]);
      if (!isAscending(from(free))) continue;
      const both = <T>(mine: T, other: T): readonly [T, T] => (side === 0 ? [mine, other] : [other, mine]);
      return rewriter.op('dot_general', both(inner.operands[0], op.operands[1 - side]), {
        contract: both(from(contract[side]), contract[1 - side]),
        batch: both(from(batch[side]), batch[1 - side]),
      });
    }
    return undefined;
  },
});

/** A product that is only used with the free axes of its sides exchanged is the product the other way round. */
const transposeDot = rule({
  name: 'transpose_dot',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const dot = rewriter.definedBy(op.operands[0], 'dot_general');
    if (!dot || rewriter.useCount(op.operands[0]) > 1) return undefined;
    const { contract, batch } = dot.attributes;
    const batchRank = batch[0].length;
    const lhsFree = dot.operands[0].type.shape.length - batchRank - contract[0].length;
    const rank = op.attributes.permutation.length;
    const exchanged = [
      ...range(batchRank),
      ...range(rank - batchRank - lhsFree).map((i) => batchRank + lhsFree + i),
      ...range(lhsFree).map((i) => batchRank + i),
    ];
    if (!exchanged.every((axis, i) => axis === op.attributes.permutation[i])) return undefined;
    return rewriter.op('dot_general', [dot.operands[1], dot.operands[0]], {
      contract: [contract[1], contract[0]],
      batch: [batch[1], batch[0]],
    });
  },
});

/** An operand without its contracted axes, as it stands in the result: batch axes first, then its own. */
function spreadSide(rewriter: Rewriter, op: OpOf<'dot_general'>, side: 0 | 1): Value {
  const { contract, batch } = op.attributes;
  const x = op.operands[side];
  const free = others(x.type.shape.length, contract[side], batch[side]);
  const order = [...batch[side], ...free];
  const shape = order.map((axis) => x.type.shape[axis]);
  const moved = reshape(rewriter, transpose(rewriter, x, [...order, ...contract[side]]), shape);
  const result = op.results[0].type.shape;
  const first = side === 0 ? batch[0].length : result.length - free.length;
  const axes = [...range(batch[side].length), ...free.map((_, i) => first + i)];
  return broadcastTo(rewriter, moved, result, axes);
}

/** Which pairs of contracted axes have size 1. */
function unitContractions(op: OpOf<'dot_general'>): number[] {
  const [lhs, rhs] = op.operands;
  const { contract } = op.attributes;
  return range(contract[0].length).filter(
    (i) => lhs.type.shape[contract[0][i]] === 1 && rhs.type.shape[contract[1][i]] === 1,
  );
}

/** When only axes of size 1 are contracted, or none, every element is one product, and the 0 it is added to. */
function singleProducts(op: OpOf<'dot_general'>, rewriter: Rewriter): Value | undefined {
  if (unitContractions(op).length < op.attributes.contract[0].length) return undefined;
  return plusZero(rewriter, rewriter.op('multiply', [spreadSide(rewriter, op, 0), spreadSide(rewriter, op, 1)]));
}

const dotOuter = rule({
  name: 'dot_outer',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => (isFloat(op.operands[0].type.dtype) ? undefined : singleProducts(op, rewriter)),
});

/** A kernel for contractions may round the product only with the sum, which shows where it underflows. */
const dotOuterFloat = rule({
  name: 'dot_outer_float',
  opcodes: ['dot_general'],
  floatClass: 'reassociating',
  apply: singleProducts,
});

/** Contracted axes of size 1 vanish beside others. */
const dotUnitContract = rule({
  name: 'dot_unit_contract',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    const units = unitContractions(op);
    if (units.length === 0 || units.length === contract[0].length) return undefined;
    const sides = ([0, 1] as const).map((side) => {
      const { shape } = op.operands[side].type;
      const dropped = units.map((i) => contract[side][i]);
      const kept = others(shape.length, dropped);
      const renumber = (axes: readonly number[]): number[] =>
        axes.filter((axis) => !dropped.includes(axis)).map((axis) => kept.indexOf(axis));
      return {
        value: reshape(
          rewriter,
          op.operands[side],
          kept.map((axis) => shape[axis]),
        ),
        contract: renumber(contract[side]),
        batch: renumber(batch[side]),
      };
    });
    return rewriter.op(
      'dot_general',
      sides.map((side) => side.value),
      { contract: [sides[0].contract, sides[1].contract], batch: [sides[0].batch, sides[1].batch] },
    );
  },
});

const isPositional = (kind: ReduceKind): boolean => kind === 'argmax' || kind === 'argmin';

/** Whether the order in which elements are combined is no part of the result's bits. */
const isOrderFree = (kind: ReduceKind, x: Value): boolean =>
  !isPositional(kind) && (!isFloat(x.type.dtype) || kind === 'max' || kind === 'min');

/** Drops reduced axes of size 1 by a reshape. */
function dropUnitAxes(op: OpOf<'reduce'>, rewriter: Rewriter, units: readonly number[]): Value | undefined {
  if (units.length === 0) return undefined;
  const [x] = op.operands;
  const { kind, axes } = op.attributes;
  const { shape } = x.type;
  const kept = others(shape.length, units);
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

/** Two reductions of one kind are one over the axes of both. */
function mergeReductions(op: OpOf<'reduce'>, rewriter: Rewriter): Value | undefined {
  const inner = rewriter.definedBy(op.operands[0], 'reduce');
  const { kind, axes } = op.attributes;
  if (!inner || inner.attributes.kind !== kind || isPositional(kind)) return undefined;
  if (rewriter.useCount(op.operands[0]) > 1) return undefined;
  const kept = others(inner.operands[0].type.shape.length, inner.attributes.axes);
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
  const stays = others(permutation.length, axes).map((axis) => permutation[axis]);
  if (!isAscending(stays)) return undefined;
  const reduced = axes.map((axis) => permutation[axis]).sort((a, b) => a - b);
  return rewriter.op('reduce', inner.operands, { kind, axes: reduced });
}

const reduceTranspose = rule({
  name: 'reduce_transpose',
  opcodes: ['reduce'],
  floatClass: 'exact',
  apply: (op, rewriter) =>
    isOrderFree(op.attributes.kind, op.operands[0]) || op.attributes.axes.length === 1
      ? reduceThroughTranspose(op, rewriter)
      : undefined,
});

const reduceTransposeFloat = rule({
  name: 'reduce_transpose_float',
  opcodes: ['reduce'],
  floatClass: 'reassociating',
  apply: reduceThroughTranspose,
});

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
  const kept = others(shape.length, repeats);
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

export const contractionRules: readonly RewriteRule[] = [
  dotTranspose,
  dotOuter,
  dotOuterFloat,
  dotUnitContract,
  transposeDot,
  reduceOneElement,
  reduceUnitAxes,
  reduceUnitAxesFloat,
  reduceReduce,
  reduceReduceFloat,
  reduceTranspose,
  reduceTransposeFloat,
  reduceBroadcast,
  reduceBroadcastInteger,
  reduceBroadcastFloat,
];
