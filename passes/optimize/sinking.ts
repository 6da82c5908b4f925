/**
 * Transposes and reshapes sink below elementwise ops, where they meet others and cancel, or become dimension numbers of
 * a contraction; slices rise above them. What is repeated is computed at the smallest shape that holds it. All are
 * exact, since the same elements are computed from the same elements.
 *
 *     tanh(transpose(x))                                   = transpose(tanh(x))
 *     multiply(broadcast_in_dim(r: [8]), broadcast_in_dim(s: [8,4]))   at [8,4], then repeated
 */
import { addDims, type Dim, equalDims, equalShapes, mulDims } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import { opcodes, traitsOf } from '../../ir/ops/index.ts';
import { wrapInteger } from '../../ir/ops/scalar.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import { reshapeSegments } from '../lower/index-algebra.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { asOp, broadcastTo, isAscending, range, reshape, scalarOf, transpose } from '../rewrite-emit.ts';
import { matchUnitAxes } from '../rewrite-match.ts';
import { sliceTo } from './slice.ts';

const elementwise = opcodes.filter((opcode) => traitsOf(opcode).elementwise);

/** Whether an op is the only user of a value, however often it takes it. */
const isOnlyUser = (rewriter: Rewriter, op: { readonly operands: readonly Value[] }, value: Value): boolean =>
  rewriter.useCount(value) === op.operands.filter((operand) => operand === value).length;

/** The same op over operands of another shape. */
function sameOp(rewriter: Rewriter, op: Op, operands: readonly Value[]): Value {
  const { opcode, attributes } = op as OpOf<'convert'>;
  return rewriter.op(opcode, operands, attributes);
}

const elementwiseTransposes = rule({
  name: 'elementwise_transposes',
  opcodes: elementwise,
  floatClass: 'exact',
  apply: (op, rewriter) => {
    let permutation: readonly number[] | undefined;
    for (const operand of op.operands) {
      const moved = rewriter.definedBy(operand, 'transpose');
      if (!moved) {
        if (!rewriter.definedBy(operand, 'broadcast_in_dim')) return undefined;
        continue;
      }
      if (!isOnlyUser(rewriter, op, operand)) return undefined;
      permutation ??= moved.attributes.permutation;
      if (!permutation.every((axis, i) => axis === moved.attributes.permutation[i])) return undefined;
    }
    if (!permutation) return undefined;
    const order = permutation;
    const shape: Dim[] = [];
    order.forEach((axis, i) => {
      shape[axis] = op.results[0].type.shape[i];
    });
    const operands = op.operands.map((operand) => {
      const repeated = rewriter.definedBy(operand, 'broadcast_in_dim');
      if (!repeated) return rewriter.definedBy(operand, 'transpose')?.operands[0] ?? operand;
      const axes = repeated.attributes.axes.map((axis) => order[axis]);
      return broadcastTo(rewriter, repeated.operands[0], shape, axes);
    });
    return transpose(rewriter, sameOp(rewriter, asOp(op), operands), order);
  },
});

/** Where each axis of a reshape's result stands in its operand, for axes that are the same in both. */
function keptAxes(from: readonly Dim[], to: readonly Dim[]): Map<number, number> {
  const places = new Map<number, number>();
  for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(from, to)) {
    if (fromEnd - fromStart === 1 && toEnd - toStart === 1) places.set(toStart, fromStart);
  }
  return places;
}

const elementwiseReshapes = rule({
  name: 'elementwise_reshapes',
  opcodes: elementwise,
  floatClass: 'exact',
  apply: (op, rewriter) => {
    let from: readonly Dim[] | undefined;
    for (const operand of op.operands) {
      const source = rewriter.definedBy(operand, 'reshape')?.operands[0];
      if (!source) {
        if (!rewriter.definedBy(operand, 'broadcast_in_dim')) return undefined;
        continue;
      }
      // A reshape that is needed elsewhere stays; one that only puts in axes of size 1 sinks below all its users.
      const isFree = matchUnitAxes(source.type.shape, operand.type.shape) !== undefined;
      if (!isFree && !isOnlyUser(rewriter, op, operand)) return undefined;
      from ??= source.type.shape;
      if (!equalShapes(from, source.type.shape)) return undefined;
    }
    if (!from) return undefined;
    const [small, { shape }] = [from, op.results[0].type];
    let places: Map<number, number> | undefined;
    const operands: Value[] = [];
    for (const operand of op.operands) {
      const repeated = rewriter.definedBy(operand, 'broadcast_in_dim');
      if (!repeated) {
        operands.push(rewriter.definedBy(operand, 'reshape')?.operands[0] ?? operand);
        continue;
      }
      const [x] = repeated.operands;
      if (x.type.shape.length > 0) places ??= keptAxes(small, shape);
      const axes = repeated.attributes.axes.map((axis) => places?.get(axis) ?? -1);
      if (axes.includes(-1)) return undefined;
      operands.push(broadcastTo(rewriter, x, small, axes));
    }
    return reshape(rewriter, sameOp(rewriter, asOp(op), operands), shape);
  },
});

/** Result axes along which a broadcast really has elements of its operand. */
const ownAxes = ({ operands: [x], attributes: { axes } }: OpOf<'broadcast_in_dim'>): number[] =>
  axes.filter((_, i) => x.type.shape[i] !== 1);

/**
 * An op on values that are repeated along nested sets of axes is computed at the shape of the one with the most axes:
 * a factor for each row and one for each batch meet row by row.
 */
const elementwiseNestedBroadcasts = rule({
  name: 'elementwise_nested_broadcasts',
  opcodes: elementwise,
  floatClass: 'exact',
  apply: (op, rewriter) => {
    if (op.operands.length < 2) return undefined;
    const repeated: OpOf<'broadcast_in_dim'>[] = [];
    for (const operand of op.operands) {
      const source = rewriter.definedBy(operand, 'broadcast_in_dim');
      if (!source) return undefined;
      repeated.push(source);
    }
    const own = repeated.map(ownAxes);
    const widest = own.reduce((a, b) => (b.length > a.length ? b : a));
    const { shape } = op.results[0].type;
    const axes = [...widest].sort((a, b) => a - b);
    const isSmaller = shape.some((size, axis) => size !== 1 && !axes.includes(axis));
    if (!isSmaller || axes.length === 0 || own.some((list) => list.some((axis) => !axes.includes(axis))))
      return undefined;
    const small = axes.map((axis) => shape[axis]);
    const operands = repeated.map((source, at) => {
      const [x] = source.operands;
      const squeezed = reshape(
        rewriter,
        x,
        x.type.shape.filter((size) => size !== 1),
      );
      const places = own[at].map((axis) => axes.indexOf(axis));
      if (isAscending(places)) return broadcastTo(rewriter, squeezed, small, places);
      return rewriter.op('broadcast_in_dim', [squeezed], { shape: small, axes: places });
    });
    return broadcastTo(rewriter, sameOp(rewriter, asOp(op), operands), shape, axes);
  },
});

/** A broadcast puts axes in any order by itself. */
const broadcastTranspose = rule({
  name: 'broadcast_transpose',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'transpose');
    if (!inner) return undefined;
    const axes: number[] = [];
    inner.attributes.permutation.forEach((axis, i) => {
      axes[axis] = op.attributes.axes[i];
    });
    return broadcastTo(rewriter, inner.operands[0], op.attributes.shape, axes);
  },
});

/** Positions along an axis are positions along it in any shape around it. */
const broadcastIota = rule({
  name: 'broadcast_iota',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'iota');
    const axis = inner && op.attributes.axes[inner.attributes.axis];
    if (!inner || axis === undefined) return undefined;
    const { shape } = op.attributes;
    const size = inner.attributes.shape[inner.attributes.axis];
    return equalDims(size, shape[axis])
      ? rewriter.op('iota', [], { dtype: inner.attributes.dtype, shape, axis })
      : undefined;
  },
});

const transposeIota = rule({
  name: 'transpose_iota',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'iota');
    if (!inner) return undefined;
    const axis = op.attributes.permutation.indexOf(inner.attributes.axis);
    return rewriter.op('iota', [], { dtype: inner.attributes.dtype, shape: op.results[0].type.shape, axis });
  },
});

/** A part of positions: positions of the part, times the stride, plus where it starts. Integers alone do not round. */
const sliceIota = rule({
  name: 'slice_iota',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'iota');
    if (!inner) return undefined;
    const { dtype, axis } = inner.attributes;
    const { shape } = op.results[0].type;
    const [start, stride] = [op.attributes.start[axis], op.attributes.strides[axis]];
    const positions = rewriter.op('iota', [], { dtype, shape, axis });
    if (start === 0 && stride === 1) return positions;
    if (isFloat(dtype) || typeof start !== 'number') return undefined;
    // Positions wrap at the width of their dtype, and so may what they are computed with.
    const number = (by: number): Value =>
      broadcastTo(rewriter, scalarOf(rewriter, dtype, wrapInteger(dtype, by)), shape, []);
    const scaled = stride === 1 ? positions : rewriter.op('multiply', [positions, number(stride)]);
    return rewriter.op('add', [scaled, number(start)]);
  },
});

const sliceTranspose = rule({
  name: 'slice_transpose',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'transpose');
    if (!inner) return undefined;
    const { permutation } = inner.attributes;
    const back = <T>(given: readonly T[]): T[] => {
      const moved: T[] = [];
      permutation.forEach((axis, i) => {
        moved[axis] = given[i];
      });
      return moved;
    };
    const { start, limit, strides } = op.attributes;
    const part = sliceTo(rewriter, inner.operands[0], {
      start: back(start),
      limit: back(limit),
      strides: back(strides),
    });
    return transpose(rewriter, part, permutation);
  },
});

/** A slice along axes that a reshape leaves alone, or along the first of those it makes of one. */
const sliceReshape = rule({
  name: 'slice_reshape',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'reshape');
    if (!inner) return undefined;
    const [x] = inner.operands;
    const to = inner.attributes.shape;
    const { start, limit, strides } = op.attributes;
    const isWhole = (axis: number): boolean =>
      start[axis] === 0 && equalDims(limit[axis], to[axis]) && strides[axis] === 1;
    const bounds = {
      start: x.type.shape.map((): Dim => 0),
      limit: [...x.type.shape],
      strides: x.type.shape.map(() => 1),
    };
    for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(x.type.shape, to)) {
      const cut = range(toEnd - toStart)
        .map((i) => toStart + i)
        .filter((axis) => !isWhole(axis));
      if (cut.length === 0) continue;
      const places = range(fromEnd - fromStart)
        .map((i) => fromStart + i)
        .filter((axis) => x.type.shape[axis] !== 1);
      const [axis] = cut;
      // The others are of size 1, or lie within the steps of the one that is cut.
      const leading = range(axis - toStart).every((i) => to[toStart + i] === 1);
      if (cut.length > 1 || !leading || places.length !== 1) return undefined;
      const step = range(toEnd - axis - 1).reduce<Dim>((size, i) => mulDims(size, to[axis + 1 + i]), 1);
      if (strides[axis] !== 1 && step !== 1) return undefined;
      bounds.strides[places[0]] = strides[axis];
      bounds.start[places[0]] = mulDims(start[axis], step);
      bounds.limit[places[0]] = mulDims(limit[axis], step);
    }
    return reshape(rewriter, sliceTo(rewriter, x, bounds), op.results[0].type.shape);
  },
});

/** What a reverse leaves at its end is the start of its operand. */
const sliceReverse = rule({
  name: 'slice_reverse',
  opcodes: ['slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'reverse');
    if (!inner) return undefined;
    const { axes } = inner.attributes;
    const { start, limit, strides } = op.attributes;
    const { shape } = inner.operands[0].type;
    if (axes.some((axis) => strides[axis] !== 1)) return undefined;
    const opposite = (bound: Dim, axis: number): Dim => addDims(shape[axis], mulDims(bound, -1));
    const part = sliceTo(rewriter, inner.operands[0], {
      start: start.map((from, axis) => (axes.includes(axis) ? opposite(limit[axis], axis) : from)),
      limit: limit.map((to, axis) => (axes.includes(axis) ? opposite(start[axis], axis) : to)),
      strides,
    });
    return rewriter.op('reverse', [part], inner.attributes);
  },
});

export const sinkingRules: readonly RewriteRule[] = [
  broadcastTranspose,
  broadcastIota,
  transposeIota,
  sliceIota,
  sliceTranspose,
  sliceReshape,
  sliceReverse,
  elementwiseTransposes,
  elementwiseReshapes,
  elementwiseNestedBroadcasts,
];
