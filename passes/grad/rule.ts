/**
 * What a differentiation rule is. For each opcode there is one: a function that turns the cotangent of an op's result
 * into those of its operands, the word `zero` where the derivative is zero wherever it exists, or the reason why there
 * is none.
 *
 *     multiply: ({ emit, op, cotangent }) => [
 *       () => emit.op('multiply', [cotangent, op.operands[1]]),
 *       () => emit.op('multiply', [cotangent, op.operands[0]]),
 *     ],
 *
 * A rule answers with one thunk for each operand, `undefined` for zero; thunks of operands that need no gradient are
 * never called, so nothing is built in vain. Rules emit primitives that have rules themselves: gradients can be
 * differentiated again. Where a function has a kink or a tie, rules follow JAX.
 */
import { isFloat } from '../../base/dtype.ts';
import type { SourceLocation } from '../../base/location.ts';
import type { OpAttributes, Opcode, PlainOpcode } from '../../ir/opcodes.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import { asOp, createOp, full, type OpSink, reshape, scalarOf } from '../rewrite-emit.ts';

/** Makes the cotangent of one operand. */
export type Cotangent = (() => Value) | undefined;

export interface VjpContext<K extends Opcode> {
  readonly emit: Emitter;
  /** The op to differentiate. Its operands and result may be used; they are computed already. */
  readonly op: OpOf<K>;
  /** The op's only result. */
  readonly result: Value;
  /** The cotangent of the result, of the same type. */
  readonly cotangent: Value;
  /** Stops with `not_differentiable`, naming the op and the user's line. */
  refuse(reason: string, hint?: string): never;
}

export type VjpFunction<K extends Opcode> = (context: VjpContext<K>) => readonly Cotangent[];

/** `zero`: piecewise constant, not a float, or told to block gradients. */
export type VjpRule<K extends Opcode> = VjpFunction<K> | 'zero' | { readonly refuse: string; readonly hint?: string };

/** Rules for some opcodes. */
export type VjpRules<K extends Opcode> = { readonly [P in K]: VjpRule<P> };

/** Whether a value can carry a cotangent at all. */
export const carriesGradient = (value: Value): boolean => isFloat(value.type.dtype);

/** Collects ops, each with the location of the op that is being differentiated. */
export class Emitter implements OpSink {
  readonly ops: Op[] = [];
  location: SourceLocation | undefined;

  op<K extends PlainOpcode>(opcode: K, operands: readonly Value[]): Value;
  op<K extends Opcode>(opcode: K, operands: readonly Value[], attributes: OpAttributes[K]): Value;
  op(opcode: Opcode, operands: readonly Value[], attributes: OpAttributes[Opcode] = {}): Value {
    const op = createOp(opcode, operands, attributes, this.location);
    this.ops.push(asOp(op));
    return op.results[0];
  }

  add = (a: Value, b: Value): Value => this.op('add', [a, b]);
  subtract = (a: Value, b: Value): Value => this.op('subtract', [a, b]);
  multiply = (a: Value, b: Value): Value => this.op('multiply', [a, b]);
  divide = (a: Value, b: Value): Value => this.op('divide', [a, b]);
  negate = (a: Value): Value => this.op('negate', [a]);
  select = (predicate: Value, a: Value, b: Value): Value => this.op('select', [predicate, a, b]);
  compare = (direction: OpAttributes['compare']['direction'], a: Value, b: Value): Value =>
    this.op('compare', [a, b], { direction });

  /** A constant of the type of `x`, all of whose elements are `value`. */
  like = (x: Value, value: number): Value => full(this, x.type, value);
  /** `x` times a number. */
  scale = (x: Value, factor: number): Value => this.multiply(x, this.like(x, factor));
  /** A scalar constant of the dtype of `x`. */
  scalar = (x: Value, value: number): Value => scalarOf(this, x.type.dtype, value);
  /** Sum over axes, which are dropped. */
  sum = (x: Value, axes: readonly number[]): Value =>
    axes.length === 0 ? x : this.op('reduce', [x], { kind: 'sum', axes });
  reshape = (x: Value, like: Value): Value => reshape(this, x, like.type.shape);
}
