/**
 * Short names for the primitives that operations are composed of. Operands have one dtype and shape already; a number
 * stands for a constant of that type.
 *
 *     over(one, plus(one, e))              // 1 / (1 + e)
 *     select(compare(x, 'LT', 0), zero, x)
 */
import type { CompareDirection, PlainOpcode } from '../../ir/opcodes.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { constantLike } from './support.ts';

/** A primitive without attributes. */
export const plain = (opcode: PlainOpcode, ...operands: readonly Tensor[]): Tensor => emit(opcode, operands, {});

const like = (x: Tensor, y: Tensor | number): Tensor => (typeof y === 'number' ? constantLike(x, y) : y);

export const plus = (x: Tensor, y: Tensor | number): Tensor => plain('add', x, like(x, y));
export const minus = (x: Tensor, y: Tensor | number): Tensor => plain('subtract', x, like(x, y));
export const times = (x: Tensor, y: Tensor | number): Tensor => plain('multiply', x, like(x, y));
export const over = (x: Tensor, y: Tensor | number): Tensor => plain('divide', x, like(x, y));

export const compare = (x: Tensor, direction: CompareDirection, y: Tensor | number): Tensor =>
  emit('compare', [x, like(x, y)], { direction });

export const select = (predicate: Tensor, onTrue: Tensor, onFalse: Tensor): Tensor =>
  plain('select', predicate, onTrue, onFalse);
