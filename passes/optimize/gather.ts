/**
 * Rules for `gather` and `scatter` at places that are known. All are exact.
 *
 *     gather(table, iota [0..n))         = slice(table, 0:n)
 *     gather(table, constant 3)          = slice(table, 3:4)
 *     gather(broadcast_in_dim(c), i)     = broadcast_in_dim(c)
 */
import { addDims, type Dim, equalDims, isAtMostDim, isStatic, subDims } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { broadcastTo, otherAxes, range, reshape, transpose } from '../rewrite-emit.ts';
import { isSplat, splatOf } from '../rewrite-match.ts';
import { sliceTo } from './slice.ts';

/** Axes of the indices that pick windows: all but the one that holds the components. */
const batchAxes = ({ operands: [, indices], attributes: { index_vector_axis } }: OpOf<'gather'>): number[] =>
  otherAxes(indices.type.shape.length, [index_vector_axis]);

/** A window that starts at known places, once for each index: a slice that is repeated. */
const gatherConstant = rule({
  name: 'gather_constant',
  opcodes: ['gather'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x, indices] = op.operands;
    const { start_index_map, slice_sizes, collapsed_axes, offset_axes, mode } = op.attributes;
    const given = splatOf(rewriter, indices);
    if (given === undefined || start_index_map.length !== 1) return undefined;
    const [axis] = start_index_map;
    const room = subDims(x.type.shape[axis], slice_sizes[axis]);
    if (!isStatic(room)) return undefined;
    if (mode === 'fill' && (given < 0 || given > room)) return undefined;
    const from = Math.max(0, Math.min(given, room));
    const start = x.type.shape.map((_, i) => (i === axis ? from : 0));
    const limit = slice_sizes.map((size, i) => addDims(size, start[i]));
    const window = sliceTo(rewriter, x, { start, limit, strides: start.map(() => 1) });
    const kept = otherAxes(slice_sizes.length, collapsed_axes).map((i) => slice_sizes[i]);
    return broadcastTo(rewriter, reshape(rewriter, window, kept), op.results[0].type.shape, offset_axes);
  },
});

/** Windows one after the other from the start: the operand as far as they reach. */
const gatherIota = rule({
  name: 'gather_iota',
  opcodes: ['gather'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x, indices] = op.operands;
    const { start_index_map, slice_sizes, collapsed_axes, offset_axes } = op.attributes;
    const positions = iotaOf(rewriter, indices);
    const [axis] = start_index_map;
    const batch = batchAxes(op);
    const isPlain =
      start_index_map.length === 1 &&
      collapsed_axes.length === 1 &&
      collapsed_axes[0] === axis &&
      batch.length === 1 &&
      positions === batch[0];
    if (!isPlain) return undefined;
    const count = indices.type.shape[batch[0]];
    if (isAtMostDim(count, x.type.shape[axis]) !== 'always' || !isStatic(count)) return undefined;
    const limit = slice_sizes.map((size, i) => (i === axis ? count : size));
    const rows = sliceTo(rewriter, x, { start: limit.map(() => 0), limit, strides: limit.map(() => 1) });
    const resultRank = op.results[0].type.shape.length;
    const [batchAxis] = otherAxes(resultRank, offset_axes);
    const rest = otherAxes(slice_sizes.length, [axis]);
    const order = range(resultRank).map((i) => (i === batchAxis ? axis : rest[offset_axes.indexOf(i)]));
    return transpose(rewriter, rows, order);
  },
});

/** The axis along which indices count from 0, through reshapes that add axes of size 1. */
function iotaOf(rewriter: Rewriter, value: Value): number | undefined {
  const iota = rewriter.definedBy(value, 'iota');
  if (iota) return iota.attributes.axis;
  const source = rewriter.definedBy(value, 'reshape')?.operands[0];
  const inner = source && rewriter.definedBy(source, 'iota');
  if (inner?.attributes.shape.length !== 1) return undefined;
  const long = range(value.type.shape.length).filter((axis) => value.type.shape[axis] !== 1);
  return long.length === 1 ? long[0] : undefined;
}

/** Wherever one looks in a repeated scalar, it is there; outside of it a filling gather has 0. */
const gatherRepeated = rule({
  name: 'gather_repeated',
  opcodes: ['gather', 'dynamic_slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x] = op.operands;
    const source = rewriter.definedBy(x, 'broadcast_in_dim')?.operands[0];
    if (source?.type.shape.length !== 0) return undefined;
    const fills = op.opcode === 'gather' && (op as unknown as OpOf<'gather'>).attributes.mode === 'fill';
    if (fills && !isSplat(rewriter, x, 0)) return undefined;
    return broadcastTo(rewriter, source, op.results[0].type.shape, []);
  },
});

/** A part that is taken at a place along some axes, of what only repeats along them. */
const dynamicSliceBroadcast = rule({
  name: 'dynamic_slice_broadcast',
  opcodes: ['dynamic_slice'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x, ...starts] = op.operands;
    const inner = rewriter.definedBy(x, 'broadcast_in_dim');
    if (!inner) return undefined;
    const { axes, shape } = inner.attributes;
    const [source] = inner.operands;
    const { sizes } = op.attributes;
    // What is cut must be an axis that only repeats; all others are taken whole.
    const isRepeat = (axis: number): boolean => {
      const from = axes.indexOf(axis);
      return from < 0 || (source.type.shape[from] === 1 && shape[axis] !== 1);
    };
    const isCut = (axis: number): boolean => !equalDims(sizes[axis], shape[axis]);
    if (starts.some((_, axis) => isCut(axis) && !isRepeat(axis))) return undefined;
    return broadcastTo(rewriter, source, sizes, axes);
  },
});

/** Zeros that are added change at most -0, which integers do not have. */
const scatterZeros = rule({
  name: 'scatter_zeros',
  opcodes: ['scatter'],
  floatClass: 'exact',
  apply: ({ operands: [x, , updates], attributes: { kind } }, rewriter) =>
    kind === 'add' && !isFloat(x.type.dtype) && isSplat(rewriter, updates, 0) ? x : undefined,
});

const isWhole = (sizes: readonly Dim[], shape: readonly Dim[]): boolean =>
  sizes.every((size, axis) => equalDims(size, shape[axis]));

/** A gather of whole windows at indices that can only be 0. */
const gatherWhole = rule({
  name: 'gather_whole',
  opcodes: ['gather'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [x] = op.operands;
    const { slice_sizes, collapsed_axes, offset_axes, mode } = op.attributes;
    if (mode !== 'clamp' || !isWhole(slice_sizes, x.type.shape)) return undefined;
    const kept = otherAxes(slice_sizes.length, collapsed_axes).map((axis) => slice_sizes[axis]);
    return broadcastTo(rewriter, reshape(rewriter, x, kept), op.results[0].type.shape, offset_axes);
  },
});

export const gatherRules: readonly RewriteRule[] = [
  gatherRepeated,
  gatherWhole,
  gatherConstant,
  gatherIota,
  dynamicSliceBroadcast,
  scatterZeros,
];
