/**
 * The yardstick of the vector math functions: what each computes in double precision, and the distance of a float32
 * from it in units in the last place (ULP).
 *
 *     ulpError(Math.fround(0.1), 0.1)   // 0.2: a fifth of the distance between neighbouring float32 numbers at 0.1
 *
 * The references are those of the JavaScript engine (V8: FDLIBM, within one ULP of double precision, for arguments of
 * any size) and, for erf, the series and the continued fraction below. All are 2^28 times finer than what they judge.
 */

/** The spacing of float32 numbers at a double with the given biased exponent. */
const spacing = Float64Array.from({ length: 2048 }, (_, exponent) => 2 ** Math.max(exponent - 1023 - 23, -149));

const oneDouble = new Float64Array(1);
const itsWords = new Uint32Array(oneDouble.buffer);

/** Numbers from here on are infinite in float32; as a distance, infinity counts as this. */
const beyondFloat32 = 2 ** 128;
const clamped = (x: number): number => Math.min(Math.max(x, -beyondFloat32), beyondFloat32);

/**
 * How far a float32 result is from the exact one, in ULP of the exact one. Infinity where one is NaN and the other is
 * not, or where both are zeros of different sign.
 */
export function ulpError(result: number, exact: number): number {
  if (Object.is(result, exact)) return 0;
  if (result === 0 && exact === 0) return Number.POSITIVE_INFINITY;
  if (Number.isNaN(result) || Number.isNaN(exact)) return Number.POSITIVE_INFINITY;
  oneDouble[0] = exact;
  const unit = Math.min(spacing[(itsWords[1] >>> 20) & 0x7ff], 2 ** 104);
  return Math.abs(clamped(result) - clamped(exact)) / unit;
}

const smallestNormal = 2 ** -126;
const flushed = (x: number): number => (Math.abs(x) < smallestNormal ? x * 0 : x);

/**
 * The same where operands and results that are subnormal may be zero, as on WebGPU
 * (https://www.w3.org/TR/WGSL/#floating-point-evaluation): the least error by which the result can be explained.
 */
export function flushingUlpError(
  result: number,
  f: (...operands: number[]) => number,
  operands: readonly number[],
): number {
  const exact = f(...operands);
  const error = ulpError(result, exact);
  if (error === 0 || (result === 0 && exact !== 0 && Math.abs(exact) < smallestNormal)) return 0;
  if (!operands.some((x) => x !== 0 && Math.abs(x) < smallestNormal)) return error;
  const other = f(...operands.map(flushed));
  return result === 0 && Math.abs(other) < smallestNormal ? 0 : Math.min(error, ulpError(result, other));
}

/** The error function in double precision. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size < 1e-4) return x * (2 / Math.sqrt(Math.PI)) * (1 - (x * x) / 3);
  if (size > 6) return Math.sign(x);
  if (Number.isNaN(x)) return x;
  return size < 2.5 ? erfSeries(x) : Math.sign(x) * (1 - erfcFraction(size));
}

/** `2 / sqrt(pi) e^(-x^2) sum(2^n x^(2n+1) / (2n+1)!!)`: Abramowitz and Stegun 7.1.6; all terms have one sign. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The complement for x >= 2.5 by the continued fraction of Abramowitz and Stegun 7.1.14, evaluated backwards. */
function erfcFraction(x: number): number {
  let tail = x;
  for (let n = 60; n > 0; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
}

/** C `pow`, which differs from `Math.pow` where an argument is NaN or the base is 1 or -1. */
function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY)) return 1;
  return x ** y;
}

/** By opcode; `is_finite` is no number and has none. */
export const unaryReferences = {
  cosine: Math.cos,
  erf,
  exponential: Math.exp,
  exponential_minus_one: Math.expm1,
  log: Math.log,
  log_plus_one: Math.log1p,
  rsqrt: (x: number) => 1 / Math.sqrt(x),
  sign: Math.sign,
  sine: Math.sin,
  tanh: Math.tanh,
} as const;

export const binaryReferences = {
  atan2: Math.atan2,
  power,
  /** Exact: the remainder of two float32 numbers is one. */
  remainder: (x: number, y: number) => x % y,
} as const;

export type UnaryName = keyof typeof unaryReferences;
export type BinaryName = keyof typeof binaryReferences;
