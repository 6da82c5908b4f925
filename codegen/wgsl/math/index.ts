/**
 * Scalar ops of kernels as WGSL text, on one value (`f32`) or on four at once (`vec4f`), with the meaning that
 * `ir/ops/scalar.ts` gives them. `docs/accuracy.md` states the errors of the functions.
 *
 *     applyText(context, { opcode: 'add', dtype: 'float32', from: 'float32' }, ['v1', 'v2'])     // v1 + v2
 *     applyText(context, { opcode: 'tanh', dtype: 'float32', from: 'float32' }, ['v1'])          // tanh_f32(v1)
 *
 * `fast` takes the builtin exponential, whose error WGSL bounds well enough, and orders numbers by operators. `strict`
 * has its own exponential, and orders that heed NaN whatever the implementation assumes. Where either precision
 * computes a subnormal number, it may be 0.
 */
import { byteSize, type DType, isSigned } from '../../../base/dtype.ts';
import type { ScalarOpcode } from '../../../ir/kernel.ts';
import type { CompareDirection } from '../../../ir/opcodes.ts';
import { type CombineKind, combineOpcode, identityOf } from '../../../ir/ops/combine.ts';
import { atan2 } from './atan2.ts';
import { differs, isNan, maximum, minimum, ordered, sign } from './basic.ts';
import { constantOf } from './constants.ts';
import { bitcastText, convertText, laneKind, wrapText } from './convert.ts';
import { builtinExponential, erf, exponential, exponentialMinusOne, tanh } from './exponential.ts';
import { wins } from './extremum.ts';
import { float16Bits, roundBfloat16, roundFloat16 } from './half.ts';
import * as integer from './integer.ts';
import { log, logPlusOne } from './logarithm.ts';
import { power } from './power.ts';
import { remainder } from './remainder.ts';
import { cosine, sine } from './trigonometric.ts';
import { type FunctionTemplate, type MathContext, Writer } from './writer.ts';

export type { MathContext } from './writer.ts';

/** An op of Kernel IR on values. */
export interface ScalarOp {
  readonly opcode: ScalarOpcode;
  /** Dtype of the result. */
  readonly dtype: DType;
  /** Dtype of the first operand. */
  readonly from: DType;
  readonly direction?: CompareDirection;
}

/** What a row sees of its op. */
interface Application extends ScalarOp {
  readonly w: Writer;
  readonly x: string;
  readonly y: string;
  readonly z: string;
}

type Row = (a: Application) => string;

const isFloatOp = ({ from }: Application): boolean => laneKind(from) === 'f';

const call =
  (template: FunctionTemplate): Row =>
  ({ w, x }) =>
    w.call(template, x);

const callOfTwo =
  (template: FunctionTemplate): Row =>
  ({ w, x, y }) =>
    w.call(template, x, y);

const builtin =
  (name: string): Row =>
  ({ x }) =>
    `${name}(${x})`;

const byPrecision =
  (fast: Row, strict: Row): Row =>
  (a) =>
    (a.w.context.precision === 'fast' ? fast : strict)(a);

/** An operator of numbers; on bools, sums are disjunctions and products conjunctions, modulo nothing. */
const operator =
  (symbol: string, bool: string): Row =>
  ({ x, y, from }) =>
    `${x} ${from === 'bool' ? bool : symbol} ${y}`;

/** A function of floats, another of integers by their sign. */
const byKind =
  (float: Row, ofIntegers: Readonly<Record<'i' | 'u', FunctionTemplate>>): Row =>
  (a) =>
    isFloatOp(a) ? float(a) : a.w.call(ofIntegers[isSigned(a.from) ? 'i' : 'u'], a.x, a.y);

const extremum =
  (name: 'max' | 'min', float: FunctionTemplate): Row =>
  (a) => {
    if (isFloatOp(a)) return a.w.call(float, a.x, a.y);
    if (a.from === 'bool') return `${a.x} ${name === 'max' ? '|' : '&'} ${a.y}`;
    return `${name}(${a.x}, ${a.y})`;
  };

const integerOrFloat =
  (float: Row, ofInteger: Row): Row =>
  (a) =>
    (isFloatOp(a) ? float : ofInteger)(a);

/** Amounts as unsigned. */
const amount = ({ w, y, from }: Application): string => (isSigned(from) ? w.bits(y) : y);

const shiftLeft: Row = (a) => a.w.call(integer.shiftLeft[isSigned(a.from) ? 'i' : 'u'], a.x, amount(a));

/** A narrow value of the other sign is extended anew. */
const shiftRightArithmetic: Row = (a) => {
  const { w, x, from } = a;
  if (isSigned(from)) return w.call(integer.shiftRightArithmetic, x, amount(a));
  const signed = byteSize(from) === 4 ? w.signedBits(x) : `extractBits(${w.signedBits(x)}, 0u, ${8 * byteSize(from)}u)`;
  return w.bits(w.call(integer.shiftRightArithmetic, signed, amount(a)));
};

const shiftRightLogical: Row = (a) => {
  const { w, x, from } = a;
  if (!isSigned(from)) return w.call(integer.shiftRightLogical, x, amount(a));
  const unsigned = byteSize(from) === 4 ? w.bits(x) : `extractBits(${w.bits(x)}, 0u, ${8 * byteSize(from)}u)`;
  return w.signedBits(w.call(integer.shiftRightLogical, unsigned, amount(a)));
};

const comparisons = {
  EQ: { symbol: '==', template: ordered('equal', '==') },
  NE: { symbol: '!=', template: differs },
  LT: { symbol: '<', template: ordered('less', '<') },
  LE: { symbol: '<=', template: ordered('less_or_equal', '<=') },
  GT: { symbol: '>', template: ordered('greater', '>') },
  GE: { symbol: '>=', template: ordered('greater_or_equal', '>=') },
} as const satisfies Record<CompareDirection, { symbol: string; template: FunctionTemplate }>;

/** false is below true. */
const boolComparisons = {
  EQ: (x, y) => `${x} == ${y}`,
  NE: (x, y) => `${x} != ${y}`,
  LT: (x, y) => `!${x} & ${y}`,
  LE: (x, y) => `!${x} | ${y}`,
  GT: (x, y) => `${x} & !${y}`,
  GE: (x, y) => `${x} | !${y}`,
} as const satisfies Record<CompareDirection, (x: string, y: string) => string>;

const compare: Row = (a) => {
  const { w, x, y, from, direction = 'EQ' } = a;
  if (from === 'bool') return boolComparisons[direction](x, y);
  const { symbol, template } = comparisons[direction];
  if (!isFloatOp(a)) return `${x} ${symbol} ${y}`;
  // `x != x` asks for NaN, which a compiler that assumes there are none would answer.
  if (x === y && direction === 'NE') return w.call(isNan, x);
  const isPlain = w.context.precision === 'fast' && direction !== 'NE' && x !== y;
  return isPlain ? `${x} ${symbol} ${y}` : w.call(template, x, y);
};

const rows: { readonly [K in ScalarOpcode]: Row } = {
  abs: (a) => (isFloatOp(a) || isSigned(a.from) ? `abs(${a.x})` : a.x),
  negate: ({ x, from }) => (isSigned(from) ? `-${x}` : `0u - ${x}`),
  sign: integerOrFloat(call(sign), ({ w, x, from }) => (isSigned(from) ? `sign(${x})` : `min(${x}, ${w.u(1)})`)),
  floor: builtin('floor'),
  ceil: builtin('ceil'),
  round_nearest_even: builtin('round'),
  exponential: byPrecision(call(builtinExponential), call(exponential)),
  exponential_minus_one: call(exponentialMinusOne),
  log: call(log),
  log_plus_one: call(logPlusOne),
  sqrt: builtin('sqrt'),
  rsqrt: builtin('inverseSqrt'),
  round_float16: call(roundFloat16),
  round_bfloat16: call(roundBfloat16),
  sine: call(sine),
  cosine: call(cosine),
  tanh: call(tanh),
  erf: call(erf),
  atan2: callOfTwo(atan2),
  is_finite: ({ w, x }) => `(${w.bits(x)} & ${w.mask('u', 0x7f800000)}) != ${w.mask('u', 0x7f800000)}`,
  not: ({ x, from }) => (from === 'bool' ? `!${x}` : `~${x}`),
  convert: ({ w, x, from, dtype }) => convertText(w, from, dtype, x),
  bitcast_convert: ({ w, x, from, dtype }) => bitcastText(w, from, dtype, x),
  add: operator('+', '|'),
  subtract: operator('-', '!='),
  multiply: operator('*', '&'),
  divide: byKind(operator('/', '&'), integer.divide),
  remainder: byKind(callOfTwo(remainder), integer.remainder),
  power: byKind(callOfTwo(power), integer.power),
  maximum: extremum('max', maximum),
  minimum: extremum('min', minimum),
  and: operator('&', '&'),
  or: operator('|', '|'),
  xor: operator('^', '!='),
  shift_left: shiftLeft,
  shift_right_arithmetic: shiftRightArithmetic,
  shift_right_logical: shiftRightLogical,
  compare,
  select: ({ x, y, z }) => `select(${z}, ${y}, ${x})`,
};

/** Ops that may take an integer out of the range of its dtype. */
const leavesRange: ReadonlySet<ScalarOpcode> = new Set<ScalarOpcode>([
  'abs',
  'negate',
  'not',
  'add',
  'subtract',
  'multiply',
  'divide',
  'power',
  'shift_left',
  'shift_right_arithmetic',
  'shift_right_logical',
]);

/**
 * The expression of an op. Floats are f32 (those of 16 bits too), all signed integers i32, all unsigned ones u32, in the
 * range of their dtype; so is the result. It is not parenthesised.
 * @param operands each a name, or an expression in parentheses; none may be a constant expression of WGSL (a literal),
 *   for the module would be refused where constants overflow. They may be used several times.
 */
export function applyText(context: MathContext, op: ScalarOp, operands: readonly string[]): string {
  const w = new Writer(context);
  const [x, y = x, z = y] = operands;
  const text = rows[op.opcode]({ ...op, w, x, y, z });
  return leavesRange.has(op.opcode) ? wrapText(w, op.dtype, text) : text;
}

/** The text of a number of a dtype, with NaN, infinities and -0; in four lanes where the context has four. */
export function constantText(context: MathContext, dtype: DType, value: number): string {
  return constantOf(new Writer(context), dtype, value);
}

/** Combines two values as a reduction does. */
export function combineText(
  context: MathContext,
  kind: CombineKind,
  dtype: DType,
  left: string,
  right: string,
): string {
  return applyText(context, { opcode: combineOpcode(kind), dtype, from: dtype }, [left, right]);
}

/** What a reduction starts from. */
export function identityText(context: MathContext, kind: CombineKind, dtype: DType): string {
  return constantText(context, dtype, identityOf(kind, dtype));
}

/** The bits of the nearest float16, in the lower half of an `u32`. */
export function float16BitsText(context: MathContext, value: string): string {
  return new Writer(context).call(float16Bits, value);
}

/**
 * Whether a candidate of argmax or argmin takes the place of the best so far: it is more extreme, NaN above all, or as
 * extreme and earlier; -0 equals 0. Positions are i32. A search that starts from `identityText` of max or min starts at
 * a position behind all, so that it finds elements that are no better.
 */
export function winsText(
  context: MathContext,
  kind: 'argmax' | 'argmin',
  dtype: DType,
  candidate: string,
  candidatePosition: string,
  best: string,
  bestPosition: string,
): string {
  const template = wins(kind, laneKind(dtype));
  return new Writer(context).call(template, candidate, candidatePosition, best, bestPosition);
}
