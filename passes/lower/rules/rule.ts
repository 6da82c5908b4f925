/**
 * A row of the lowering table: how one element of an op's result comes from elements of its operands.
 *
 *     transpose: element [i, j] of the result is element [j, i] of the operand
 */
import type { ScalarId } from '../../../ir/kernel.ts';
import type { Opcode } from '../../../ir/opcodes.ts';
import type { OpOf } from '../../../ir/types.ts';
import type { Emitter } from '../emitter.ts';
import type { Index } from '../index-algebra.ts';

/**
 * Writes the scalar of an op's (only) result at an index.
 * @param indices one for each axis of the result
 * @param guard a bool scalar; where it does not hold, the indices may be out of range and the scalar does not matter
 */
export type ScalarRule<K extends Opcode> = (
  op: OpOf<K>,
  indices: readonly Index[],
  guard: ScalarId | undefined,
  emitter: Emitter,
) => ScalarId;

/** What stands in the table for an op that has a nest of its own instead. */
export interface NestRule {
  /** The op writes memory in an order of its own: no element of it can be computed alone. */
  readonly nest: string;
}
