/**
 * The data of the Tensor IR: modules of functions, graphs in SSA form, typed values. Everything is immutable once
 * built; passes make new graphs. Ops are defined in `ir/ops/`, their attributes in `ir/opcodes.ts`.
 *
 *     func @main(%x: f32[8,4], %w: f32[4,2]) -> (f32[8,2]) {
 *       %0: f32[8,2] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]}
 *       return %0
 *     }
 */
import type { Dim } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';
import type { SourceLocation } from '../base/location.ts';
import type { OpAttributes, Opcode } from './opcodes.ts';

/** What a value is: an element type and a shape of fixed rank. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** One SSA value. Identity is the object; the name is for people and belongs to no key. */
export interface Value {
  readonly type: TensorType;
  /** The user's name for it, where known. */
  readonly name?: string;
}

/** One operation with opcode `K`. */
export interface OpOf<K extends Opcode> {
  readonly opcode: K;
  readonly operands: readonly Value[];
  readonly attributes: OpAttributes[K];
  /** Bodies of control flow and comparators; empty for all other ops. */
  readonly regions: readonly Graph[];
  readonly results: readonly Value[];
  /** Where the user wrote it; no part of keys or hashes. */
  readonly location?: SourceLocation;
}

/** Any operation. Switching on `opcode` narrows `attributes`. */
export type Op = { [K in Opcode]: OpOf<K> }[Opcode];

/** Parameters, ops in an order in which operands come before their uses, results. */
export interface Graph {
  readonly parameters: readonly Value[];
  readonly ops: readonly Op[];
  readonly results: readonly Value[];
}

/** A named graph. Functions stay functions until a pass decides otherwise. */
export interface Func {
  readonly name: string;
  readonly graph: Graph;
  /**
   * Whether gradients compute what is inside again instead of keeping it: a mark for `passes/grad`, no part of keys.
   */
  readonly checkpoint?: boolean;
}

/** Functions that call each other by name, and the one that is entered. Callees come before their callers. */
export interface Module {
  readonly functions: readonly Func[];
  /** Name of the function that is entered. */
  readonly main: string;
}

/** A concrete dense array in row-major order; a `splat` repeats its single element. */
export interface Literal {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements as numbers (bool as 0 and 1): one for each element, or exactly one when every element is equal. */
  readonly data: ArrayLike<number>;
}

/** The function a module enters. */
export function mainOf(module: Module): Func {
  const found = module.functions.find((f) => f.name === module.main);
  if (!found) throw new RangeError(`module has no function @${module.main}`);
  return found;
}
