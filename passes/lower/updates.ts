/**
 * Ops that change part of an array: a scatter copies its operand and then applies its updates in order, and both a
 * scatter and the update of a slice can leave out the copy when the operand's memory becomes the result's.
 *
 *     parallel i < N { store y0[i] = x0[i] }
 *     sequential s < M { %0 = load indices[s]; ...; store y0[%0] += updates[s] when 0 <= %0 < N }
 */
import { type Dim, subDims } from '../../base/dim.ts';
import type { ScalarId } from '../../ir/kernel.ts';
import { otherAxes } from '../../ir/ops/rules.ts';
import type { OpOf } from '../../ir/types.ts';
import type { Emitter } from './emitter.ts';
import { type Index, zeroIndex } from './index-algebra.ts';
import { clampedIndex, dynamicStarts, indexVector, inRange } from './rules/dynamic.ts';

/** Writes the update of a slice to where the operand lies already. */
export function emitUpdate(op: OpOf<'dynamic_update_slice'>, memory: string, emitter: Emitter): void {
  const [operand, update, ...starts] = op.operands;
  const { body } = emitter;
  const { shape } = update.type;
  if (shape.includes(0)) return;
  const from = dynamicStarts(emitter, operand, starts, shape);
  body.loops(
    'parallel',
    shape,
    (indices) => {
      const value = emitter.emit(update, indices);
      const target = indices.map((index, axis) => body.algebra.add(from[axis], index));
      body.store({ memory, index: body.algebra.linearize(target, operand.type.shape), value, combine: 'assign' });
    },
    { always: true },
  );
}

/** Copies the operand, unless it lies there already, and applies the updates. */
export function emitScatter(op: OpOf<'scatter'>, inPlace: boolean, memory: string, emitter: Emitter): void {
  const [operand, where, updates] = op.operands;
  const { update_window_axes, inserted_window_axes, scatter_axes_to_operand_axes, index_vector_axis, kind } =
    op.attributes;
  const { body } = emitter;
  const { shape } = operand.type;
  if (shape.includes(0)) return;
  if (!inPlace) {
    body.loops(
      'parallel',
      shape,
      (indices) => {
        const value = emitter.emit(operand, indices);
        body.store({ memory, index: body.algebra.linearize(indices, shape), value, combine: 'assign' });
      },
      { always: true },
    );
  }
  const updateShape = updates.type.shape;
  if (updateShape.includes(0)) return;
  const batchAxes = otherAxes(updateShape.length, update_window_axes);
  const windowAxes = otherAxes(shape.length, inserted_window_axes);
  const windowSizes: Dim[] = shape.map(() => 1);
  windowAxes.forEach((axis, at) => {
    windowSizes[axis] = updateShape[update_window_axes[at]];
  });
  const pick = (axes: readonly number[]): Dim[] => axes.map((axis) => updateShape[axis]);
  body.loops(
    'sequential',
    pick(batchAxes),
    (batch) => {
      let inside: ScalarId | undefined;
      const starts: Index[] = shape.map(() => zeroIndex);
      scatter_axes_to_operand_axes.forEach((axis, component) => {
        const start = indexVector(where, index_vector_axis, batch, component, emitter, undefined);
        const last = subDims(shape[axis], windowSizes[axis]);
        inside = body.both(inside, inRange(body, start, last));
        starts[axis] = clampedIndex(body, start, last);
      });
      body.loops('parallel', pick(update_window_axes), (window) => {
        const at: Index[] = updateShape.map(() => zeroIndex);
        batchAxes.forEach((axis, i) => {
          at[axis] = batch[i];
        });
        update_window_axes.forEach((axis, i) => {
          at[axis] = window[i];
        });
        const value = emitter.emit(updates, at);
        const target = [...starts];
        windowAxes.forEach((axis, i) => {
          target[axis] = body.algebra.add(starts[axis], window[i]);
        });
        const index = body.algebra.linearize(target, shape);
        body.store({ memory, index, value, combine: kind, ...(inside !== undefined && { when: inside }) });
      });
    },
    { always: true },
  );
}
