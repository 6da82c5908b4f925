/**
 * Reads at places that depend on data. An index scalar is moved into range before it becomes part of an address, or
 * the load is predicated on its being in range.
 */
import { type Dim, equalDims, subDims } from '../../../base/dim.ts';
import { isNarrowInteger } from '../../../base/dtype.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import type { Value } from '../../../ir/types.ts';
import type { BodyBuilder } from '../body.ts';
import type { Emitter } from '../emitter.ts';
import { type Index, zeroIndex } from '../index-algebra.ts';
import { within } from './predicate.ts';
import type { ScalarRule } from './rule.ts';

/** The scalar moved into `[0, greatest]`, as an index. */
export function clampedIndex(body: BodyBuilder, given: ScalarId, greatest: Dim): Index {
  if (greatest === 0) return zeroIndex;
  const start = widened(body, given);
  const dtype = body.dtypeOf(start);
  const positive = dtype === 'uint32' ? start : body.apply(dtype, 'maximum', [start, body.constant(dtype, 0)]);
  return body.algebra.value(
    asPosition(body, body.apply(dtype, 'minimum', [positive, body.size(dtype, greatest)])),
    greatest,
  );
}

/** Whether the scalar is in `[0, greatest]`. */
export function inRange(body: BodyBuilder, given: ScalarId, greatest: Dim): ScalarId {
  const start = widened(body, given);
  const dtype = body.dtypeOf(start);
  const below = body.apply('bool', 'compare', [start, body.size(dtype, greatest)], 'LE');
  if (dtype === 'uint32') return below;
  return body.apply('bool', 'and', [body.apply('bool', 'compare', [start, body.constant(dtype, 0)], 'GE'), below]);
}

/** Sizes may lie outside of a narrow dtype. */
const widened = (body: BodyBuilder, id: ScalarId): ScalarId =>
  isNarrowInteger(body.dtypeOf(id)) ? asPosition(body, id) : id;

const asPosition = (body: BodyBuilder, id: ScalarId): ScalarId =>
  body.dtypeOf(id) === 'int32' ? id : body.apply('int32', 'convert', [id]);

/** The starts of a dynamic slice, moved inside. */
export function dynamicStarts(
  emitter: Emitter,
  operand: Value,
  starts: readonly Value[],
  sizes: readonly Dim[],
): Index[] {
  return starts.map((start, axis) => {
    const size = operand.type.shape[axis];
    if (equalDims(size, sizes[axis])) return zeroIndex;
    return clampedIndex(emitter.body, emitter.emit(start, []), subDims(size, sizes[axis]));
  });
}

export const dynamicSliceRule: ScalarRule<'dynamic_slice'> = (op, indices, guard, emitter) => {
  const [operand, ...starts] = op.operands;
  const { algebra } = emitter.body;
  const from = dynamicStarts(emitter, operand, starts, op.attributes.sizes);
  return emitter.emit(
    operand,
    indices.map((index, axis) => algebra.add(from[axis], index)),
    guard,
  );
};

export const dynamicUpdateSliceRule: ScalarRule<'dynamic_update_slice'> = (op, indices, guard, emitter) => {
  const [operand, update, ...starts] = op.operands;
  const { body } = emitter;
  const { algebra } = body;
  if (update.type.shape.includes(0)) return emitter.emit(operand, indices, guard);
  const from = dynamicStarts(emitter, operand, starts, update.type.shape);
  const inner = indices.map((index, axis) => algebra.add(index, algebra.scale(from[axis], -1)));
  const inside = inner.reduce<ScalarId | undefined>((all, index, axis) => {
    if (equalDims(update.type.shape[axis], operand.type.shape[axis])) return all;
    return body.both(all, within(body, index, update.type.shape[axis]));
  }, undefined);
  if (inside === undefined) return emitter.emit(update, inner, guard);
  const updated = emitter.emit(update, inner, body.both(guard, inside));
  return body.apply(operand.type.dtype, 'select', [inside, updated, emitter.emit(operand, indices, guard)]);
};

/** The index of component `component` of the index vector of a batch index. */
export function indexVector(
  indices: Value,
  vectorAxis: number,
  batch: readonly Index[],
  component: number,
  emitter: Emitter,
  guard: ScalarId | undefined,
): ScalarId {
  const { algebra } = emitter.body;
  const implied = vectorAxis === indices.type.shape.length;
  const at = implied ? batch : batch.toSpliced(vectorAxis, 0, algebra.shift(zeroIndex, component));
  const pinned = at.map((index, axis) => (indices.type.shape[axis] === 1 ? zeroIndex : index));
  return emitter.emit(indices, pinned, guard);
}

export const gatherRule: ScalarRule<'gather'> = (op, indices, guard, emitter) => {
  const [operand, where] = op.operands;
  const { offset_axes, collapsed_axes, start_index_map, index_vector_axis, slice_sizes, mode } = op.attributes;
  const { body } = emitter;
  const { shape } = operand.type;
  const batch = indices.filter((_, axis) => !offset_axes.includes(axis));
  let windowAxis = 0;
  const offsets = shape.map((_, axis) =>
    collapsed_axes.includes(axis) ? zeroIndex : indices[offset_axes[windowAxis++]],
  );
  let inside: ScalarId | undefined;
  const starts: Index[] = shape.map(() => zeroIndex);
  start_index_map.forEach((axis, component) => {
    const greatest = subDims(shape[axis], slice_sizes[axis]);
    const start = indexVector(where, index_vector_axis, batch, component, emitter, guard);
    if (mode === 'fill') inside = body.both(inside, inRange(body, start, greatest));
    starts[axis] = clampedIndex(body, start, greatest);
  });
  const inner = offsets.map((offset, axis) => body.algebra.add(starts[axis], offset));
  return emitter.emitWhere(operand, inner, guard, inside, 0);
};
