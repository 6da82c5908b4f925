/**
 * Arithmetic lane by lane: the operations of WASM on vectors of one shape of lanes, as functions on `Vector`.
 *
 *     const f32 = floatLanes(scope, 'f32x4');
 *     f32.add(x, f32.constant(1))
 */
import { mulAdd, mulSubFrom } from './fused.ts';
import { type Expression, once, reusable, type Vector, type VectorScope } from './vector.ts';

export type Unary = (a: Vector) => Vector;
export type Binary = (a: Vector, b: Vector) => Vector;
type Shift = (a: Vector, bits: number) => Vector;

/** Lane-wise IEEE 754 arithmetic, and comparisons that give a mask of all ones or all zeros a lane. */
export interface FloatLanes {
  /** The same number in every lane. */
  constant(value: number): Vector;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  /** `a * b + c`, fused where the scope says so. */
  mulAdd(a: Vector, b: Vector, c: Vector): Vector;
  /** `c - a * b`, fused where the scope says so. */
  mulSubFrom(a: Vector, b: Vector, c: Vector): Vector;
  /** `b < a ? b : a`, one instruction; gives `a` when either is NaN. */
  readonly pmin: Binary;
  /** `a < b ? b : a`, one instruction; gives `a` when either is NaN. */
  readonly pmax: Binary;
  readonly abs: Unary;
  readonly neg: Unary;
  readonly sqrt: Unary;
  readonly floor: Unary;
  readonly trunc: Unary;
  /** To the nearest integer, ties to even. */
  readonly nearest: Unary;
  readonly eq: Binary;
  readonly ne: Binary;
  readonly lt: Binary;
  readonly le: Binary;
  readonly gt: Binary;
  readonly ge: Binary;
}

/** Lane-wise integer arithmetic modulo 2^32 or 2^64. */
export interface IntegerLanes {
  /** The same number in every lane: -2^31 to 2^32 - 1, sign-extended on 64-bit lanes unless a bigint. */
  constant(value: number | bigint): Vector;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly shl: Shift;
  readonly shrSigned: Shift;
  readonly shrUnsigned: Shift;
  readonly eq: Binary;
  readonly ne: Binary;
  /** Signed comparisons. */
  readonly lt: Binary;
  readonly gt: Binary;
}

function constantOf(scope: VectorScope, bytes: Uint8Array): Vector {
  return reusable(() => scope.constant?.(bytes) ?? scope.module.v128.const(bytes));
}

export function floatLanes(scope: VectorScope, lanes: 'f32x4' | 'f64x2'): FloatLanes {
  const ops = scope.module[lanes];
  const unary =
    (op: (a: Expression) => Expression): Unary =>
    (a) =>
      once(op(a.take()));
  const binary =
    (op: (a: Expression, b: Expression) => Expression): Binary =>
    (a, b) =>
      once(op(a.take(), b.take()));
  return {
    constant: (value) => {
      const numbers = lanes === 'f32x4' ? new Float32Array(4) : new Float64Array(2);
      return constantOf(scope, new Uint8Array(numbers.fill(value).buffer));
    },
    add: binary(ops.add),
    sub: binary(ops.sub),
    mul: binary(ops.mul),
    div: binary(ops.div),
    mulAdd: (a, b, c) => {
      const [left, right, sum] = [a.take(), b.take(), c.take()];
      return once(mulAdd(scope, lanes, left, right, sum));
    },
    mulSubFrom: (a, b, c) => {
      const [left, right, from] = [a.take(), b.take(), c.take()];
      return once(mulSubFrom(scope, lanes, left, right, from));
    },
    pmin: binary(ops.pmin),
    pmax: binary(ops.pmax),
    abs: unary(ops.abs),
    neg: unary(ops.neg),
    sqrt: unary(ops.sqrt),
    floor: unary(ops.floor),
    trunc: unary(ops.trunc),
    nearest: unary(ops.nearest),
    eq: binary(ops.eq),
    ne: binary(ops.ne),
    lt: binary(ops.lt),
    le: binary(ops.le),
    gt: binary(ops.gt),
    ge: binary(ops.ge),
  };
}

export function integerLanes(scope: VectorScope, lanes: 'i32x4' | 'i64x2'): IntegerLanes {
  const { module } = scope;
  const ops = module[lanes];
  const binary =
    (op: (a: Expression, b: Expression) => Expression): Binary =>
    (a, b) =>
      once(op(a.take(), b.take()));
  const shift =
    (op: (a: Expression, bits: Expression) => Expression): Shift =>
    (a, bits) =>
      once(op(a.take(), module.i32.const(bits)));
  return {
    constant: (value) => {
      const words =
        lanes === 'i32x4' ? new Int32Array(4).fill(Number(value)) : new BigInt64Array(2).fill(BigInt(value));
      return constantOf(scope, new Uint8Array(words.buffer));
    },
    add: binary(ops.add),
    sub: binary(ops.sub),
    mul: binary(ops.mul),
    shl: shift(ops.shl),
    shrSigned: shift(ops.shr_s),
    shrUnsigned: shift(ops.shr_u),
    eq: binary(ops.eq),
    ne: binary(ops.ne),
    lt: binary(ops.lt_s),
    gt: binary(ops.gt_s),
  };
}
