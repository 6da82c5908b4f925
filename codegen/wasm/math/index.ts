/**
 * The float32 functions that WASM has no instruction for, as code on vectors of four lanes, keyed by the opcode they
 * implement. `docs/accuracy.md` states the error and the speed of each.
 *
 *     const y = vectorMath.tanh(emitter, x);
 */
import type { Opcode } from '../../../ir/opcodes.ts';
import { atan2 } from './atan2.ts';
import { finite, rsqrt, sign } from './basic.ts';
import type { Vector, VectorEmitter } from './emitter.ts';
import { erf } from './erf.ts';
import { exponential, exponentialMinusOne } from './exponential.ts';
import { fastCosine, fastExponential, fastSine } from './fast.ts';
import { log, logPlusOne } from './logarithm.ts';
import { power } from './power.ts';
import { remainder } from './remainder.ts';
import { tanh } from './tanh.ts';
import { cosine, sine } from './trigonometric.ts';

export { maximumOfConstant, minimumOfConstant } from './basic.ts';
export type { Helper, Vector, VectorScope } from './emitter.ts';
export { FunctionScope, once, reusable, VectorEmitter } from './emitter.ts';

/** A function of one vector of float32 lanes. */
export type UnaryMath = (e: VectorEmitter, x: Vector) => Vector;

/** A function of two, in the order of the operands of its opcode: `atan2(y, x)`, `power(base, exponent)`. */
export type BinaryMath = (e: VectorEmitter, x: Vector, y: Vector) => Vector;

/** By opcode, functions of one operand. `is_finite` gives a mask, the others float32 lanes. */
export const unaryMath = {
  cosine,
  erf,
  exponential,
  exponential_minus_one: exponentialMinusOne,
  is_finite: finite,
  log,
  log_plus_one: logPlusOne,
  rsqrt,
  sign,
  sine,
  tanh,
} as const satisfies { readonly [K in Opcode]?: UnaryMath };

/** By opcode, functions of two operands. */
export const binaryMath = { atan2, power, remainder } as const satisfies { readonly [K in Opcode]?: BinaryMath };

/** All of them. */
export const vectorMath = { ...unaryMath, ...binaryMath } as const;

/** All of them for `fast` precision. */
export const fastVectorMath: { readonly [K in keyof typeof vectorMath]: BinaryMath } = {
  ...vectorMath,
  cosine: fastCosine,
  exponential: fastExponential,
  sine: fastSine,
};
