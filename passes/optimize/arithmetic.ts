/**
 * Rules of arithmetic on numbers. What is true of real numbers is often not true of floats: `x + 0` turns -0 into 0
 * and is kept, while `x + (-0)` and `x - 0` change nothing; `x * 0` may be NaN. Rules for integers rest on arithmetic
 * modulo 2^32.
 */
import { integerRange, isFloat, isInteger, isSigned } from '../../base/dtype.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { isAssociative, opcodes, traitsOf } from '../../ir/ops/index.ts';
import { wrapInteger } from '../../ir/ops/scalar.ts';
import type { Value } from '../../ir/types.ts';
import { type RewriteRule, rule } from '../rewrite.ts';
import { full } from '../rewrite-emit.ts';
import { isConstant, isSplat, splatOf } from '../rewrite-match.ts';
import { isNeverMinusZero, isNonNegative, leastOf } from './value-facts.ts';

const isFloatValue = (value: Value): boolean => isFloat(value.type.dtype);

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
    // Constants alone are folded; here they would take turns without end.
    if (!isConstant(rewriter, c) || isConstant(rewriter, x)) return undefined;
    return rewriter.op(op.opcode, [x, rewriter.op(op.opcode, [c, d])]);
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

/** Adding is the one form for constants, where those of several additions meet. */
const subtractConstant = rule({
  name: 'subtract_constant',
  opcodes: ['subtract'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => {
    const constant = splatOf(rewriter, y);
    if (constant === undefined || isConstant(rewriter, x)) return undefined;
    const { dtype } = x.type;
    const opposite = isFloat(dtype) ? -constant : wrapInteger(dtype, -constant);
    return rewriter.op('add', [x, full(rewriter, y.type, opposite)]);
  },
});

/** `x + x` is `x * 2`, which other factors can join. */
const addItself = rule({
  name: 'add_itself',
  opcodes: ['add'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }, rewriter) =>
    a === b && !isConstant(rewriter, a) ? rewriter.op('multiply', [a, full(rewriter, a.type, 2)]) : undefined,
});

/** `(a + b) - b` and `(a - b) + b` are `a` where nothing is rounded. */
const integerCancel = rule({
  name: 'integer_cancel',
  opcodes: ['add', 'subtract'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [a, b] }, rewriter) => {
    if (!isInteger(a.type.dtype)) return undefined;
    if (opcode === 'subtract') {
      const sum = rewriter.definedBy(a, 'add')?.operands;
      return sum?.[1] === b ? sum[0] : sum?.[0] === b ? sum[1] : undefined;
    }
    const [left, right] = [rewriter.definedBy(a, 'subtract')?.operands, rewriter.definedBy(b, 'subtract')?.operands];
    return left?.[1] === b ? left[0] : right?.[1] === a ? right[0] : undefined;
  },
});

/** `x + 0` is `x` where `x` is never -0. */
const addZeroToSum = rule({
  name: 'add_zero_to_sum',
  opcodes: ['add'],
  floatClass: 'exact',
  apply: ({ operands: [x, zero] }, rewriter) =>
    isSplat(rewriter, zero, 0) && isNeverMinusZero(rewriter, x, false) ? x : undefined,
});

/** Only products that underflow could have made -0 out of a contraction. */
const addZeroToContraction = rule({
  name: 'add_zero_to_contraction',
  opcodes: ['add'],
  floatClass: 'reassociating',
  apply: ({ operands: [x, zero] }, rewriter) =>
    isSplat(rewriter, zero, 0) && isNeverMinusZero(rewriter, x, true) ? x : undefined,
});

/** What is not negative, and not -0, is its own magnitude. */
const absOfNonNegative = rule({
  name: 'abs_of_non_negative',
  opcodes: ['abs'],
  floatClass: 'exact',
  apply: ({ operands: [x] }, rewriter) => (isNonNegative(rewriter, x) ? x : undefined),
});

/** `|x| * |x|` is `x * x`. */
const squareOfAbs = rule({
  name: 'square_of_abs',
  opcodes: ['multiply'],
  floatClass: 'exact',
  apply: ({ operands: [a, b] }, rewriter) => {
    const inner = a === b ? rewriter.definedBy(a, 'abs') : undefined;
    return inner && rewriter.op('multiply', [inner.operands[0], inner.operands[0]]);
  },
});

/** The greater of a value and a number that it does not lie below. NaN stays NaN. */
const maximumOfGreater = rule({
  name: 'maximum_of_greater',
  opcodes: ['maximum'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => {
    const bound = splatOf(rewriter, y);
    return bound !== undefined && leastOf(rewriter, x) >= bound ? x : undefined;
  },
});

/**
 * The greatest and the least number of a dtype: `minimum(x, inf)` is `x`; of integers `maximum(x, greatest)` is that.
 */
const extremumOfLimit = rule({
  name: 'extremum_of_limit',
  opcodes: ['maximum', 'minimum'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [x, y] }, rewriter) => {
    const bound = splatOf(rewriter, y);
    const [least, greatest] = isFloatValue(x) ? [-Infinity, Infinity] : integerRange(x.type.dtype);
    if (bound === (opcode === 'maximum' ? least : greatest)) return x;
    return !isFloatValue(x) && bound === (opcode === 'maximum' ? greatest : least) ? y : undefined;
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
  mergeFactors,
  integerTimesZero,
  integerMinusItself,
  addItself,
  integerCancel,
  subtractConstant,
  addZeroToSum,
  addZeroToContraction,
  absOfNonNegative,
  squareOfAbs,
  maximumOfGreater,
  extremumOfLimit,
];
