/**
 * What vector code is made of: 128-bit values, and the scope that the surrounding emitter provides.
 *
 *     const x = reusable(() => module.local.get(0, binaryen.v128));
 *     const sum = once(module.f32x4.add(x.take(), x.take()));
 */
import type binaryen from 'binaryen';
import { internalError } from '../../../base/error.ts';

export type Binaryen = typeof binaryen;
export type Module = binaryen.Module;
export type Expression = binaryen.ExpressionRef;

/** A 128-bit value. `take` gives the expression that computes or reads it. */
export interface Vector {
  take(): Expression;
}

/** A vector that is computed where it is used. */
export function once(expression: Expression): Vector {
  let spent = false;
  return {
    take() {
      if (spent) throw internalError('a vector expression is used twice; name it with let()');
      spent = true;
      return expression;
    },
  };
}

const reusables = new WeakSet<Vector>();

/** A vector that `read` gives an expression for as often as it is wanted, such as a `local.get`. */
export function reusable(read: () => Expression): Vector {
  const vector = { take: read };
  reusables.add(vector);
  return vector;
}

/** Whether a vector may be used any number of times. */
export function isReusable(vector: Vector): boolean {
  return reusables.has(vector);
}

/** What the surrounding emitter provides. `FunctionScope` is a straightforward one. */
export interface VectorScope {
  readonly binaryen: Binaryen;
  readonly module: Module;
  /** A fresh local of the function under construction. */
  newLocal(type: binaryen.Type): number;
  /** Appends a statement to the block under construction: it runs before whatever is built later. */
  statement(expression: Expression): void;
  /**
   * An expression for a constant of 16 bytes; asked anew for each use. Left out, it is a `v128.const` in place, which
   * V8 rebuilds with several instructions, so inside a loop a local that is set before the loop is much faster. (Those
   * that do not stay in registers are reloaded once a round: loops of four to eight vectors a round spread that cost.)
   */
  constant?(bytes: Uint8Array): Expression;
  /** `if (condition) { ... }`, with the statements that `build` appends. */
  when(condition: Expression, build: () => void): void;
  /** Whether `a * b + c` is computed by the fused instruction (`fused.ts`); else the product is rounded first. */
  readonly isFused?: boolean;
}
