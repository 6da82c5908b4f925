/**
 * Rules of arithmetic on numbers. What is true of real numbers is often not true of floats: `x + 0` turns -0 into 0
 * and is kept, while `x + (-0)` and `x - 0` change nothing; `x * 0` may be NaN. Rules for integers rest on arithmetic
 * modulo 2^32.
 */
import { isFloat, isInteger, isSigned } from '../../base/dtype.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { isAssociative, opcodes, traitsOf } from '../../ir/ops/index.ts';
import type { Value } from '../../ir/types.ts';
import { type RewriteRule, rule } from '../rewrite.ts';
import { full } from '../rewrite-emit.ts';
import { isConstant, isSplat, splatOf } from '../rewrite-match.ts';

const isFloatValue = (value: Value): boolean => isFloat(value.type.dtype);
const isIntegerValue = (value: Value): boolean => isInteger(value.type.dtype);

/** Opcodes of two operands that can be written without attributes and have a trait. */
const binaryWith = (trait: 'commutative' | 'associative'): Opcode[] =>
  opcodes.filter((opcode) => traitsOf(opcode).elementwise && traitsOf(opcode)[trait]);

type BinaryOpcode = 'add' | 'multiply' | 'maximum' | 'minimum' | 'and' | 'or' | 'xor';
type UnaryOpcode = 'abs' | 'sign' | 'floor' | 'ceil' | 'round_nearest_even';

/** Constants stand on the right, so that other rules look in one place. */
const constantRight = rule({
  name: 'constant_right',
  opcodes: binaryWith('commutative') as BinaryOpcode[],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [a, b] = op.operands;
    return isConstant(rewriter, a) && !isConstant(rewriter, b) ? rewriter.op(op.opcode, [b, a]) : undefined;
  },
});

/** `(x + c) + d` is `x + (c + d)` where no rounding happens; the constants are folded later. */
const gatherConstants = rule({
  name: 'gather_constants',
  opcodes: binaryWith('associative') as BinaryOpcode[],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const [inner, d] = op.operands;
    const before = rewriter.definedBy(inner, op.opcode);
    if (!before || !isAssociative(op.opcode, inner.type) || !isConstant(rewriter, d)) return undefined;
    const [x, c] = before.operands;
    return isConstant(rewriter, c) ? rewriter.op(op.opcode, [x, rewriter.op(op.opcode, [c, d])]) : undefined;
  },
});

/** `f(x, x)` is `x`, for maximum and its like. */
const sameOperands = rule({
  name: 'same_operands',
  opcodes: ['maximum', 'minimum', 'and', 'or'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }) => (a === b ? a : undefined),
});

/** `f(f(x))` is `f(x)`. */
const idempotent = rule({
  name: 'idempotent',
  opcodes: (['abs', 'sign', 'floor', 'ceil', 'round_nearest_even'] as UnaryOpcode[]).filter(
    (opcode) => traitsOf(opcode).idempotent,
  ),
  floatClass: 'exact',
  apply: (op, rewriter) => (rewriter.definedBy(op.operands[0], op.opcode) ? op.operands[0] : undefined),
});

/** `f(f(x))` is `x`. */
const involution = rule({
  name: 'involution',
  opcodes: ['negate', 'not'],
  floatClass: 'exact',
  apply: (op, rewriter) => rewriter.definedBy(op.operands[0], op.opcode)?.operands[0],
});

const addZero = rule({
  name: 'add_zero',
  opcodes: ['add'],
  floatClass: 'exact',
  apply: ({ operands: [x, zero] }, rewriter) => (isSplat(rewriter, zero, isFloatValue(x) ? -0 : 0) ? x : undefined),
});

const subtractZero = rule({
  name: 'subtract_zero',
  opcodes: ['subtract'],
  floatClass: 'exact',
  apply: ({ operands: [x, zero] }, rewriter) => (isSplat(rewriter, zero, 0) ? x : undefined),
});

/** `-0 - x` is `-x` for every float; `0 - x` is not, for 0. */
const zeroMinus = rule({
  name: 'zero_minus',
  opcodes: ['subtract'],
  floatClass: 'exact',
  apply: ({ operands: [zero, x] }, rewriter) =>
    isSplat(rewriter, zero, isFloatValue(x) ? -0 : 0) ? rewriter.op('negate', [x]) : undefined,
});

const timesOne = rule({
  name: 'times_one',
  opcodes: ['multiply', 'divide'],
  floatClass: 'exact',
  apply: ({ operands: [x, one] }, rewriter) => (isSplat(rewriter, one, 1) ? x : undefined),
});

const timesMinusOne = rule({
  name: 'times_minus_one',
  opcodes: ['multiply', 'divide'],
  floatClass: 'exact',
  apply: ({ operands: [x, minusOne] }, rewriter) =>
    isFloatValue(x) && isSplat(rewriter, minusOne, -1) ? rewriter.op('negate', [x]) : undefined,
});

/** Not of unsigned integers, whose negation is another magnitude. */
const absNegate = rule({
  name: 'abs_negate',
  opcodes: ['abs'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    if (!isSigned(op.operands[0].type.dtype)) return undefined;
    const negated = rewriter.definedBy(op.operands[0], 'negate');
    return negated && rewriter.op('abs', negated.operands);
  },
});

const addNegate = rule({
  name: 'add_negate',
  opcodes: ['add'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }, rewriter) => {
    const right = rewriter.definedBy(b, 'negate');
    if (right) return rewriter.op('subtract', [a, right.operands[0]]);
    const left = rewriter.definedBy(a, 'negate');
    return left && rewriter.op('subtract', [b, left.operands[0]]);
  },
});

const subtractNegate = rule({
  name: 'subtract_negate',
  opcodes: ['subtract'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }, rewriter) => {
    const negated = rewriter.definedBy(b, 'negate');
    return negated && rewriter.op('add', [a, negated.operands[0]]);
  },
});

/** Two minus signs cancel; one is taken over by a constant. */
const timesNegate = rule({
  name: 'times_negate',
  opcodes: ['multiply', 'divide'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [a, b] }, rewriter) => {
    const left = rewriter.definedBy(a, 'negate')?.operands[0];
    if (!left || !isFloatValue(a)) return undefined;
    const right = rewriter.definedBy(b, 'negate')?.operands[0];
    if (right) return rewriter.op(opcode, [left, right]);
    const factor = splatOf(rewriter, b);
    return factor === undefined ? undefined : rewriter.op(opcode, [left, full(rewriter, b.type, -factor)]);
  },
});

/** `-(x * c)` is `x * (-c)`. */
const negateProduct = rule({
  name: 'negate_product',
  opcodes: ['negate'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const product = rewriter.definedBy(op.operands[0], 'multiply');
    const factor = product && isFloatValue(op.operands[0]) ? splatOf(rewriter, product.operands[1]) : undefined;
    if (!product || factor === undefined || rewriter.useCount(op.operands[0]) > 1) return undefined;
    return rewriter.op('multiply', [product.operands[0], full(rewriter, product.operands[1].type, -factor)]);
  },
});

/** Whether a number is 2^k with a reciprocal that is a normal float32. */
function isPowerOfTwo(x: number): boolean {
  const magnitude = Math.abs(x);
  return magnitude >= 2 ** -126 && magnitude <= 2 ** 126 && 2 ** Math.round(Math.log2(magnitude)) === magnitude;
}

/** Both are the same real number, rounded once. */
const divideByPowerOfTwo = rule({
  name: 'divide_by_power_of_two',
  opcodes: ['divide'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => {
    const divisor = splatOf(rewriter, y);
    if (divisor === undefined || x.type.dtype !== 'float32' || !isPowerOfTwo(divisor)) return undefined;
    return rewriter.op('multiply', [x, full(rewriter, y.type, 1 / divisor)]);
  },
});

/**
 * `(x * c) * d` is `x * (c * d)`, where the first product overflows only if the whole does and the new constant is a
 * normal number: then infinities, NaN and signs of zero stay as they are.
 */
const mergeFactors = rule({
  name: 'merge_factors',
  opcodes: ['multiply'],
  floatClass: 'reassociating',
  apply: ({ operands: [inner, y] }, rewriter) => {
    const before = rewriter.definedBy(inner, 'multiply');
    const [c, d] = [before && splatOf(rewriter, before.operands[1]), splatOf(rewriter, y)];
    if (!before || c === undefined || d === undefined || inner.type.dtype !== 'float32') return undefined;
    const product = Math.fround(Math.fround(c) * Math.fround(d));
    const isNormal = Math.abs(product) >= 2 ** -126 && Number.isFinite(product);
    const keepsOverflow = Math.abs(c) <= 1 || Math.abs(d) >= 1;
    if (!isNormal || !keepsOverflow) return undefined;
    return rewriter.op('multiply', [before.operands[0], full(rewriter, y.type, product)]);
  },
});

/** Small whole exponents are products. Overflow, zeros, infinities and NaN come out as `pow` has them. */
const smallPower = rule({
  name: 'small_power',
  opcodes: ['power'],
  floatClass: 'reassociating',
  apply: ({ operands: [x, y] }, rewriter) => {
    const exponent = splatOf(rewriter, y);
    if (exponent === undefined || !isFloatValue(x)) return undefined;
    if (exponent === 1) return x;
    if (exponent === -1) return rewriter.op('divide', [full(rewriter, x.type, 1), x]);
    if (exponent !== 2 && exponent !== 3) return undefined;
    const square = rewriter.op('multiply', [x, x]);
    return exponent === 2 ? square : rewriter.op('multiply', [square, x]);
  },
});

const integerTimesZero = rule({
  name: 'integer_times_zero',
  opcodes: ['multiply', 'and'],
  floatClass: 'exact',
  apply: ({ operands: [x, zero] }, rewriter) => (!isFloatValue(x) && isSplat(rewriter, zero, 0) ? zero : undefined),
});

const integerMinusItself = rule({
  name: 'integer_minus_itself',
  opcodes: ['subtract', 'xor'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }, rewriter) => (a === b && !isFloatValue(a) ? full(rewriter, a.type, 0) : undefined),
});

/** The exponent of a power of two that is at least 2 and fits in 31 bits. */
function shiftAmount(value: number | undefined): number | undefined {
  if (value === undefined || value < 2 || value > 2 ** 31) return undefined;
  const amount = Math.round(Math.log2(value));
  return 2 ** amount === value ? amount : undefined;
}

/** Products with powers of two are shifts; so are quotients and remainders, of unsigned integers. */
const integerStrength = rule({
  name: 'integer_strength',
  opcodes: ['multiply', 'divide', 'remainder'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [x, y] }, rewriter) => {
    const amount = isIntegerValue(x) ? shiftAmount(splatOf(rewriter, y)) : undefined;
    if (amount === undefined) return undefined;
    if (opcode === 'multiply') return rewriter.op('shift_left', [x, full(rewriter, y.type, amount)]);
    if (x.type.dtype !== 'uint32') return undefined;
    if (opcode === 'divide') return rewriter.op('shift_right_logical', [x, full(rewriter, y.type, amount)]);
    return rewriter.op('and', [x, full(rewriter, y.type, 2 ** amount - 1)]);
  },
});

export const arithmeticRules: readonly RewriteRule[] = [
  constantRight,
  gatherConstants,
  sameOperands,
  idempotent,
  involution,
  addZero,
  subtractZero,
  zeroMinus,
  timesOne,
  timesMinusOne,
  absNegate,
  addNegate,
  subtractNegate,
  timesNegate,
  negateProduct,
  divideByPowerOfTwo,
  mergeFactors,
  smallPower,
  integerTimesZero,
  integerMinusItself,
  integerStrength,
];
