/**
 * Sums of products with a common factor: one product of the factor with the sum of the others. A contraction is saved
 * for an addition over its smaller side.
 *
 *     add(dot(a, b), dot(a, c))                    = dot(a, add(b, c))
 *     subtract(dot(b, a), multiply(dot(c, a), s))  = dot(subtract(b, multiply(c, s)), a)
 *
 * Sums and scalar factors move into an operand, so that they are computed before the contraction and not after.
 */
import { equalShapes } from '../../base/dim.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { estimateCount } from '../fuse/graph-uses.ts';
import type { Pass } from '../manager.ts';
import { type RewriteRule, type Rewriter, rule } from '../rewrite.ts';
import { otherAxes, range, transpose } from '../rewrite-emit.ts';
import { rewritePass } from '../rewrite-pass.ts';
import { flopCost } from './product-cost.ts';
import { scalarFactorOf, scaleBy } from './scalar-factor.ts';

/** A term of a sum: a product that is used nowhere else, and what it is multiplied by. */
interface Term {
  readonly dot: OpOf<'dot_general'>;
  readonly scalar?: Value;
}

function termOf(rewriter: Rewriter, value: Value): Term | undefined {
  if (rewriter.useCount(value) > 1) return undefined;
  const dot = rewriter.definedBy(value, 'dot_general');
  if (dot) return { dot };
  const product = rewriter.definedBy(value, 'multiply');
  const factor = product && scalarFactorOf(rewriter, product);
  const inner = factor && termOf(rewriter, factor.array);
  return inner && !inner.scalar ? { dot: inner.dot, scalar: factor.scalar } : undefined;
}

/**
 * The other operand of a second product with its axes as they lie in that of the first, when both stand for the same
 * sums over the shared operand.
 * @param side where the shared operand stands
 */
function alignedOperand(
  rewriter: Rewriter,
  a: OpOf<'dot_general'>,
  b: OpOf<'dot_general'>,
  side: 0 | 1,
): Value | undefined {
  const other = side === 0 ? 1 : 0;
  const [p, q] = [a.attributes, b.attributes];
  const isAlike =
    p.contract[side].length === q.contract[side].length &&
    p.batch[side].length === q.batch[side].length &&
    p.batch[side].every((axis, i) => axis === q.batch[side][i]);
  const [mine, theirs] = [a.operands[other].type.shape, b.operands[other].type.shape];
  if (!isAlike || mine.length !== theirs.length) return undefined;
  const from: number[] = new Array(mine.length).fill(-1);
  for (const [i, axis] of p.contract[side].entries()) {
    from[p.contract[other][i]] = q.contract[other][q.contract[side].indexOf(axis)] ?? -1;
  }
  p.batch[other].forEach((axis, i) => {
    from[axis] = q.batch[other][i];
  });
  const free = otherAxes(theirs.length, q.contract[other], q.batch[other]);
  otherAxes(mine.length, p.contract[other], p.batch[other]).forEach((axis, i) => {
    from[axis] = free[i];
  });
  if (from.includes(-1)) return undefined;
  const aligned = from.map((axis) => theirs[axis]);
  return equalShapes(mine, aligned) ? transpose(rewriter, b.operands[other], from) : undefined;
}

const scaled = (rewriter: Rewriter, value: Value, scalar: Value | undefined): Value =>
  scalar ? scaleBy(rewriter, value, scalar) : value;

/** `a op b` with the common factor taken out. */
function factored(rewriter: Rewriter, opcode: 'add' | 'subtract', a: Value, b: Value): Value | undefined {
  const [left, right] = [termOf(rewriter, a), termOf(rewriter, b)];
  if (!left || !right || left.dot === right.dot) return undefined;
  const { dot } = left;
  for (const side of [0, 1] as const) {
    const shared = dot.operands[side];
    if (shared !== right.dot.operands[side]) continue;
    const own = dot.operands[1 - side];
    // Adding the operands must cost less than the product that it saves.
    const contracted = dot.attributes.contract[side].map((axis) => shared.type.shape[axis]);
    const saved = 2 * estimateCount(dot.results[0].type.shape) * estimateCount(contracted) * flopCost;
    if (saved < 4 * estimateCount(own.type.shape) || contracted.length === 0) continue;
    const aligned = alignedOperand(rewriter, dot, right.dot, side);
    if (!aligned) continue;
    const sum = rewriter.op(opcode, [scaled(rewriter, own, left.scalar), scaled(rewriter, aligned, right.scalar)]);
    return rewriter.op('dot_general', side === 0 ? [shared, sum] : [sum, shared], dot.attributes);
  }
  return undefined;
}

const commonFactor = rule({
  name: 'common_factor',
  opcodes: ['add', 'subtract'],
  floatClass: 'regrouping',
  apply: ({ opcode, operands: [a, b] }, rewriter) => {
    const whole = factored(rewriter, opcode, a, b);
    if (whole) return whole;
    // A term further up the sum: (r + x) + y, where x and y have the factor.
    const [sum, term] = termOf(rewriter, b) ? [a, b] : [b, a];
    const inner = rewriter.definedBy(sum, 'add');
    if (!inner || rewriter.useCount(sum) > 1 || (opcode === 'subtract' && sum !== a)) return undefined;
    for (const at of range(2)) {
      const joined = factored(rewriter, opcode, inner.operands[at], term);
      if (joined) return rewriter.op('add', [inner.operands[1 - at], joined]);
    }
    return undefined;
  },
});

export const factorRules: readonly RewriteRule[] = [commonFactor];

/** Takes common factors out of sums of products (fast mode). */
export const factorProducts: Pass = rewritePass('factorProducts', factorRules, { opcode: 'dot_general', atLeast: 2 });
