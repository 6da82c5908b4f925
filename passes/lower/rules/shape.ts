/**
 * Ops that move data cost no kernel of their own: their result at an index is an operand at another index, or one of
 * several operands, chosen by where the index falls.
 */
import { addDims, type Dim, equalDims, subDims } from '../../../base/dim.ts';
import { internalError } from '../../../base/error.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import type { BodyBuilder } from '../body.ts';
import { type Index, zeroIndex } from '../index-algebra.ts';
import { compareIndex, within } from './predicate.ts';
import type { ScalarRule } from './rule.ts';

export const broadcastRule: ScalarRule<'broadcast_in_dim'> = (op, indices, guard, emitter) => {
  const [operand] = op.operands;
  const { axes } = op.attributes;
  const inner = operand.type.shape.map((size, axis) => (size === 1 ? zeroIndex : indices[axes[axis]]));
  return emitter.emit(operand, inner, guard);
};

export const reshapeRule: ScalarRule<'reshape'> = (op, indices, guard, emitter) => {
  const [operand] = op.operands;
  const inner = emitter.body.algebra.reshape(indices, op.attributes.shape, operand.type.shape);
  return emitter.emit(operand, inner, guard);
};

export const transposeRule: ScalarRule<'transpose'> = (op, indices, guard, emitter) => {
  const inner: Index[] = new Array(indices.length);
  op.attributes.permutation.forEach((from, to) => {
    inner[from] = indices[to];
  });
  return emitter.emit(op.operands[0], inner, guard);
};

export const reverseRule: ScalarRule<'reverse'> = (op, indices, guard, emitter) => {
  const { algebra } = emitter.body;
  const { shape } = op.results[0].type;
  const inner = indices.map((index, axis) =>
    op.attributes.axes.includes(axis) ? algebra.subtractFrom(subDims(shape[axis], 1), index) : index,
  );
  return emitter.emit(op.operands[0], inner, guard);
};

export const sliceRule: ScalarRule<'slice'> = (op, indices, guard, emitter) => {
  const { algebra } = emitter.body;
  const { start, strides } = op.attributes;
  const inner = indices.map((index, axis) => algebra.shift(algebra.scale(index, strides[axis]), start[axis]));
  return emitter.emit(op.operands[0], inner, guard);
};

export const padRule: ScalarRule<'pad'> = (op, indices, guard, emitter) => {
  const { body } = emitter;
  const { algebra } = body;
  const [operand, padding] = op.operands;
  const { low, interior } = op.attributes;
  const result = op.results[0].type.shape;
  const tests = indices.map((index, axis): { inner: Index; inside: ScalarId | undefined } => {
    const size = operand.type.shape[axis];
    if (equalDims(result[axis], size) && equalDims(low[axis], 0) && interior[axis] === 0)
      return { inner: index, inside: undefined };
    return undilate(emitter, algebra.shift(index, subDims(0, low[axis])), interior[axis] + 1, size);
  });
  const inside = tests.reduce<ScalarId | undefined>((all, test) => body.both(all, test.inside), undefined);
  const inner = tests.map((test) => test.inner);
  if (inside === undefined) return emitter.emit(operand, inner, guard);
  const constant = emitter.constantOf(padding);
  if (constant !== undefined) return emitter.emitWhere(operand, inner, guard, inside, constant);
  const value = emitter.emit(operand, inner, body.both(guard, inside));
  return body.apply(operand.type.dtype, 'select', [inside, value, emitter.emit(padding, [])]);
};

/**
 * Where a position of an axis with `dilation - 1` gaps between neighbours falls on the axis without gaps.
 * @returns the index there, and whether there is an element; `undefined` if there always is
 */
export function undilate(
  { body }: { readonly body: BodyBuilder },
  position: Index,
  dilation: number,
  size: Dim,
): { readonly inner: Index; readonly inside: ScalarId | undefined } {
  const { algebra } = body;
  if (dilation === 1) return { inner: position, inside: within(body, position, size) };
  const inner = algebra.floorDivide(position, dilation);
  const gap = algebra.modulo(position, dilation);
  const onElement = gap.isConstant && gap.offset === 0 ? undefined : compareIndex(body, gap, 'EQ', 0);
  return { inner, inside: body.both(within(body, inner, size), onElement) };
}

export const concatenateRule: ScalarRule<'concatenate'> = (op, indices, guard, emitter) => {
  const { body } = emitter;
  const { axis } = op.attributes;
  const pieces: {
    readonly end: Dim;
    readonly value: (from: ScalarId | undefined, to: ScalarId | undefined) => ScalarId;
  }[] = [];
  let end: Dim = 0;
  for (const operand of op.operands) {
    const start = end;
    const size = operand.type.shape[axis];
    end = addDims(end, size);
    if (size === 0) continue;
    const inner = indices.with(axis, body.algebra.shift(indices[axis], subDims(0, start)));
    const value = (from: ScalarId | undefined, to: ScalarId | undefined): ScalarId =>
      emitter.emit(operand, inner, body.both(guard, body.both(from, to)));
    pieces.push({ end, value });
  }
  if (pieces.length === 0) throw internalError('a concatenation without elements has no element');
  const before = pieces.slice(0, -1).map((piece) => compareIndex(body, indices[axis], 'LT', piece.end));
  const after = before.map((id) => body.apply('bool', 'not', [id]));
  let result = pieces[pieces.length - 1].value(after.at(-1), undefined);
  for (let at = pieces.length - 2; at >= 0; at--) {
    const value = pieces[at].value(after[at - 1], before[at]);
    result = body.apply(op.results[0].type.dtype, 'select', [before[at], value, result]);
  }
  return result;
};
