/**
 * The elementwise ops on single numbers: what every backend is measured against. Floats are computed in double
 * precision and not rounded here; integers wrap at their width and never trap; bools are 0 and 1.
 *
 *     scalarFunction('add', 'int32')(2147483647, 1)      // -2147483648
 *     scalarFunction('divide', 'int32')(7, 0)            // -1
 */
import { byteSize, type DType, dtypeInfo, integerRange, isFloat, isHalf, isNarrowInteger } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import { roundFloat } from '../../base/half.ts';
import type { ScalarOpcode } from '../kernel.ts';
import type { CompareDirection } from '../opcodes.ts';
import { erf } from './erf.ts';

/** Takes as many operands as the op has; others are ignored. */
export type ScalarFunction = (a: number, b: number, c: number) => number;

type PlainScalarOpcode = Exclude<ScalarOpcode, 'convert' | 'bitcast_convert' | 'compare'>;

/** Brings an integer that a double holds exactly into the range of a dtype, modulo its width. */
export function wrapInteger(dtype: DType, value: number): number {
  if (dtype === 'int32') return value | 0;
  if (dtype === 'uint32') return value >>> 0;
  if (dtype === 'bool') return value === 0 ? 0 : 1;
  const [low, high] = integerRange(dtype);
  const width = high - low + 1;
  // Adding 0 turns -0 into 0.
  return value - width * Math.floor((value - low) / width) + 0;
}

/** IEEE 754 `pow`, which JavaScript departs from where the base is 1 or -1. */
function powerFloat(base: number, exponent: number): number {
  if (base === 1 || exponent === 0) return 1;
  if (base === -1 && (exponent === Infinity || exponent === -Infinity)) return 1;
  return base ** exponent;
}

/** Repeated multiplication modulo the width; a negative exponent gives 0, and for the bases 1 and -1 their power. */
function powerInteger(dtype: DType, base: number, exponent: number): number {
  if (exponent < 0) {
    if (base === 1) return 1;
    if (base === -1) return exponent % 2 === 0 ? 1 : -1;
    return 0;
  }
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return wrapInteger(dtype, result);
}

/** Truncating division; x/0 is -1 (unsigned: the greatest value), and the least value by -1 is itself. */
function divideInteger(dtype: DType, a: number, b: number): number {
  if (b === 0) return wrapInteger(dtype, -1);
  return wrapInteger(dtype, Math.trunc(a / b));
}

/** Sign of the dividend; x%0 is x. Adding 0 turns -0 into 0. */
const remainderInteger = (a: number, b: number): number => (b === 0 ? a : (a % b) + 0);

/** Ties to even; keeps the sign of zero. */
function roundNearestEven(x: number): number {
  if (!(Math.abs(x) < 2 ** 52) || x === 0) return x;
  const below = Math.floor(x);
  const above = x - below;
  const rounded = above < 0.5 || (above === 0.5 && below % 2 === 0) ? below : below + 1;
  return rounded === 0 && x < 0 ? -0 : rounded;
}

const bit = (holds: boolean): number => (holds ? 1 : 0);

type Table = { readonly [K in PlainScalarOpcode]: (dtype: DType) => ScalarFunction };

const always =
  (f: ScalarFunction): ((dtype: DType) => ScalarFunction) =>
  () =>
    f;

/** One meaning for floats, another for integers (and bool), whose result wraps. */
const byKind =
  (float: ScalarFunction, integer: ScalarFunction) =>
  (dtype: DType): ScalarFunction =>
    isFloat(dtype) ? float : (a, b, c) => wrapInteger(dtype, integer(a, b, c));

/**
 * Amounts are looked at as 32 bits of unsigned: one that is not less than a narrow width has moved every bit out, or
 * leaves only the sign, anyway.
 */
const inDomain = (amount: number): boolean => amount >= 0 && amount < 32;

/** Bits of a 32-bit word that an integer of a dtype leaves free. */
const freeBits = (dtype: DType): number => 32 - 8 * byteSize(dtype);

const functions: Table = {
  abs: byKind(Math.abs, Math.abs),
  negate: byKind(
    (a) => -a,
    (a) => -a,
  ),
  sign: byKind(Math.sign, Math.sign),
  floor: always(Math.floor),
  ceil: always(Math.ceil),
  round_nearest_even: always(roundNearestEven),
  exponential: always(Math.exp),
  exponential_minus_one: always(Math.expm1),
  log: always(Math.log),
  log_plus_one: always(Math.log1p),
  sqrt: always(Math.sqrt),
  rsqrt: always((a) => 1 / Math.sqrt(a)),
  round_float16: always((a) => roundFloat('float16', a)),
  round_bfloat16: always((a) => roundFloat('bfloat16', a)),
  sine: always(Math.sin),
  cosine: always(Math.cos),
  tanh: always(Math.tanh),
  erf: always(erf),
  not: (dtype) => (dtype === 'bool' ? (a) => 1 - a : (a) => wrapInteger(dtype, ~a)),
  is_finite: always((a) => bit(Number.isFinite(a))),
  add: byKind(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  subtract: byKind(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  multiply: byKind((a, b) => a * b, Math.imul),
  divide: (dtype) => (isFloat(dtype) ? (a, b) => a / b : (a, b) => divideInteger(dtype, a, b)),
  remainder: byKind((a, b) => a % b, remainderInteger),
  power: (dtype) => (isFloat(dtype) ? powerFloat : (a, b) => powerInteger(dtype, a, b)),
  maximum: always((a, b) => Math.max(a, b)),
  minimum: always((a, b) => Math.min(a, b)),
  atan2: always(Math.atan2),
  and: (dtype) => (a, b) => wrapInteger(dtype, a & b),
  or: (dtype) => (a, b) => wrapInteger(dtype, a | b),
  xor: (dtype) => (a, b) => wrapInteger(dtype, a ^ b),
  shift_left: (dtype) => (a, b) => (inDomain(b) ? wrapInteger(dtype, a << b) : 0),
  shift_right_arithmetic: (dtype) => {
    const free = freeBits(dtype);
    return (a, b) => wrapInteger(dtype, ((a << free) >> free) >> (inDomain(b) ? b : 31));
  },
  shift_right_logical: (dtype) => {
    const free = freeBits(dtype);
    return (a, b) => (inDomain(b) ? wrapInteger(dtype, ((a << free) >>> free) >>> b) : 0);
  },
  select: always((predicate, onTrue, onFalse) => (predicate === 0 ? onFalse : onTrue)),
};

/** The function of an elementwise op for operands of `dtype` (`select`: for any). */
export const scalarFunction = (opcode: PlainScalarOpcode, dtype: DType): ScalarFunction => functions[opcode](dtype);

const comparisons: { readonly [K in CompareDirection]: ScalarFunction } = {
  EQ: (a, b) => bit(a === b),
  NE: (a, b) => bit(a !== b),
  LT: (a, b) => bit(a < b),
  LE: (a, b) => bit(a <= b),
  GT: (a, b) => bit(a > b),
  GE: (a, b) => bit(a >= b),
};

/** IEEE comparison: every direction but NE is false when an operand is NaN; -0 equals 0. */
export const compareFunction = (direction: CompareDirection): ScalarFunction => comparisons[direction];

/**
 * Conversion of one number. Float to integer truncates toward zero and saturates, NaN gives 0; integer to integer
 * keeps the low bits; to bool is `x != 0`, so that NaN is true. Integers become floats of 16 bits by way of float32.
 */
export function convertFunction(from: DType, to: DType): ScalarFunction {
  if (to === 'bool') return (a) => bit(a !== 0);
  if (isHalf(to) && !isFloat(from)) return Math.fround;
  if (isFloat(to)) return (a) => a;
  if (!isFloat(from)) return (a) => wrapInteger(to, a);
  const [low, high] = integerRange(to);
  return (a) => (Number.isNaN(a) ? 0 : Math.trunc(Math.min(Math.max(a, low), high)) + 0);
}

const word = new DataView(new ArrayBuffer(4));

const writeWord: { readonly [D in DType]?: (value: number) => void } = {
  float32: (value) => word.setFloat32(0, value),
  int32: (value) => word.setInt32(0, value),
  uint32: (value) => word.setUint32(0, value),
};

const readWord: { readonly [D in DType]?: () => number } = {
  float32: () => word.getFloat32(0),
  int32: () => word.getInt32(0),
  uint32: () => word.getUint32(0),
};

/** The same bits read as another dtype of the same width. NaN has one bit pattern, 0x7fc00000. */
export function bitcastFunction(from: DType, to: DType): ScalarFunction {
  if (from === to) return (a) => a;
  if (isNarrowInteger(from) && isNarrowInteger(to)) return (a) => wrapInteger(to, a);
  const [write, read] = [writeWord[from], readWord[to]];
  if (!write || !read) {
    throw internalError(`bitcast_convert of ${dtypeInfo(from).short} to ${dtypeInfo(to).short}`);
  }
  return (a) => {
    if (Number.isNaN(a)) word.setUint32(0, 0x7fc00000);
    else write(a);
    return read();
  };
}
