/**
 * Strength reduction: products for powers, shifts for products and quotients of integers, products for quotients.
 * There is no vector instruction that divides integers, so a quotient by 2^k is worth four others.
 *
 *     power(x, 4)        = y * y with y = x * x            fast
 *     divide(i, 8)       = (i + (i >> 31 >>> 29)) >> 3     of int32
 */
import { isFloat, isInteger, isSigned } from '../../base/dtype.ts';
import type { Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { full } from '../rewrite-emit.ts';
import { splatOf } from '../rewrite-match.ts';
import { leastOf } from './value-facts.ts';

const isIntegerValue = (value: Value): boolean => isInteger(value.type.dtype);

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

/** Exponents up to this are written out; the error of a product of `n` factors is about `n / 2` ULP. */
const mostFactors = 8;

/** `x` to a whole power by repeated squaring. No intermediate is farther from 1 than the result. */
function wholePower(rewriter: Rewriter, x: Value, exponent: number): Value {
  let result: Value | undefined;
  let square = x;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result ? rewriter.op('multiply', [square, result]) : square;
    if (rest > 1) square = rewriter.op('multiply', [square, square]);
  }
  return result ?? full(rewriter, x.type, 1);
}

const isWholePower = (exponent: number | undefined): exponent is number =>
  exponent !== undefined && Number.isInteger(exponent) && exponent >= 1 && exponent <= mostFactors;

/** Small whole exponents are products. Overflow, zeros, infinities and NaN come out as `pow` has them. */
const smallPower = rule({
  name: 'small_power',
  opcodes: ['power'],
  floatClass: 'reassociating',
  apply: ({ operands: [x, y] }, rewriter) => {
    const exponent = splatOf(rewriter, y);
    if (!isFloat(x.type.dtype)) return undefined;
    if (exponent === -1) return rewriter.op('divide', [full(rewriter, x.type, 1), x]);
    return isWholePower(exponent) ? wholePower(rewriter, x, exponent) : undefined;
  },
});

/** Products of integers wrap as their powers do. */
const integerPower = rule({
  name: 'integer_power',
  opcodes: ['power'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => {
    const exponent = splatOf(rewriter, y);
    return isIntegerValue(x) && isWholePower(exponent) ? wholePower(rewriter, x, exponent) : undefined;
  },
});

/** Whatever to the power of 0 is 1, NaN included. */
const powerZero = rule({
  name: 'power_zero',
  opcodes: ['power'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => (splatOf(rewriter, y) === 0 ? full(rewriter, x.type, 1) : undefined),
});

/** Half powers of what is not negative are roots; of -0 and -infinity they are not. */
const powerHalf = rule({
  name: 'power_half',
  opcodes: ['power'],
  floatClass: 'reassociating',
  apply: ({ operands: [x, y] }, rewriter) => {
    const exponent = splatOf(rewriter, y);
    if (!isFloat(x.type.dtype) || (exponent !== 0.5 && exponent !== -0.5)) return undefined;
    return leastOf(rewriter, x) >= 0 ? rewriter.op(exponent === 0.5 ? 'sqrt' : 'rsqrt', [x]) : undefined;
  },
});

/** Other divisors are multiplied with their rounded reciprocal, where that is a normal number. */
const divideByConstant = rule({
  name: 'divide_by_constant',
  opcodes: ['divide'],
  floatClass: 'reassociating',
  apply: ({ operands: [x, y] }, rewriter) => {
    const divisor = splatOf(rewriter, y);
    if (divisor === undefined || x.type.dtype !== 'float32') return undefined;
    const magnitude = Math.abs(Math.fround(divisor));
    if (!(magnitude >= 2 ** -126 && magnitude <= 2 ** 126)) return undefined;
    return rewriter.op('multiply', [x, full(rewriter, y.type, Math.fround(1 / Math.fround(divisor)))]);
  },
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
    if (isSigned(x.type.dtype)) return undefined;
    if (opcode === 'divide') return rewriter.op('shift_right_logical', [x, full(rewriter, y.type, amount)]);
    return rewriter.op('and', [x, full(rewriter, y.type, 2 ** amount - 1)]);
  },
});

/** Quotients of int32 round toward 0: negative dividends are moved up by `2^k - 1` before the shift. */
const integerDivideSigned = rule({
  name: 'integer_divide_signed',
  opcodes: ['divide', 'remainder'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [x, y] }, rewriter) => {
    const amount = x.type.dtype === 'int32' ? shiftAmount(splatOf(rewriter, y)) : undefined;
    if (amount === undefined || amount > 30) return undefined;
    const by = (bits: number): Value => full(rewriter, x.type, bits);
    const isPositive = leastOf(rewriter, x) >= 0;
    const signs = isPositive ? x : rewriter.op('shift_right_arithmetic', [x, by(31)]);
    const moved = isPositive
      ? x
      : rewriter.op('add', [x, rewriter.op('shift_right_logical', [signs, by(32 - amount)])]);
    if (opcode === 'divide') return rewriter.op('shift_right_arithmetic', [moved, by(amount)]);
    if (isPositive) return rewriter.op('and', [x, by(2 ** amount - 1)]);
    return rewriter.op('subtract', [x, rewriter.op('and', [moved, by(-(2 ** amount))])]);
  },
});

/** Nothing is left when 1 or -1 divides. */
const integerRemainderOne = rule({
  name: 'integer_remainder_one',
  opcodes: ['remainder'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => {
    const divisor = isIntegerValue(x) ? splatOf(rewriter, y) : undefined;
    return divisor === 1 || divisor === -1 ? full(rewriter, x.type, 0) : undefined;
  },
});

/** Two shifts by known amounts are one. */
const shiftShift = rule({
  name: 'shift_shift',
  opcodes: ['shift_left', 'shift_right_arithmetic', 'shift_right_logical'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [inner, y] }, rewriter) => {
    const before = rewriter.definedBy(inner, opcode);
    const [a, b] = [before && splatOf(rewriter, before.operands[1]), splatOf(rewriter, y)];
    if (!before || a === undefined || b === undefined || !isAmount(a) || !isAmount(b)) return undefined;
    if (a + b < 32) return rewriter.op(opcode, [before.operands[0], full(rewriter, y.type, a + b)]);
    if (opcode !== 'shift_right_arithmetic') return full(rewriter, y.type, 0);
    return rewriter.op(opcode, [before.operands[0], full(rewriter, y.type, 31)]);
  },
});

const isAmount = (amount: number): boolean => amount >= 0 && amount < 32;

export const strengthRules: readonly RewriteRule[] = [
  divideByPowerOfTwo,
  divideByConstant,
  powerZero,
  smallPower,
  integerPower,
  powerHalf,
  integerStrength,
  integerDivideSigned,
  integerRemainderOne,
  shiftShift,
];
