/**
 * Scalar ops of kernels on vectors of four lanes: one row an opcode. Bools are masks (all ones or all zeros a lane),
 * integers lie in 32-bit lanes, the narrow ones sign- or zero-extended: what may leave their range is wrapped.
 * Functions without an instruction come from `math/`; what SIMD lacks for integers (division, power, shifts by
 * different amounts) is a helper applied lane by lane.
 */
import {
  byteSize,
  computedDTypes,
  type DType,
  dtypeInfo,
  integerRange,
  isNarrowInteger,
  isSigned,
} from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { ScalarOpcode } from '../../ir/kernel.ts';
import type { CompareDirection } from '../../ir/opcodes.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { roundToHalf } from './half.ts';
import { integerHelpers } from './integer-helpers.ts';
import { callHelper, type Expression, type Helper, reusable, type Vector, VectorEmitter } from './math/emitter.ts';
import { fastVectorMath, vectorMath } from './math/index.ts';

/** What a row sees of its op. */
export interface Application {
  readonly opcode: ScalarOpcode;
  /** Dtype of the result. */
  readonly dtype: DType;
  /** Dtype of the first operand. */
  readonly from: DType;
  readonly direction?: CompareDirection;
  /** Locals of the operands. */
  readonly operands: readonly number[];
  /** The numbers that operands are known to be. */
  readonly known: readonly (number | undefined)[];
  /** Whether the second operand is the same in every lane. */
  readonly amountIsUniform: boolean;
}

type VectorMathOpcode = keyof typeof vectorMath;

type Row = (f: FunctionBuilder, a: Application) => Expression;

/** @throws KilnError `unsupported_dtype` for dtypes that this backend does not compute with */
export function requireComputed(dtype: DType, what: string): void {
  if (computedDTypes.includes(dtype)) return;
  throw new KilnError('unsupported_dtype', `the WASM backend does not compute with ${dtype}`, {
    given: what,
    expected: computedDTypes.join(', '),
  });
}

const x = (f: FunctionBuilder, a: Application): Expression => f.get(a.operands[0]);
const y = (f: FunctionBuilder, a: Application): Expression => f.get(a.operands[1]);

type Unary = (value: Expression) => Expression;
type Binary = (left: Expression, right: Expression) => Expression;

const unary =
  (float: (f: FunctionBuilder) => Unary, integer: (f: FunctionBuilder, a: Application) => Unary): Row =>
  (f, a) =>
    (a.from === 'float32' ? float(f) : integer(f, a))(x(f, a));

/** Rows for float, signed, unsigned and mask. */
const binary =
  (
    float: keyof FunctionBuilder['module']['f32x4'],
    signed: keyof FunctionBuilder['module']['i32x4'],
    unsigned: keyof FunctionBuilder['module']['i32x4'],
    mask: 'and' | 'or' | 'xor',
  ): Row =>
  (f, a) => {
    const { f32x4, i32x4, v128 } = f.module;
    const op = { float: f32x4[float], signed: i32x4[signed], unsigned: i32x4[unsigned], bool: v128[mask] } as const;
    return (op[dtypeInfo(a.from).kind] as Binary)(x(f, a), y(f, a));
  };

/**
 * `max` and `min` are about six instructions on x86 for the sake of NaN and -0, `pmax(x, c)` (`x < c ? c : x`) is one.
 * Against a known number the two differ only where that number is a zero: pmax gives -0 for (-0, 0), which adding 0
 * mends; pmin needs no mending for 0, and -0 is left to `min`.
 */
const extremum =
  (name: 'maximum' | 'minimum', general: Row): Row =>
  (f, a) => {
    const at = a.known.findIndex((number) => number !== undefined && !Number.isNaN(number));
    const number = a.known[at];
    if (a.from !== 'float32' || number === undefined) return general(f, a);
    const { f32x4 } = f.module;
    const other = f.get(a.operands[1 - at]);
    const bound = f.splat('float32', number);
    if (name === 'minimum') return Object.is(number, -0) ? general(f, a) : f32x4.pmin(other, bound);
    const greater = f32x4.pmax(other, bound);
    return Object.is(number, 0) ? f32x4.add(greater, f.splat('float32', 0)) : greater;
  };

const bitwise =
  (op: 'and' | 'or' | 'xor'): Row =>
  (f, a) =>
    f.module.v128[op](x(f, a), y(f, a));

const roundings =
  (op: 'floor' | 'ceil' | 'nearest' | 'sqrt'): Row =>
  (f, a) =>
    f.module.f32x4[op](x(f, a));

const math =
  (opcode: VectorMathOpcode): Row =>
  (f, a) => {
    const [first, second] = a.operands.map((local): Vector => reusable(() => f.get(local)));
    return (f.isFast ? fastVectorMath : vectorMath)[opcode](new VectorEmitter(f), first, second).take();
  };

/** Applies a helper (i32, i32) → i32 to each lane. */
function eachLane(f: FunctionBuilder, helper: Helper, a: Application): Expression {
  const { i32x4 } = f.module;
  const lane = (index: number): Expression =>
    callHelper(f, helper, [i32x4.extract_lane(x(f, a), index), i32x4.extract_lane(y(f, a), index)]);
  let result = i32x4.splat(lane(0));
  for (let index = 1; index < 4; index++) result = i32x4.replace_lane(result, index, lane(index));
  return result;
}

const integerPairs =
  (float: Row, name: 'divide' | 'remainder' | 'power'): Row =>
  (f, a) => {
    if (a.from === 'float32') return float(f, a);
    return eachLane(f, integerHelpers[`${name}_${isSigned(a.from) ? 'signed' : 'unsigned'}`], a);
  };

const shift =
  (name: 'shl' | 'shr_s' | 'shr_u'): Row =>
  (f, a) => {
    const { i32x4, i32, v128 } = f.module;
    const last = name === 'shr_s' ? 31 : undefined;
    if (a.known[1] !== undefined) {
      const amount = a.known[1] >>> 0;
      if (amount >= 32 && last === undefined) return f.splat('int32', 0);
      return i32x4[name](x(f, a), f.i32(Math.min(amount, 31)));
    }
    if (!a.amountIsUniform) return eachLane(f, integerHelpers[name], a);
    const amount = f.let('i32', i32x4.extract_lane(y(f, a), 0));
    const inDomain = i32.lt_u(f.get(amount), f.i32(32));
    if (last !== undefined) return i32x4[name](x(f, a), f.module.select(inDomain, f.get(amount), f.i32(last)));
    const mask = i32x4.splat(i32.sub(f.i32(0), inDomain));
    return v128.and(i32x4[name](x(f, a), f.get(amount)), mask);
  };

/** Bits of a lane that an integer of a dtype leaves free. */
const freeBits = (dtype: DType): number => 32 - 8 * byteSize(dtype);

/** The application to an operand of a narrow dtype that is extended the other way. */
function extended(f: FunctionBuilder, a: Application, name: 'shr_s' | 'shr_u'): Application {
  if (!isNarrowInteger(a.from)) return a;
  const { i32x4 } = f.module;
  const free = freeBits(a.from);
  const first = f.let('v128', i32x4[name](i32x4.shl(x(f, a), f.i32(free)), f.i32(free)));
  return { ...a, operands: [first, ...a.operands.slice(1)] };
}

/** Lanes of 32-bit integers brought into the range of a dtype, modulo its width. */
export function wrapLanes(f: FunctionBuilder, dtype: DType, value: Expression): Expression {
  if (!isNarrowInteger(dtype)) return value;
  const { i32x4, v128 } = f.module;
  if (!isSigned(dtype)) return v128.and(value, f.splat('int32', integerRange(dtype)[1]));
  const free = freeBits(dtype);
  return i32x4.shr_s(i32x4.shl(value, f.i32(free)), f.i32(free));
}

/** Ops that may take an integer out of the range of its dtype. */
const leavesRange: ReadonlySet<ScalarOpcode> = new Set<ScalarOpcode>([
  'abs',
  'negate',
  'not',
  'bitcast_convert',
  'add',
  'subtract',
  'multiply',
  'divide',
  'power',
  'shift_left',
  'shift_right_arithmetic',
  'shift_right_logical',
]);

const comparisonNames = {
  EQ: ['eq', 'eq', 'eq'],
  NE: ['ne', 'ne', 'ne'],
  LT: ['lt', 'lt_s', 'lt_u'],
  LE: ['le', 'le_s', 'le_u'],
  GT: ['gt', 'gt_s', 'gt_u'],
  GE: ['ge', 'ge_s', 'ge_u'],
} as const satisfies Record<CompareDirection, readonly [string, string, string]>;

const compare: Row = (f, a) => {
  const [float, signed, unsigned] = comparisonNames[a.direction ?? 'EQ'];
  const { f32x4, i32x4 } = f.module;
  if (a.from === 'float32') return f32x4[float](x(f, a), y(f, a));
  return i32x4[isSigned(a.from) ? signed : unsigned](x(f, a), y(f, a));
};

const convert: Row = (f, a) => {
  const { f32x4, i32x4, v128 } = f.module;
  const { from, dtype: to } = a;
  if (from === to) return x(f, a);
  if (to === 'bool') {
    return from === 'float32' ? f32x4.ne(x(f, a), f.splat('float32', 0)) : i32x4.ne(x(f, a), f.splat('int32', 0));
  }
  if (from === 'bool') return v128.and(x(f, a), f.splat(to, 1));
  if (to === 'float32') return from === 'uint32' ? f32x4.convert_i32x4_u(x(f, a)) : f32x4.convert_i32x4_s(x(f, a));
  const [least, greatest] = integerRange(to);
  if (from !== 'float32') {
    const [low, high] = integerRange(from);
    return least <= low && high <= greatest ? x(f, a) : wrapLanes(f, to, x(f, a));
  }
  if (to === 'uint32') return i32x4.trunc_sat_f32x4_u(x(f, a));
  const words = i32x4.trunc_sat_f32x4_s(x(f, a));
  if (to === 'int32') return words;
  return i32x4.min_s(i32x4.max_s(words, f.splat('int32', least)), f.splat('int32', greatest));
};

const integerSign: (f: FunctionBuilder, a: Application) => Unary = (f, a) => (value) =>
  isSigned(a.from)
    ? f.module.i32x4.max_s(f.module.i32x4.min_s(value, f.splat('int32', 1)), f.splat('int32', -1))
    : f.module.i32x4.min_u(value, f.splat('int32', 1));

const rows: { readonly [K in ScalarOpcode]: Row } = {
  abs: unary(
    (f) => f.module.f32x4.abs,
    (f, a) => (isSigned(a.from) ? f.module.i32x4.abs : (value) => value),
  ),
  negate: unary(
    (f) => f.module.f32x4.neg,
    (f) => f.module.i32x4.neg,
  ),
  sign: (f, a) => (a.from === 'float32' ? math('sign')(f, a) : integerSign(f, a)(x(f, a))),
  floor: roundings('floor'),
  ceil: roundings('ceil'),
  round_nearest_even: roundings('nearest'),
  sqrt: roundings('sqrt'),
  exponential: math('exponential'),
  exponential_minus_one: math('exponential_minus_one'),
  log: math('log'),
  log_plus_one: math('log_plus_one'),
  rsqrt: math('rsqrt'),
  round_float16: (f, a) => roundToHalf(f, 'float16', a.operands[0]),
  round_bfloat16: (f, a) => roundToHalf(f, 'bfloat16', a.operands[0]),
  sine: math('sine'),
  cosine: math('cosine'),
  tanh: math('tanh'),
  erf: math('erf'),
  atan2: math('atan2'),
  is_finite: math('is_finite'),
  not: (f, a) => f.module.v128.not(x(f, a)),
  convert,
  bitcast_convert: (f, a) => x(f, a),
  add: binary('add', 'add', 'add', 'or'),
  subtract: binary('sub', 'sub', 'sub', 'xor'),
  multiply: binary('mul', 'mul', 'mul', 'and'),
  divide: integerPairs((f, a) => f.module.f32x4.div(x(f, a), y(f, a)), 'divide'),
  remainder: integerPairs(math('remainder'), 'remainder'),
  power: integerPairs(math('power'), 'power'),
  maximum: extremum('maximum', binary('max', 'max_s', 'max_u', 'or')),
  minimum: extremum('minimum', binary('min', 'min_s', 'min_u', 'and')),
  and: bitwise('and'),
  or: bitwise('or'),
  xor: bitwise('xor'),
  shift_left: shift('shl'),
  shift_right_arithmetic: (f, a) => shift('shr_s')(f, isSigned(a.from) ? a : extended(f, a, 'shr_s')),
  shift_right_logical: (f, a) => shift('shr_u')(f, isSigned(a.from) ? extended(f, a, 'shr_u') : a),
  compare,
  select: (f, a) => f.module.v128.bitselect(f.get(a.operands[1]), f.get(a.operands[2]), x(f, a)),
};

/** The vector that an op gives for operands in locals. */
export function applyOperator(f: FunctionBuilder, application: Application): Expression {
  requireComputed(application.dtype, application.opcode);
  requireComputed(application.from, application.opcode);
  const result = rows[application.opcode](f, application);
  return leavesRange.has(application.opcode) ? wrapLanes(f, application.dtype, result) : result;
}

/** Applies a two-operand op to expressions, each used once. */
export function combine(
  f: FunctionBuilder,
  opcode: CombineOpcode,
  dtype: DType,
  left: Expression,
  right: Expression,
): Expression {
  const result = combineLanes(f, opcode, dtype, left, right);
  return opcode === 'add' || opcode === 'multiply' ? wrapLanes(f, dtype, result) : result;
}

type CombineOpcode = 'add' | 'multiply' | 'maximum' | 'minimum' | 'and' | 'or';

function combineLanes(
  f: FunctionBuilder,
  opcode: CombineOpcode,
  dtype: DType,
  left: Expression,
  right: Expression,
): Expression {
  const { f32x4, i32x4, v128 } = f.module;
  if (opcode === 'and' || opcode === 'or') return v128[opcode](left, right);
  if (dtype === 'bool') return v128[opcode === 'add' || opcode === 'maximum' ? 'or' : 'and'](left, right);
  if (opcode === 'add') return dtype === 'float32' ? f32x4.add(left, right) : i32x4.add(left, right);
  if (opcode === 'multiply') return dtype === 'float32' ? f32x4.mul(left, right) : i32x4.mul(left, right);
  if (dtype === 'float32') return opcode === 'maximum' ? f32x4.max(left, right) : f32x4.min(left, right);
  if (isSigned(dtype)) return opcode === 'maximum' ? i32x4.max_s(left, right) : i32x4.min_s(left, right);
  return opcode === 'maximum' ? i32x4.max_u(left, right) : i32x4.min_u(left, right);
}
