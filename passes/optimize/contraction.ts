/**
 * Rules for `dot_general`. Bringing a contraction into canonical form moves no data: transposes become dimension
 * numbers, axes of size 1 vanish, and what only repeats is computed once.
 *
 *     dot_general(transpose(a), b, contract=[[1],[0]])              = dot_general(a, b, contract=[[0],[0]])
 *     slice(dot_general(a, b, contract=[[1],[0]]), rows 0:4)        = dot_general(slice(a, rows 0:4), b, ...)
 */
import { type Dim, equalDims } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { reshapeSegments } from '../lower/index-algebra.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, isAscending, otherAxes, plusZero, range, reshape, transpose } from '../rewrite-emit.ts';
import { splatOf } from '../rewrite-match.ts';
import { keepsAll, sliceTo } from './slice.ts';

/** Whether either operand has an axis of its own. Without, a sum over several axes depends on how they lie. */
const hasFreeAxes = ({ operands, attributes: { contract, batch } }: OpOf<'dot_general'>): boolean =>
  operands.some(({ type }, side) => type.shape.length > contract[side].length + batch[side].length);

const dependsOnLayout = (op: OpOf<'dot_general'>): boolean =>
  isFloat(op.operands[0].type.dtype) && op.attributes.contract[0].length > 1 && !hasFreeAxes(op);

/** A transposed operand whose free axes stay in order is read through its dimension numbers. */
const dotTranspose = rule({
  name: 'dot_transpose',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    if (dependsOnLayout(op)) return undefined;
    for (const side of [0, 1] as const) {
      const inner = rewriter.definedBy(op.operands[side], 'transpose');
      if (!inner) continue;
      const from = (axes: readonly number[]): number[] => axes.map((axis) => inner.attributes.permutation[axis]);
      const free = otherAxes(inner.attributes.permutation.length, contract[side], batch[side]);
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
  const free = otherAxes(x.type.shape.length, contract[side], batch[side]);
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
    if (units.length === 0 || units.length === contract[0].length || dependsOnLayout(op)) return undefined;
    const sides = ([0, 1] as const).map((side) => {
      const { shape } = op.operands[side].type;
      const dropped = units.map((i) => contract[side][i]);
      const kept = otherAxes(shape.length, dropped);
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

/** Axes of an operand, without some of them, as a dot names them. */
const withoutAxes = (axes: readonly number[], dropped: readonly number[]): number[] =>
  axes.filter((axis) => !dropped.includes(axis)).map((axis) => axis - dropped.filter((gone) => gone < axis).length);

/** Batch axes of size 1 are dropped: what is left is a plain product, or one of fewer axes. */
const dotUnitBatch = rule({
  name: 'dot_unit_batch',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    const [lhs, rhs] = op.operands;
    const units = range(batch[0].length).filter(
      (i) => lhs.type.shape[batch[0][i]] === 1 && rhs.type.shape[batch[1][i]] === 1,
    );
    if (units.length === 0 || dependsOnLayout(op)) return undefined;
    const side = (at: 0 | 1) => {
      const { shape } = op.operands[at].type;
      const dropped = units.map((i) => batch[at][i]);
      return {
        value: reshape(
          rewriter,
          op.operands[at],
          shape.filter((_, axis) => !dropped.includes(axis)),
        ),
        contract: withoutAxes(contract[at], dropped),
        batch: withoutAxes(batch[at], dropped),
      };
    };
    const [a, b] = [side(0), side(1)];
    const product = rewriter.op('dot_general', [a.value, b.value], {
      contract: [a.contract, b.contract],
      batch: [a.batch, b.batch],
    });
    return reshape(rewriter, product, op.results[0].type.shape);
  },
});

/**
 * A batch axis that a reshape of an operand has merged from several is taken apart again: heads that were folded into
 * the batch are axes of their own, as they are around the product. Heads that are repeated stay as they are: the scores
 * of all would no longer lie along one axis.
 */
const dotMergedBatch = rule({
  name: 'dot_merged_batch',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    if (dependsOnLayout(op)) return undefined;
    for (const from of [0, 1] as const) {
      const merged = mergedAxis(op.operands[from], batch[from], rewriter);
      if (!merged) continue;
      const side = (at: 0 | 1) => {
        const split = batch[at][merged.number];
        const moved = (axis: number): number => (axis > split ? axis + merged.parts.length - 1 : axis);
        const ownBatch = batch[at].flatMap((axis) =>
          axis === split ? merged.parts.map((_, part) => split + part) : [moved(axis)],
        );
        const shape = op.operands[at].type.shape.toSpliced(split, 1, ...merged.parts);
        return { value: reshape(rewriter, op.operands[at], shape), contract: contract[at].map(moved), batch: ownBatch };
      };
      const [a, b] = [side(0), side(1)];
      const product = rewriter.op('dot_general', [a.value, b.value], {
        contract: [a.contract, b.contract],
        batch: [a.batch, b.batch],
      });
      return reshape(rewriter, product, op.results[0].type.shape);
    }
    return undefined;
  },
});

/** The first of some axes of a reshaped value that is made of several, by its place among them. */
function mergedAxis(
  value: Value,
  axes: readonly number[],
  rewriter: Rewriter,
): { readonly number: number; readonly parts: readonly Dim[] } | undefined {
  const inner = rewriter.definedBy(value, 'reshape');
  if (!inner || rewriter.definedBy(inner.operands[0], 'broadcast_in_dim')) return undefined;
  const { shape } = inner.operands[0].type;
  for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(shape, value.type.shape)) {
    const number = axes.indexOf(toStart);
    const parts = shape.slice(fromStart, fromEnd).filter((size) => size !== 1);
    if (number >= 0 && toEnd === toStart + 1 && parts.length > 1) return { number, parts };
  }
  return undefined;
}

/** Where the free axes of a side stand in the result. */
function freeAxesInResult({ operands, attributes: { contract, batch } }: OpOf<'dot_general'>, side: 0 | 1) {
  const free = ([0, 1] as const).map((at) => otherAxes(operands[at].type.shape.length, contract[at], batch[at]));
  const first = batch[0].length + (side === 0 ? 0 : free[0].length);
  return free[side].map((axis, i) => ({ axis, inResult: first + i }));
}

/**
 * Rows of a product that are the same are computed once. A product without any free axis adds in another order, so one
 * is left.
 */
const dotRepeatedRows = rule({
  name: 'dot_repeated_rows',
  opcodes: ['dot_general'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    for (const side of [0, 1] as const) {
      const repeated = rewriter.definedBy(op.operands[side], 'broadcast_in_dim');
      if (!repeated) continue;
      const { shape, axes } = repeated.attributes;
      const source = repeated.operands[0];
      const repeats = freeAxesInResult(op, side).filter(({ axis }) => {
        const from = axes.indexOf(axis);
        return shape[axis] !== 1 && (from < 0 || !equalDims(source.type.shape[from], shape[axis]));
      });
      const freeAxes = freeAxesInResult(op, 0).length + freeAxesInResult(op, 1).length;
      if (repeats.length === 0 || repeats.length === freeAxes) continue;
      return rewriter.op(
        'broadcast_in_dim',
        [
          withoutRepeats(
            rewriter,
            op,
            side,
            repeats.map(({ axis }) => axis),
          ),
        ],
        {
          shape: op.results[0].type.shape,
          axes: otherAxes(
            op.results[0].type.shape.length,
            repeats.map(({ inResult }) => inResult),
          ),
        },
      );
    }
    return undefined;
  },
});

/** The product over an operand that has lost free axes along which it only repeats. */
function withoutRepeats(rewriter: Rewriter, op: OpOf<'dot_general'>, side: 0 | 1, dropped: readonly number[]): Value {
  const repeated = rewriter.definedBy(op.operands[side], 'broadcast_in_dim');
  if (!repeated) return op.results[0];
  const { shape, axes } = repeated.attributes;
  const [source] = repeated.operands;
  const keptOfSource = range(axes.length).filter((i) => !dropped.includes(axes[i]));
  const small = broadcastTo(
    rewriter,
    reshape(
      rewriter,
      source,
      keptOfSource.map((i) => source.type.shape[i]),
    ),
    shape.filter((_, axis) => !dropped.includes(axis)),
    withoutAxes(
      keptOfSource.map((i) => axes[i]),
      dropped,
    ),
  );
  const { contract, batch } = op.attributes;
  const both = <T>(mine: T, other: T): readonly [T, T] => (side === 0 ? [mine, other] : [other, mine]);
  return rewriter.op('dot_general', both(small, op.operands[1 - side]), {
    contract: both(withoutAxes(contract[side], dropped), contract[1 - side]),
    batch: both(withoutAxes(batch[side], dropped), batch[1 - side]),
  });
}

/** A product with equal numbers is a sum: ones that add up rows, and their like. */
const dotSplat = rule({
  name: 'dot_splat',
  opcodes: ['dot_general'],
  floatClass: 'reassociating',
  apply: (op, rewriter) => {
    const { contract, batch } = op.attributes;
    if (contract[0].length === 0) return undefined;
    for (const side of [0, 1] as const) {
      const factor = splatOf(rewriter, op.operands[side]);
      if (factor === undefined) continue;
      const other = op.operands[1 - side];
      const [mine, theirs] = [contract[side], contract[1 - side]];
      if (mine.length === 0) continue;
      const { shape } = other.type;
      const free = otherAxes(shape.length, theirs, batch[1 - side]);
      const scaled =
        factor === 1
          ? other
          : rewriter.op('multiply', [
              other,
              broadcastTo(
                rewriter,
                rewriter.definedBy(op.operands[side], 'broadcast_in_dim')?.operands[0] ?? op.operands[side],
                shape,
                [],
              ),
            ]);
      const sum = rewriter.op('reduce', [scaled], { kind: 'sum', axes: [...theirs].sort((a, b) => a - b) });
      const kept = otherAxes(shape.length, theirs);
      const order = [...batch[1 - side], ...free].map((axis) => kept.indexOf(axis));
      const inResult = [
        ...range(batch[0].length),
        ...freeAxesInResult(op, side === 0 ? 1 : 0).map((at) => at.inResult),
      ];
      return broadcastTo(rewriter, transpose(rewriter, sum, order), op.results[0].type.shape, inResult);
    }
    return undefined;
  },
});

/** Only the rows and columns of a product that are wanted are computed. */
const sliceDot = rule({
  name: 'slice_dot',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const dot = rewriter.definedBy(op.operands[0], 'dot_general');
    if (!dot || rewriter.useCount(op.operands[0]) > 1) return undefined;
    const { start, limit, strides } = op.attributes;
    const { batch } = dot.attributes;
    const operands = ([0, 1] as const).map((side) => {
      const x = dot.operands[side];
      const places = new Map(freeAxesInResult(dot, side).map(({ axis, inResult }) => [axis, inResult]));
      batch[side].forEach((axis, i) => {
        places.set(axis, i);
      });
      const { shape } = x.type;
      const pick = <T>(given: readonly T[], otherwise: (axis: number) => T): T[] =>
        shape.map((_, axis) => {
          const place = places.get(axis);
          return place === undefined ? otherwise(axis) : given[place];
        });
      return sliceTo(rewriter, x, {
        start: pick(start, () => 0),
        limit: pick(limit, (axis) => shape[axis]),
        strides: pick(strides, () => 1),
      });
    });
    if (keepsAll(op.operands[0], op.attributes)) return undefined;
    return rewriter.op('dot_general', operands, dot.attributes);
  },
});

export const contractionRules: readonly RewriteRule[] = [
  dotTranspose,
  dotUnitBatch,
  dotMergedBatch,
  dotOuter,
  dotOuterFloat,
  dotUnitContract,
  dotRepeatedRows,
  dotSplat,
  transposeDot,
  sliceDot,
];
