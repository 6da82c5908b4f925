/** The lowering of every op: how one element of its result is computed, or the nest that writes it whole. */
import { internalError } from '../../../base/error.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import type { Opcode } from '../../../ir/opcodes.ts';
import type { Op } from '../../../ir/types.ts';
import type { Emitter } from '../emitter.ts';
import type { Index } from '../index-algebra.ts';
import { dynamicSliceRule, dynamicUpdateSliceRule, gatherRule } from './dynamic.ts';
import { appliedRules, compareRule, constantRule, dimensionSizeRule, identityRule, iotaRule } from './elementwise.ts';
import { convolutionRule, dotGeneralRule, reduceRule, reduceWindowRule } from './reduce.ts';
import type { NestRule, ScalarRule } from './rule.ts';
import {
  broadcastRule,
  concatenateRule,
  padRule,
  reshapeRule,
  reverseRule,
  sliceRule,
  transposeRule,
} from './shape.ts';

const lowerRules: { readonly [K in Opcode]: ScalarRule<K> | NestRule } = {
  ...appliedRules,
  compare: compareRule,
  stop_gradient: identityRule,
  optimization_barrier: identityRule,
  constant: constantRule,
  iota: iotaRule,
  dimension_size: dimensionSizeRule,
  broadcast_in_dim: broadcastRule,
  reshape: reshapeRule,
  transpose: transposeRule,
  reverse: reverseRule,
  slice: sliceRule,
  pad: padRule,
  concatenate: concatenateRule,
  dynamic_slice: dynamicSliceRule,
  dynamic_update_slice: dynamicUpdateSliceRule,
  gather: gatherRule,
  scatter: { nest: 'updates apply one after the other to a copy of the operand' },
  dot_general: dotGeneralRule,
  convolution: convolutionRule,
  reduce: reduceRule,
  reduce_window: reduceWindowRule,
  cumulative: (op, indices, guard, emitter) => emitter.emitRunning(op, indices, guard),
  sort: (op, indices, guard, emitter) => emitter.emitSorted(op, indices, guard),
  call: { nest: 'calls are inlined before lowering' },
};

/** Writes the scalar of an op's result at an index. */
export function lowerScalar(
  op: Op,
  indices: readonly Index[],
  guard: ScalarId | undefined,
  emitter: Emitter,
): ScalarId {
  const rule = lowerRules[op.opcode] as ScalarRule<Opcode> | NestRule;
  if (typeof rule !== 'function') throw internalError(`${op.opcode} has no scalar form: ${rule.nest}`);
  return rule(op, indices, guard, emitter);
}
