/**
 * Rules for ops that give elements another shape: `reshape`, `transpose`, `broadcast_in_dim`, `reverse`, `iota`. All
 * are exact, since nothing is computed. Compositions become one op, ops that do nothing vanish, and a repeated scalar
 * stays a repeated scalar whatever shape it is brought to:
 *
 *     reshape(broadcast_in_dim(c, [2,3]), [6])      = broadcast_in_dim(c, [6])
 *     tanh(broadcast_in_dim(x, [64,8], axes=[1]))   = broadcast_in_dim(tanh(x), [64,8], axes=[1])
 */
import { type Dim, equalDims, equalShapes, isStatic } from '../../base/dim.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { opcodes, traitsOf } from '../../ir/ops/index.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import {
  asOp,
  broadcastTo,
  full,
  invertPermutation,
  range,
  reshape,
  scalarOf,
  sizeOf,
  transpose,
} from '../rewrite-emit.ts';
import { literalOf, matchUnitAxes, splatValue } from '../rewrite-match.ts';

const isScalar = (value: Value): boolean => value.type.shape.length === 0;
const isIdentity = (axes: readonly number[]): boolean => axes.every((axis, i) => axis === i);
const isAscending = (axes: readonly number[]): boolean => axes.every((axis, i) => i === 0 || axes[i - 1] < axis);

const reshapeIdentity = rule({
  name: 'reshape_identity',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { shape } }) => (equalShapes(x.type.shape, shape) ? x : undefined),
});

const reshapeReshape = rule({
  name: 'reshape_reshape',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'reshape');
    return inner && reshape(rewriter, inner.operands[0], op.attributes.shape);
  },
});

const reshapeConstant = rule({
  name: 'reshape_constant',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const known = literalOf(rewriter, op.operands[0]);
    const shape = op.attributes.shape.filter((size) => typeof size === 'number');
    if (!known || shape.length !== op.attributes.shape.length) return undefined;
    return rewriter.op('constant', [], { value: { ...known, shape } });
  },
});

/** A repeated scalar in another shape; or only axes of size 1 come or go. */
const reshapeBroadcast = rule({
  name: 'reshape_broadcast',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
    if (!inner) return undefined;
    const { shape } = op.attributes;
    const [x] = inner.operands;
    if (isScalar(x)) return broadcastTo(rewriter, x, shape, []);
    const places = matchUnitAxes(inner.attributes.shape, shape);
    const axes = places && inner.attributes.axes.map((axis) => places.get(axis));
    return axes?.every((axis) => axis !== undefined) ? broadcastTo(rewriter, x, shape, axes) : undefined;
  },
});

const reshapeIota = rule({
  name: 'reshape_iota',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'iota');
    const axis = inner && matchUnitAxes(inner.attributes.shape, op.attributes.shape)?.get(inner.attributes.axis);
    if (axis === undefined) return undefined;
    return rewriter.op('iota', [], { ...inner!.attributes, shape: op.attributes.shape, axis });
  },
});

const transposeIdentity = rule({
  name: 'transpose_identity',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { permutation } }) => (isIdentity(permutation) ? x : undefined),
});

const transposeTranspose = rule({
  name: 'transpose_transpose',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'transpose');
    if (!inner) return undefined;
    const composed = op.attributes.permutation.map((axis) => inner.attributes.permutation[axis]);
    return transpose(rewriter, inner.operands[0], composed);
  },
});

/** When only axes of size 1 change their place among the others, no element moves. */
const transposeUnitAxes = rule({
  name: 'transpose_unit_axes',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { permutation }, results: [result] }, rewriter) => {
    const moving = permutation.filter((axis) => x.type.shape[axis] !== 1);
    return isAscending(moving) && !isIdentity(permutation) ? reshape(rewriter, x, result.type.shape) : undefined;
  },
});

const transposeBroadcast = rule({
  name: 'transpose_broadcast',
  opcodes: ['transpose'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
    if (!inner) return undefined;
    const inverse = invertPermutation(op.attributes.permutation);
    const axes = inner.attributes.axes.map((axis) => inverse[axis]);
    return broadcastTo(rewriter, inner.operands[0], op.results[0].type.shape, axes);
  },
});

const broadcastIdentity = rule({
  name: 'broadcast_identity',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { shape, axes } }) =>
    equalShapes(x.type.shape, shape) && isIdentity(axes) ? x : undefined,
});

const broadcastBroadcast = rule({
  name: 'broadcast_broadcast',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
    if (!inner) return undefined;
    const axes = inner.attributes.axes.map((axis) => op.attributes.axes[axis]);
    return broadcastTo(rewriter, inner.operands[0], op.attributes.shape, axes);
  },
});

/** A scalar in another shape is written as a broadcast, never as a reshape. */
const reshapeScalar = rule({
  name: 'reshape_scalar',
  opcodes: ['reshape'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { shape } }, rewriter) =>
    isScalar(x) && shape.length > 0 ? broadcastTo(rewriter, x, shape, []) : undefined,
});

/** A broadcast that repeats nothing only adds axes of size 1 (and may transpose). */
const broadcastWithoutGrowth = rule({
  name: 'broadcast_without_growth',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { shape, axes } }, rewriter) => {
    const grows = shape.some((size, axis) => {
      const from = axes.indexOf(axis);
      return from < 0 ? size !== 1 : !equalDims(size, x.type.shape[from]);
    });
    if (grows || isScalar(x) || (equalShapes(x.type.shape, shape) && isIdentity(axes))) return undefined;
    const order = range(axes.length).sort((i, j) => axes[i] - axes[j]);
    return reshape(rewriter, transpose(rewriter, x, order), shape);
  },
});

/** Axes of size 1 that a reshape put in are not needed by a broadcast. */
const broadcastReshape = rule({
  name: 'broadcast_reshape',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'reshape');
    if (!inner) return undefined;
    const [x] = inner.operands;
    if (x.type.shape.includes(1)) return undefined;
    const places = matchUnitAxes(x.type.shape, inner.attributes.shape);
    if (!places) return undefined;
    const axes = x.type.shape.map((_, i) => op.attributes.axes[places.get(i)!]);
    return broadcastTo(rewriter, x, op.attributes.shape, axes);
  },
});

/** An array of equal elements is a repeated scalar: kernels keep a scalar in a register. */
const splatConstant = rule({
  name: 'splat_constant',
  opcodes: ['constant'],
  floatClass: 'exact',
  apply: ({ attributes: { value } }, rewriter) => {
    const element = value.shape.length > 0 ? splatValue(value) : undefined;
    if (element === undefined) return undefined;
    return broadcastTo(rewriter, scalarOf(rewriter, value.dtype, element), value.shape, []);
  },
});

/** Moving the elements of a repeated scalar changes nothing; nor does moving along axes that only repeat. */
const reverseBroadcast = rule({
  name: 'reverse_broadcast',
  opcodes: ['reverse'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'broadcast_in_dim');
    const { shape } = op.operands[0].type;
    const turned = op.attributes.axes.filter((axis) => {
      const from = inner ? inner.attributes.axes.indexOf(axis) : axis;
      const repeats = inner !== undefined && (from < 0 || inner.operands[0].type.shape[from] === 1);
      return shape[axis] !== 1 && !repeats;
    });
    if (turned.length === op.attributes.axes.length && turned.length > 0) return undefined;
    return turned.length === 0 ? op.operands[0] : rewriter.op('reverse', op.operands, { axes: turned });
  },
});

const reverseReverse = rule({
  name: 'reverse_reverse',
  opcodes: ['reverse'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'reverse');
    if (!inner) return undefined;
    const [outerAxes, innerAxes] = [op.attributes.axes, inner.attributes.axes];
    const axes = range(op.results[0].type.shape.length).filter(
      (axis) => outerAxes.includes(axis) !== innerAxes.includes(axis),
    );
    return axes.length === 0 ? inner.operands[0] : rewriter.op('reverse', inner.operands, { axes });
  },
});

const iotaUnitAxis = rule({
  name: 'iota_unit_axis',
  opcodes: ['iota'],
  floatClass: 'exact',
  apply: ({ attributes: { dtype, shape, axis } }, rewriter) =>
    shape[axis] === 1 ? full(rewriter, { dtype, shape }, 0) : undefined,
});

const staticSize = rule({
  name: 'static_size',
  opcodes: ['dimension_size'],
  floatClass: 'exact',
  apply: ({ attributes: { size, dtype } }, rewriter) => (isStatic(size) ? sizeOf(rewriter, size, dtype) : undefined),
});

interface Repetition {
  readonly source: Value;
  readonly axes: readonly number[];
}

/**
 * An elementwise op on repeated values is done once, before they are repeated. All operands must be repeated in the
 * same way, but for scalars, which can be repeated in any.
 */
const elementwiseBroadcasts = rule({
  name: 'elementwise_broadcasts',
  opcodes: opcodes.filter((opcode) => traitsOf(opcode).elementwise),
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const { shape } = op.results[0].type;
    const inputs: Repetition[] = [];
    let pattern: Repetition | undefined;
    for (const operand of op.operands) {
      const source = rewriter.definedBy(operand, 'broadcast_in_dim');
      if (!source) return undefined;
      const input = { source: source.operands[0], axes: source.attributes.axes };
      inputs.push(input);
      if (isScalar(input.source)) continue;
      pattern ??= input;
      if (!repeatsAlike(pattern, input)) return undefined;
    }
    const small: readonly Dim[] = pattern?.source.type.shape ?? [];
    const operands = inputs.map(({ source }) => (isScalar(source) ? broadcastTo(rewriter, source, small, []) : source));
    return broadcastTo(rewriter, sameOp(rewriter, op, operands), shape, pattern?.axes ?? []);
  },
});

const repeatsAlike = (a: Repetition, b: Repetition): boolean =>
  equalShapes(a.source.type.shape, b.source.type.shape) && a.axes.every((axis, i) => axis === b.axes[i]);

/** The same op on other operands. */
function sameOp(rewriter: Rewriter, op: OpOf<Opcode>, operands: readonly Value[]): Value {
  const { opcode, attributes } = asOp(op);
  return rewriter.op(opcode, operands, attributes);
}

export const shapeRules: readonly RewriteRule[] = [
  splatConstant,
  reshapeIdentity,
  reshapeReshape,
  reshapeScalar,
  reshapeConstant,
  reshapeBroadcast,
  reshapeIota,
  transposeIdentity,
  transposeTranspose,
  transposeUnitAxes,
  transposeBroadcast,
  broadcastIdentity,
  broadcastBroadcast,
  broadcastWithoutGrowth,
  broadcastReshape,
  reverseBroadcast,
  reverseReverse,
  iotaUnitAxis,
  staticSize,
  elementwiseBroadcasts,
];
