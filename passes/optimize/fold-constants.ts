/**
 * Computes at compile time what is known: ops on constants, by the reference evaluator rounding to the dtype. Only ops
 * whose result has the same bits in every engine (trait `exact`) are folded, and only results that fit the budget.
 * Repeating a constant is left to the kernels.
 *
 *     %c = constant [1, 2];  %r = reverse %c {axes=[0]}      becomes      %r = constant [2, 1]
 */
import { isStaticShape } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { evaluateOp, roundTo } from '../../ir/evaluate.ts';
import { elementCount } from '../../ir/literal.ts';
import { opcodes, traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Literal, Op, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { type RewriteRule, rule } from '../rewrite.ts';
import { asOp } from '../rewrite-emit.ts';
import { literalOf } from '../rewrite-match.ts';

const context = { mode: 'rounded', bindings: new Map(), functions: new Map() } as const;

/** What is not folded: ops that make much out of little, cheaper to run than to store; and what is not exact. */
const staysAsIs = (op: Op): boolean =>
  op.operands.length === 0 || op.opcode === 'broadcast_in_dim' || !traitsOf(op.opcode).exact;

function fits(op: Op, budget: number): boolean {
  return op.results.every(
    ({ type: { dtype, shape } }) => isStaticShape(shape) && elementCount(shape) * byteSize(dtype) <= budget,
  );
}

/**
 * The value of an op on known operands; `undefined` where sizes or dtypes are beyond the evaluator. A constant may be
 * written with more digits than its dtype has: what is computed from it is computed from what a kernel would see.
 */
function evaluate(op: Op, operands: readonly Literal[]): Literal | undefined {
  try {
    const rounded = operands.map((operand) => roundTo(operand, context.mode));
    return evaluateOp(op, rounded, context)[0];
  } catch (error) {
    const beyond = error instanceof KilnError && (error.code === 'unsupported_dtype' || error.code === 'unknown_size');
    if (beyond) return undefined;
    throw error;
  }
}

/**
 * Known scalars are computed while rules run, so that other rules see the result in the same walk. The pass does the
 * same for arrays.
 */
export const foldScalars: RewriteRule = rule({
  name: 'fold_scalars',
  opcodes: opcodes.filter((opcode) => traitsOf(opcode).elementwise && traitsOf(opcode).exact),
  floatClass: 'exact',
  apply: (op, rewriter) => {
    if (op.results[0].type.shape.length > 0) return undefined;
    const operands: Literal[] = [];
    for (const operand of op.operands) {
      const known = literalOf(rewriter, operand);
      if (!known) return undefined;
      operands.push(known);
    }
    const value = evaluate(asOp(op), operands);
    return value && rewriter.op('constant', [], { value });
  },
});

/** The graph with known ops as constants; the same graph when there are none. */
function withFoldedConstants(graph: Graph, budget: number): Graph {
  const known = new Map<Value, Literal>();
  let changed = false;
  const ops = graph.ops.map((op): Op => {
    if (op.opcode === 'constant') known.set(op.results[0], op.attributes.value);
    if (staysAsIs(op) || op.results.length !== 1 || !fits(op, budget)) return op;
    const operands: Literal[] = [];
    for (const operand of op.operands) {
      const literal = known.get(operand);
      if (!literal) return op;
      operands.push(literal);
    }
    const value = evaluate(op, operands);
    if (!value) return op;
    known.set(op.results[0], value);
    changed = true;
    return { ...op, opcode: 'constant', operands: [], attributes: { value } };
  });
  return changed ? { ...graph, ops } : graph;
}

export const foldConstants: Pass = {
  name: 'foldConstants',
  run: (module, { constantBudget }) => mapGraphs(module, (graph) => withFoldedConstants(graph, constantBudget)),
};
