/**
 * Elementwise ops apply to the scalars of their operands at the same index; values out of nothing come from the index
 * alone.
 */
import { internalError } from '../../../base/error.ts';
import type { HalfRounding, ScalarOpcode } from '../../../ir/kernel.ts';
import { elementAt, isSplat } from '../../../ir/literal.ts';
import type { Opcode } from '../../../ir/opcodes.ts';
import type { ScalarRule } from './rule.ts';

type AppliedOpcode = Exclude<ScalarOpcode, 'compare' | HalfRounding>;

function applied<K extends AppliedOpcode & Opcode>(opcode: K): ScalarRule<K> {
  return (op, indices, guard, emitter) => {
    const operands = op.operands.map((operand) => emitter.emit(operand, indices, guard));
    return emitter.body.apply(op.results[0].type.dtype, opcode, operands);
  };
}

const opcodes = [
  'abs',
  'negate',
  'sign',
  'floor',
  'ceil',
  'round_nearest_even',
  'exponential',
  'exponential_minus_one',
  'log',
  'log_plus_one',
  'sqrt',
  'rsqrt',
  'sine',
  'cosine',
  'tanh',
  'erf',
  'not',
  'is_finite',
  'convert',
  'bitcast_convert',
  'add',
  'subtract',
  'multiply',
  'divide',
  'remainder',
  'power',
  'maximum',
  'minimum',
  'atan2',
  'and',
  'or',
  'xor',
  'shift_left',
  'shift_right_arithmetic',
  'shift_right_logical',
  'select',
] as const satisfies readonly AppliedOpcode[];

type AppliedRules = { readonly [K in AppliedOpcode]: ScalarRule<K> };

export const appliedRules = Object.fromEntries(
  (opcodes satisfies readonly (keyof AppliedRules)[]).map((opcode) => [opcode, applied(opcode)]),
) as unknown as AppliedRules;

export const compareRule: ScalarRule<'compare'> = (op, indices, guard, emitter) => {
  const operands = op.operands.map((operand) => emitter.emit(operand, indices, guard));
  return emitter.body.apply('bool', 'compare', operands, op.attributes.direction);
};

export const identityRule: ScalarRule<'stop_gradient' | 'optimization_barrier'> = (op, indices, guard, emitter) =>
  emitter.emit(op.operands[0], indices, guard);

export const constantRule: ScalarRule<'constant'> = (op, _indices, _guard, emitter) => {
  const { value } = op.attributes;
  if (!isSplat(value)) throw internalError('a constant of several elements is read from a buffer');
  return emitter.body.constant(value.dtype, elementAt(value, 0));
};

export const iotaRule: ScalarRule<'iota'> = (op, indices, _guard, { body }) => {
  const { dtype, axis } = op.attributes;
  const position = body.index(indices[axis]);
  return dtype === 'int32' ? position : body.apply(dtype, 'convert', [position]);
};

export const dimensionSizeRule: ScalarRule<'dimension_size'> = (op, _indices, _guard, { body }) =>
  body.size(op.attributes.dtype, op.attributes.size);
