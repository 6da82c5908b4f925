/**
 * Rules of comparison, choice, bits and conversion.
 *
 *     select(not p, a, b)              = select(p, b, a)
 *     convert<f32>(convert<i32>(p))    = convert<f32>(p)         for a bool p
 */
import { byteSize, type DType, dtypeInfo, integerRange, isFloat, isInteger, isSigned } from '../../base/dtype.ts';
import type { CompareDirection } from '../../ir/opcodes.ts';
import type { Value } from '../../ir/types.ts';
import { type RewriteRule, rule } from '../rewrite.ts';
import { convert, full } from '../rewrite-emit.ts';
import { isConstant, isSplat, splatOf } from '../rewrite-match.ts';

const mirrored: Readonly<Record<CompareDirection, CompareDirection>> = {
  EQ: 'EQ',
  NE: 'NE',
  LT: 'GT',
  LE: 'GE',
  GT: 'LT',
  GE: 'LE',
};

const opposite: Readonly<Record<CompareDirection, CompareDirection>> = {
  EQ: 'NE',
  NE: 'EQ',
  LT: 'GE',
  LE: 'GT',
  GT: 'LE',
  GE: 'LT',
};

const compareConstantRight = rule({
  name: 'compare_constant_right',
  opcodes: ['compare'],
  floatClass: 'exact',
  apply: ({ operands: [a, b], attributes }, rewriter) =>
    isConstant(rewriter, a) && !isConstant(rewriter, b)
      ? rewriter.op('compare', [b, a], { direction: mirrored[attributes.direction] })
      : undefined,
});

/** A float may be NaN, which equals nothing; all else equals itself. */
const compareItself = rule({
  name: 'compare_itself',
  opcodes: ['compare'],
  floatClass: 'exact',
  apply: ({ operands: [a, b], attributes: { direction } }, rewriter) => {
    if (a !== b || isFloat(a.type.dtype)) return undefined;
    const holds = direction === 'EQ' || direction === 'LE' || direction === 'GE';
    return full(rewriter, { dtype: 'bool', shape: a.type.shape }, holds ? 1 : 0);
  },
});

/** With NaN both `<` and `>=` are false, so of floats only `==` and `!=` are each other's negation. */
const notCompare = rule({
  name: 'not_compare',
  opcodes: ['not'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const comparison = rewriter.definedBy(op.operands[0], 'compare');
    if (!comparison) return undefined;
    const { direction } = comparison.attributes;
    if (isFloat(comparison.operands[0].type.dtype) && direction !== 'EQ' && direction !== 'NE') return undefined;
    return rewriter.op('compare', comparison.operands, { direction: opposite[direction] });
  },
});

/** The element with every bit set. */
const allOnes = (dtype: DType): number => (isSigned(dtype) ? -1 : integerRange(dtype)[1]);

const bitIdentity = rule({
  name: 'bit_identity',
  opcodes: ['and', 'or', 'xor'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [x, y] }, rewriter) =>
    isSplat(rewriter, y, opcode === 'and' ? allOnes(x.type.dtype) : 0) ? x : undefined,
});

/** `x or 1...1` is `1...1`. */
const orOnes = rule({
  name: 'or_ones',
  opcodes: ['or'],
  floatClass: 'exact',
  apply: ({ operands: [x, y] }, rewriter) => (isSplat(rewriter, y, allOnes(x.type.dtype)) ? y : undefined),
});

const shiftByZero = rule({
  name: 'shift_by_zero',
  opcodes: ['shift_left', 'shift_right_arithmetic', 'shift_right_logical'],
  floatClass: 'exact',
  apply: ({ operands: [x, amount] }, rewriter) => (isSplat(rewriter, amount, 0) ? x : undefined),
});

const selectConstant = rule({
  name: 'select_constant',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    const known = splatOf(rewriter, predicate);
    return known === undefined ? undefined : known === 0 ? onFalse : onTrue;
  },
});

const selectSame = rule({
  name: 'select_same',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [, onTrue, onFalse] }) => (onTrue === onFalse ? onTrue : undefined),
});

const selectNot = rule({
  name: 'select_not',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    const negated = rewriter.definedBy(predicate, 'not');
    return negated && rewriter.op('select', [negated.operands[0], onFalse, onTrue]);
  },
});

/** A choice within a choice by the same predicate is made already. */
const selectSelect = rule({
  name: 'select_select',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    const chosen = (value: Value, side: 1 | 2): Value => {
      const inner = rewriter.definedBy(value, 'select');
      return inner && inner.operands[0] === predicate ? inner.operands[side] : value;
    };
    const [a, b] = [chosen(onTrue, 1), chosen(onFalse, 2)];
    return a === onTrue && b === onFalse ? undefined : rewriter.op('select', [predicate, a, b]);
  },
});

/** A choice between true and false is the predicate; between 1 and 0, its number. */
const selectTruth = rule({
  name: 'select_truth',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    if (isSplat(rewriter, onTrue, 1) && isSplat(rewriter, onFalse, 0)) {
      return convert(rewriter, predicate, onTrue.type.dtype);
    }
    const inverted = onTrue.type.dtype === 'bool' && isSplat(rewriter, onTrue, 0) && isSplat(rewriter, onFalse, 1);
    return inverted ? rewriter.op('not', [predicate]) : undefined;
  },
});

/**
 * `x <= c ? c : x` is the greater of the two, NaN included, unless `c` is -0 (0 <= -0 would choose -0); `x >= c ? c :
 * x` the lesser, unless `c` is 0. A maximum with a known number takes one or two instructions, a choice about five.
 */
const selectToExtremum = rule({
  name: 'select_to_extremum',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    const comparison = rewriter.definedBy(predicate, 'compare');
    const limit = splatOf(rewriter, onTrue);
    if (!comparison || limit === undefined || Number.isNaN(limit) || onTrue.type.dtype === 'bool') return undefined;
    const [x, bound] = comparison.operands;
    if (x !== onFalse || !isSplat(rewriter, bound, limit)) return undefined;
    const { direction } = comparison.attributes;
    if (direction === 'LE' && !Object.is(limit, -0)) return rewriter.op('maximum', [x, onTrue]);
    if (direction === 'GE' && !Object.is(limit, 0)) return rewriter.op('minimum', [x, onTrue]);
    return undefined;
  },
});

const convertSame = rule({
  name: 'convert_same',
  opcodes: ['convert', 'bitcast_convert'],
  floatClass: 'exact',
  apply: ({ operands: [x], attributes }) => (x.type.dtype === attributes.dtype ? x : undefined),
});

/** Bits of a float's significand: integers up to 2^bits are exact. */
const significandBits: Partial<Record<DType, number>> = { float64: 53, float32: 24, float16: 11, bfloat16: 8 };

/** Whether every value of one dtype is a value of another. */
function holdsAll(from: DType, to: DType): boolean {
  if (from === to || from === 'bool') return true;
  if (to === 'bool') return false;
  const bits = significandBits[to];
  if (isInteger(from)) {
    if (bits !== undefined) return byteSize(from) * 8 <= bits;
    const [[low, high], [toLow, toHigh]] = [integerRange(from), integerRange(to)];
    return toLow <= low && high <= toHigh;
  }
  return bits !== undefined && (to === 'float64' || (to === 'float32' && byteSize(from) === 2));
}

/**
 * A conversion through a dtype that loses nothing is one conversion. To an integer both must start from the same kind:
 * floats saturate, integers wrap.
 */
const convertConvert = rule({
  name: 'convert_convert',
  opcodes: ['convert'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'convert');
    if (!inner) return undefined;
    const source = inner.operands[0];
    const [from, through, to] = [source.type.dtype, inner.attributes.dtype, op.attributes.dtype];
    const sameKind = isFloat(from) === isFloat(through) || from === 'bool';
    if (!holdsAll(from, through) || (isInteger(to) && !sameKind)) return undefined;
    return convert(rewriter, source, to);
  },
});

/** Two views of the same bits are one. */
const bitcastBitcast = rule({
  name: 'bitcast_bitcast',
  opcodes: ['bitcast_convert'],
  floatClass: 'exact',
  apply: (op, rewriter) => {
    const inner = rewriter.definedBy(op.operands[0], 'bitcast_convert');
    // Through a float the bits of a NaN might change.
    if (!inner || dtypeInfo(inner.attributes.dtype).kind === 'float') return undefined;
    const [source] = inner.operands;
    return source.type.dtype === op.attributes.dtype ? source : rewriter.op('bitcast_convert', [source], op.attributes);
  },
});

/** Gradients are taken before this: what is left of it is the identity. */
const stopGradient = rule({
  name: 'stop_gradient',
  opcodes: ['stop_gradient'],
  floatClass: 'exact',
  apply: (op) => op.operands[0],
});

export const logicRules: readonly RewriteRule[] = [
  compareConstantRight,
  compareItself,
  notCompare,
  bitIdentity,
  orOnes,
  shiftByZero,
  selectConstant,
  selectSame,
  selectNot,
  selectSelect,
  selectTruth,
  selectToExtremum,
  convertSame,
  convertConvert,
  bitcastBitcast,
  stopGradient,
];
