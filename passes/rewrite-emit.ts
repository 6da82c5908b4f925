/**
 * Making single ops. `createOp` runs an op's type rule and gives the op without putting it anywhere; an `OpSink` is
 * anything that ops can be sent to (the driver of rewrite rules, the builder of a gradient), and the functions here
 * say the common things briefly over any sink:
 *
 *     full(sink, x.type, 0)          // a constant of x's type
 *     reshape(sink, x, [2, 3])       // x itself when it has that shape already
 */
import { type Dim, equalShapes, isStatic } from '../base/dim.ts';
import { type DType, isFloat, isInteger } from '../base/dtype.ts';
import { roundFloat } from '../base/half.ts';
import type { SourceLocation } from '../base/location.ts';
import type { OpAttributes, Opcode, PlainOpcode } from '../ir/opcodes.ts';
import { inferTypes } from '../ir/ops/index.ts';
import { wrapInteger } from '../ir/ops/scalar.ts';
import type { Func, Graph, Op, OpOf, TensorType, Value } from '../ir/types.ts';

/** Where new ops go. Each call makes one op with one result. */
export interface OpSink {
  op<K extends PlainOpcode>(opcode: K, operands: readonly Value[]): Value;
  op<K extends Opcode>(opcode: K, operands: readonly Value[], attributes: OpAttributes[K]): Value;
}

const noRegions: readonly Graph[] = [];
/** Passes make no calls by way of `createOp`. */
const noFunctions = { functions: new Map<string, Func>() };

/**
 * An op with fresh results, typed by its type rule.
 * @throws KilnError when the operands or attributes break a constraint of the op
 */
export function createOp<K extends Opcode>(
  opcode: K,
  operands: readonly Value[],
  attributes: OpAttributes[K],
  location: SourceLocation | undefined,
): OpOf<K> {
  const operandTypes = operands.map((operand) => operand.type);
  const types = inferTypes(opcode, operandTypes, attributes, noFunctions);
  const results = types.map((type): Value => ({ type }));
  if (!location) return { opcode, operands, attributes, regions: noRegions, results };
  return { opcode, operands, attributes, regions: noRegions, results, location };
}

/** `OpOf<K>` for a `K` that is not known yet is one of the union; TypeScript can not see that by itself. */
export const asOp = <K extends Opcode>(op: OpOf<K>): Op => op as unknown as Op;

/** The same op over other operands; its results stay the very same values. */
export const withOperands = (op: Op, operands: readonly Value[]): Op => ({ ...op, operands }) as Op;

/** A scalar constant. */
export const scalarOf = (sink: OpSink, dtype: DType, value: number): Value =>
  sink.op('constant', [], { value: { dtype, shape: [], data: [value] } });

/** A value of the given type whose elements are all equal; sizes may be symbolic. */
export function full(sink: OpSink, type: TensorType, value: number): Value {
  return broadcastTo(sink, scalarOf(sink, type.dtype, value), type.shape, []);
}

/** `broadcast_in_dim`, or the operand itself where that would change nothing. */
export function broadcastTo(sink: OpSink, x: Value, shape: readonly Dim[], axes: readonly number[]): Value {
  const identity = equalShapes(x.type.shape, shape) && axes.every((axis, i) => axis === i);
  return identity ? x : sink.op('broadcast_in_dim', [x], { shape, axes });
}

/** `reshape`, or the operand itself where it has that shape already. */
export const reshape = (sink: OpSink, x: Value, shape: readonly Dim[]): Value =>
  equalShapes(x.type.shape, shape) ? x : sink.op('reshape', [x], { shape });

/** `transpose`, or the operand itself for the identity. */
export const transpose = (sink: OpSink, x: Value, permutation: readonly number[]): Value =>
  permutation.every((axis, i) => axis === i) ? x : sink.op('transpose', [x], { permutation });

/** `convert`, or the operand itself where it has that dtype already. */
export const convert = (sink: OpSink, x: Value, dtype: DType): Value =>
  x.type.dtype === dtype ? x : sink.op('convert', [x], { dtype });

/** A size as a scalar, as `dimension_size` gives it: a constant where it is a number. */
export function sizeOf(sink: OpSink, size: Dim, dtype: DType): Value {
  if (!isStatic(size)) return sink.op('dimension_size', [], { size, dtype });
  if (isInteger(dtype)) return scalarOf(sink, dtype, wrapInteger(dtype, size));
  return scalarOf(sink, dtype, roundFloat(dtype, size));
}

/** `x + 0`, which is what a float sum of one element is; integers need nothing. */
export const plusZero = (sink: OpSink, x: Value): Value =>
  isFloat(x.type.dtype) ? sink.op('add', [x, full(sink, x.type, 0)]) : x;

/** The axes of a rank that no list names. */
export const otherAxes = (rank: number, ...lists: readonly (readonly number[])[]): number[] =>
  range(rank).filter((axis) => !lists.some((list) => list.includes(axis)));

export const isAscending = (axes: readonly number[]): boolean => axes.every((axis, i) => i === 0 || axes[i - 1] < axis);

/** `[0, 1, ..., n-1]`. */
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The permutation that undoes another. */
export function invertPermutation(permutation: readonly number[]): number[] {
  const inverse = new Array<number>(permutation.length);
  permutation.forEach((from, to) => {
    inverse[from] = to;
  });
  return inverse;
}
