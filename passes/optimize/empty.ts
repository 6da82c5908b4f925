/**
 * Rules for arrays without elements, and for what empty arrays leave over. All are exact.
 *
 *     tanh(x: f32[0,4])                            = broadcast_in_dim(0, [0,4])
 *     reduce(x: f32[3,0], sum, axes=[1])           = broadcast_in_dim(0, [3])
 */

import { type CombineKind, identityOf } from '../../ir/ops/combine.ts';
import { opcodes } from '../../ir/ops/index.ts';
import type { TensorType, Value } from '../../ir/types.ts';
import { type RewriteRule, rule } from '../rewrite.ts';
import { broadcastTo, full } from '../rewrite-emit.ts';

const isEmpty = ({ type }: { readonly type: TensorType }): boolean => type.shape.includes(0);

/** An array of no elements is as good as any other; so nothing that leads to it is computed. */
const emptyResult = rule({
  name: 'empty_result',
  opcodes: opcodes.filter((opcode) => opcode !== 'call' && opcode !== 'broadcast_in_dim'),
  floatClass: 'exact',
  apply: ({ results }, rewriter) =>
    results.length === 1 && isEmpty(results[0]) ? full(rewriter, results[0].type, 0) : undefined,
});

const emptyBroadcast = rule({
  name: 'empty_broadcast',
  opcodes: ['broadcast_in_dim'],
  floatClass: 'exact',
  apply: ({ operands: [x], results: [result] }, rewriter) =>
    isEmpty(result) && x.type.shape.length > 0 ? full(rewriter, result.type, 0) : undefined,
});

/** Over no elements: what the kind starts from. */
const reduceEmpty = rule({
  name: 'reduce_empty',
  opcodes: ['reduce', 'reduce_window'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes: { kind }, results: [result] }, rewriter) =>
    isEmpty(x) ? full(rewriter, result.type, identityOf(kind as CombineKind, x.type.dtype)) : undefined,
});

/** Sums of no products are 0. (A convolution of nothing but padding is not: an infinite weight makes it NaN.) */
const contractEmpty = rule({
  name: 'contract_empty',
  opcodes: ['dot_general', 'convolution'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [lhs, rhs], results: [result] }, rewriter) => {
    const isEmptySum = opcode === 'dot_general' ? isEmpty(lhs) || isEmpty(rhs) : rhs.type.shape[1] === 0;
    return isEmptySum ? full(rewriter, result.type, 0) : undefined;
  },
});

/** Padding around nothing is all there is. */
const padEmpty = rule({
  name: 'pad_empty',
  opcodes: ['pad'],
  floatClass: 'exact',
  apply: ({ operands: [x, value], results: [result] }, rewriter) =>
    isEmpty(x) ? broadcastTo(rewriter, value, result.type.shape, []) : undefined,
});

/** Nothing is written over the operand. */
const updateEmpty = rule({
  name: 'update_empty',
  opcodes: ['dynamic_update_slice', 'scatter'],
  floatClass: 'exact',
  apply: ({ opcode, operands }): Value | undefined =>
    isEmpty(operands[opcode === 'scatter' ? 2 : 1]) ? operands[0] : undefined,
});

export const emptyRules: readonly RewriteRule[] = [
  emptyResult,
  emptyBroadcast,
  reduceEmpty,
  contractEmpty,
  padEmpty,
  updateEmpty,
];
