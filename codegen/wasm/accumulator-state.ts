/**
 * What all accumulators are made of: how they are driven, and the locals that hold their state.
 */
import { type DType, integerRange, isSigned } from '../../base/dtype.ts';
import type { FunctionBuilder } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';

/** How the sweep runs. */
export interface Sweep {
  readonly across: boolean;
  /** Vectors of the outer lanes; 1 when the sweep is across. */
  readonly copies: number;
  /** Partial sums are flushed more than once. */
  readonly flushes: boolean;
}

/** Where one step goes: `slot` of copy `copy`, from the values of copy `from`, counting only lanes of the mask. */
export interface Target {
  readonly slot: number;
  readonly copy: number;
  readonly from: number;
  readonly mask?: () => Expression;
  /** The position on the last axis, as int32 lanes. */
  readonly position: () => Expression;
}

export interface AccumulatorCode {
  /** Slots of an along sweep: 8, or 1 when order does not matter. */
  readonly slots: number;
  step(target: Target): void;
  /** Adds inner partials to outer ones. */
  flush(): void;
  /** Moves every slot one down, the first to the end. */
  rotate(): void;
  /** Defines the results. */
  finish(): void;
  /** Takes in the `inner` state of another sweep, over what comes behind all that this one has seen. */
  absorb?(inner: readonly number[]): void;
  /** The locals of the state by slot and copy: what every step changes, and what only `flush` does. */
  readonly state?: { readonly inner: readonly (readonly number[])[]; readonly outer: readonly (readonly number[])[] };
}

/** The op that combines two elements of a kind. */
export const opcodes = {
  sum: 'add',
  product: 'multiply',
  max: 'maximum',
  min: 'minimum',
  and: 'and',
  or: 'or',
} as const;

/** The element that changes nothing. */
export function identityOf(kind: keyof typeof opcodes, dtype: DType): number {
  if (kind === 'sum') return 0;
  if (kind === 'product') return 1;
  if (kind === 'or') return 0;
  if (kind === 'and') return isSigned(dtype) ? -1 : integerRange(dtype)[1];
  if (dtype === 'float32') return kind === 'max' ? -Infinity : Infinity;
  return integerRange(dtype)[kind === 'max' ? 0 : 1];
}

/** Lanes 0 1 2 3 as lanes `distance` apart. */
export function swapped(f: FunctionBuilder, local: number, distance: 1 | 2): Expression {
  const words = distance === 2 ? [2, 3, 0, 1] : [1, 0, 3, 2];
  const bytes = words.flatMap((w) => [4 * w, 4 * w + 1, 4 * w + 2, 4 * w + 3]);
  return f.module.i8x16.shuffle(f.get(local), f.get(local), bytes);
}

/** A local for each slot and copy, set to a value. */
export const grid = (f: FunctionBuilder, slots: number, copies: number, value: () => Expression): number[][] =>
  Array.from({ length: slots }, () => Array.from({ length: copies }, () => f.let('v128', value(), 'partial')));

/** Makes locals the value of a result. */
export function define(emitter: NestEmitter, id: number, dtype: DType, locals: readonly number[]): void {
  const { env } = emitter;
  env.values.set(id, { dtype, locals, varying: env.lanes !== undefined, depth: env.f.scope.depth });
}
