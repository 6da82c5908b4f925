/**
 * Range checks of indices, left out where the algebra proves them:
 *
 *     within(emitter, j - 2, 5)      undefined if 2 <= j < 7 is certain, else the scalar  j - 2 >= 0 and j - 2 < 5
 */
import { type Dim, isAtMostDim, subDims } from '../../../base/dim.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import type { CompareDirection } from '../../../ir/opcodes.ts';
import type { BodyBuilder } from '../body.ts';
import type { Index } from '../index-algebra.ts';

/** `index <direction> bound` as a bool scalar. */
export function compareIndex(body: BodyBuilder, index: Index, direction: CompareDirection, bound: Dim): ScalarId {
  return body.apply('bool', 'compare', [body.index(index), body.size('int32', bound)], direction);
}

/** Whether `0 <= index < size`; `undefined` where that always holds. */
export function within(body: BodyBuilder, index: Index, size: Dim): ScalarId | undefined {
  const { algebra } = body;
  const low = algebra.isNonNegative(index) ? undefined : compareIndex(body, index, 'GE', 0);
  const most = algebra.upper(index);
  const fits = most !== undefined && isAtMostDim(most, subDims(size, 1)) === 'always';
  return body.both(low, fits ? undefined : compareIndex(body, index, 'LT', size));
}
