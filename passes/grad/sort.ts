/**
 * Derivatives of `sort`: its elements are elements of the operand, so cotangents go back to where these stood.
 *
 *     y = sort x {result=values}      x̄ = scatter(add) zeros, positions, ȳ
 */

import type { Opcode } from '../../ir/opcodes.ts';
import { range } from '../rewrite-emit.ts';
import { indexVectors } from './indexing.ts';
import type { VjpFunction, VjpRules } from './rule.ts';

const sort: VjpFunction<'sort'> = ({ emit, op, cotangent, refuse }) => {
  if (op.attributes.result === 'positions') return refuse('positions are no floats');
  return [
    () => {
      const [operand] = op.operands;
      const rank = operand.type.shape.length;
      if ([...operand.type.shape, op.attributes.count].includes(0)) return emit.like(operand, 0);
      const positions = emit.op('sort', [operand], { ...op.attributes, result: 'positions' });
      return emit.op('scatter', [emit.like(operand, 0), indexVectors(emit, positions, op.attributes.axis), cotangent], {
        update_window_axes: [],
        inserted_window_axes: range(rank),
        scatter_axes_to_operand_axes: range(rank),
        index_vector_axis: rank,
        kind: 'add',
      });
    },
  ];
};

export const sortVjps = { sort } satisfies Partial<VjpRules<Opcode>>;
