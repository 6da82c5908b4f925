/**
 * Rules of `compare` and `select` where one side is known, or both are choices already. All are exact.
 *
 *     compare(convert<f32>(p), 0.5, GT)             = p
 *     multiply(select(p, 2, 0), 3)                  = select(p, 6, 0)
 *     select(p, exp(a), exp(b))                     = exp(select(p, a, b))
 */
import { isStatic } from '../../base/dim.ts';
import { computedDTypes, type DType, integerRange, isFloat, isInteger, isSigned } from '../../base/dtype.ts';
import { evaluateOp } from '../../ir/evaluate.ts';
import { splat } from '../../ir/literal.ts';
import type { CompareDirection, Opcode } from '../../ir/opcodes.ts';
import { opcodes, traitsOf } from '../../ir/ops/index.ts';
import { compareFunction } from '../../ir/ops/scalar.ts';
import type { Op, OpOf, TensorType, Value } from '../../ir/types.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { asOp, full } from '../rewrite-emit.ts';
import { isSplat, splatOf } from '../rewrite-match.ts';
import { leastOf } from './value-facts.ts';

/** A value that is one of two numbers everywhere. */
interface Choice {
  readonly predicate: Value;
  readonly onTrue: number;
  readonly onFalse: number;
}

/** `select` between two known numbers, or a bool as a number. */
function choiceOf(rewriter: Rewriter, value: Value): Choice | undefined {
  const converted = rewriter.definedBy(value, 'convert')?.operands[0];
  if (converted?.type.dtype === 'bool') return { predicate: converted, onTrue: 1, onFalse: 0 };
  const select = rewriter.definedBy(value, 'select');
  const [onTrue, onFalse] = [
    select && splatOf(rewriter, select.operands[1]),
    select && splatOf(rewriter, select.operands[2]),
  ];
  if (!select || onTrue === undefined || onFalse === undefined) return undefined;
  return { predicate: select.operands[0], onTrue, onFalse };
}

/** A bool that is `onTrue` where the predicate holds, and `onFalse` elsewhere. */
function truth(rewriter: Rewriter, predicate: Value, onTrue: boolean, onFalse: boolean): Value {
  if (onTrue === onFalse) return full(rewriter, predicate.type, onTrue ? 1 : 0);
  return onTrue ? predicate : rewriter.op('not', [predicate]);
}

/** A choice compared with a number is the predicate, its negation, or known. */
const compareChoice = rule({
  name: 'compare_choice',
  opcodes: ['compare'],
  floatClass: 'exact',
  apply: ({ operands: [x, y], attributes: { direction } }, rewriter) => {
    const bound = splatOf(rewriter, y);
    const choice = bound === undefined ? undefined : choiceOf(rewriter, x);
    if (!choice || bound === undefined) return undefined;
    const compares = compareFunction(direction);
    const round = isFloat(x.type.dtype) ? Math.fround : (n: number) => n;
    const holds = (n: number): boolean => compares(round(n), round(bound), 0) === 1;
    return truth(rewriter, choice.predicate, holds(choice.onTrue), holds(choice.onFalse));
  },
});

/** Bounds of integers that the ops above them tell: positions lie between 0 and their size. */
function integerBounds(rewriter: Rewriter, value: Value): readonly [number, number] {
  const [least, greatest] = integerRange(value.type.dtype);
  const source = rewriter.definedBy(value, 'broadcast_in_dim')?.operands[0] ?? value;
  const iota = rewriter.definedBy(source, 'iota');
  const size = iota?.attributes.shape[iota.attributes.axis];
  const isExact = size !== undefined && isStatic(size) && size > 0 && size - 1 <= greatest;
  return isExact ? [0, size - 1] : [Math.max(least, leastOf(rewriter, value)), greatest];
}

/** A comparison of integers that their ranges decide. */
const compareBounds = rule({
  name: 'compare_bounds',
  opcodes: ['compare'],
  floatClass: 'exact',
  apply: ({ operands: [x, y], attributes: { direction } }, rewriter) => {
    const bound = isInteger(x.type.dtype) && x.type.dtype !== 'int64' ? splatOf(rewriter, y) : undefined;
    if (bound === undefined) return undefined;
    const [least, greatest] = integerBounds(rewriter, x);
    const holds = decide(direction, least, greatest, bound);
    return holds === undefined ? undefined : full(rewriter, { dtype: 'bool', shape: x.type.shape }, holds ? 1 : 0);
  },
});

/** Whether `x direction bound` holds for all x of a range, for none, or for some. */
function decide(direction: CompareDirection, least: number, greatest: number, bound: number): boolean | undefined {
  const compares = compareFunction(direction);
  if (direction === 'EQ' || direction === 'NE') {
    return bound < least || bound > greatest ? direction === 'NE' : undefined;
  }
  const [low, high] = [compares(least, bound, 0), compares(greatest, bound, 0)];
  return low === high ? low === 1 : undefined;
}

const context = { mode: 'rounded', bindings: new Map(), functions: new Map() } as const;

/** What an elementwise op gives for known numbers; `undefined` for dtypes beyond the evaluator. */
function valueAt(op: Op, operands: readonly { readonly dtype: DType; readonly value: number }[]): number | undefined {
  const scalars = operands.map(({ dtype, value }) => splat(dtype, [], value));
  const scalarType = ({ dtype }: TensorType): TensorType => ({ dtype, shape: [] });
  const scalarOp = { ...op, results: [{ type: scalarType(op.results[0].type) }] } as Op;
  const isComputed = [...operands.map(({ dtype }) => dtype), op.results[0].type.dtype].every((dtype) =>
    computedDTypes.includes(dtype),
  );
  return isComputed ? evaluateOp(scalarOp, scalars, context)[0].data[0] : undefined;
}

/** An exact op on a choice between numbers, and otherwise on numbers alone, is a choice between results. */
const elementwiseChoice = rule({
  name: 'elementwise_choice',
  opcodes: opcodes.filter((opcode) => {
    const { elementwise, exact } = traitsOf(opcode);
    return elementwise && exact && opcode !== 'select' && opcode !== 'compare' && opcode !== 'not';
  }),
  floatClass: 'exact',
  apply: (op, rewriter) => {
    let choice: Choice | undefined;
    const sides: { dtype: DType; onTrue: number; onFalse: number }[] = [];
    for (const operand of op.operands) {
      const { dtype } = operand.type;
      const known = splatOf(rewriter, operand);
      const own = known === undefined ? choiceOf(rewriter, operand) : undefined;
      if (own && choice && choice.predicate !== own.predicate) return undefined;
      choice ??= own;
      if (known !== undefined) sides.push({ dtype, onTrue: known, onFalse: known });
      else if (own) sides.push({ dtype, onTrue: own.onTrue, onFalse: own.onFalse });
      else return undefined;
    }
    const { type } = op.results[0];
    if (!choice || (op.opcode === 'convert' && type.dtype === 'bool')) return undefined;
    const on = (side: 'onTrue' | 'onFalse') =>
      valueAt(
        asOp(op),
        sides.map((known) => ({ dtype: known.dtype, value: known[side] })),
      );
    const [onTrue, onFalse] = [on('onTrue'), on('onFalse')];
    if (onTrue === undefined || onFalse === undefined) return undefined;
    return rewriter.op('select', [choice.predicate, full(rewriter, type, onTrue), full(rewriter, type, onFalse)]);
  },
});

/** `select(p, select(q, a, b), b)` is `select(p and q, a, b)`. */
const selectNested = rule({
  name: 'select_nested',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [p, onTrue, onFalse] }, rewriter) => {
    const inner = rewriter.definedBy(onTrue, 'select');
    if (inner && isSame(rewriter, inner.operands[2], onFalse) && rewriter.useCount(onTrue) === 1) {
      return rewriter.op('select', [rewriter.op('and', [p, inner.operands[0]]), inner.operands[1], onFalse]);
    }
    const other = rewriter.definedBy(onFalse, 'select');
    if (other && isSame(rewriter, other.operands[1], onTrue) && rewriter.useCount(onFalse) === 1) {
      return rewriter.op('select', [rewriter.op('or', [p, other.operands[0]]), onTrue, other.operands[2]]);
    }
    return undefined;
  },
});

/** Whether two values are one, or the same repeated number. */
function isSame(rewriter: Rewriter, a: Value, b: Value): boolean {
  if (a === b) return true;
  const [x, y] = [splatOf(rewriter, a), splatOf(rewriter, b)];
  return x !== undefined && Object.is(x, y);
}

/** A function of one operand is taken of the chosen operand, once instead of twice. */
const selectSameFunction = rule({
  name: 'select_same_function',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [p, onTrue, onFalse] }, rewriter) => {
    const [a, b] = [rewriter.definition(onTrue), rewriter.definition(onFalse)];
    if (!a || a.opcode !== b?.opcode || a.operands.length !== 1 || !traitsOf(a.opcode).elementwise) return undefined;
    if (rewriter.useCount(onTrue) > 1 || rewriter.useCount(onFalse) > 1) return undefined;
    const [x, y] = [a.operands[0], b.operands[0]];
    if (x.type.dtype !== y.type.dtype) return undefined;
    const { opcode, attributes } = a as OpOf<Opcode>;
    return rewriter.op(opcode, [rewriter.op('select', [p, x, y])], attributes);
  },
});

/** Of integers that are equal either may be chosen; the greater or lesser of two integers has an op of its own. */
const selectCompared = rule({
  name: 'select_compared',
  opcodes: ['select'],
  floatClass: 'exact',
  apply: ({ operands: [predicate, onTrue, onFalse] }, rewriter) => {
    const comparison = rewriter.definedBy(predicate, 'compare');
    if (!comparison || !isInteger(onTrue.type.dtype)) return undefined;
    const [x, y] = comparison.operands;
    const isForward = x === onTrue && y === onFalse;
    if (!isForward && !(x === onFalse && y === onTrue)) return undefined;
    const { direction } = comparison.attributes;
    if (direction === 'EQ') return onFalse;
    if (direction === 'NE') return onTrue;
    const choosesGreater = (direction === 'GT' || direction === 'GE') === isForward;
    return rewriter.op(choosesGreater ? 'maximum' : 'minimum', [x, y]);
  },
});

/** `p and not p` holds nowhere, `p or not p` and `p xor not p` everywhere. */
const logicComplement = rule({
  name: 'logic_complement',
  opcodes: ['and', 'or', 'xor'],
  floatClass: 'exact',
  apply: ({ opcode, operands: [a, b] }, rewriter) => {
    const isComplement =
      rewriter.definedBy(a, 'not')?.operands[0] === b || rewriter.definedBy(b, 'not')?.operands[0] === a;
    if (!isComplement) return undefined;
    const ones = isSigned(a.type.dtype) ? -1 : integerRange(a.type.dtype)[1];
    return full(rewriter, a.type, opcode === 'and' ? 0 : ones);
  },
});

/** `p xor true` is `not p`. */
const xorTrue = rule({
  name: 'xor_true',
  opcodes: ['xor'],
  floatClass: 'exact',
  apply: ({ operands: [p, y] }, rewriter) =>
    p.type.dtype === 'bool' && isSplat(rewriter, y, 1) ? rewriter.op('not', [p]) : undefined,
});

export const choiceRules: readonly RewriteRule[] = [
  compareChoice,
  compareBounds,
  elementwiseChoice,
  selectCompared,
  selectNested,
  selectSameFunction,
  logicComplement,
  xorTrue,
];
