/**
 * Takes a graph apart: what computes the values that are kept from call to call, and the rest, to which they are
 * further parameters.
 *
 *     (%w, %x) { %0 = exponential %w;  %1 = multiply %x, %0;  return %1 }      keeps %0
 *
 *     prepare (%w) { %0 = exponential %w;  return %0 }       main (%w, %x, %0) { %1 = multiply %x, %0;  return %1 }
 *
 * Ops that both need are in both. Those in `prepare` make values of their own, so that each value is written once; the
 * values that are kept, and constants, are the same objects.
 */
import type { Graph, Op, Value } from '../../ir/types.ts';

export interface SplitGraph {
  readonly prepare: Graph;
  readonly main: Graph;
}

/** @param stored values to keep; none is a parameter or a result of the graph */
export function splitGraph(graph: Graph, stored: ReadonlySet<Value>): SplitGraph {
  const kept = graph.ops.flatMap(({ results }) => results.filter((result) => stored.has(result)));
  const main = opsBehind(graph.ops, graph.results, stored);
  const behind = opsBehind(graph.ops, kept, new Set());
  return {
    prepare: { parameters: graph.parameters, ops: withOwnValues(behind, stored), results: kept },
    main: { parameters: [...graph.parameters, ...kept], ops: main, results: graph.results },
  };
}

/** The ops that lead to some values, in order; those behind `given` values are left out. */
function opsBehind(ops: readonly Op[], results: readonly Value[], given: ReadonlySet<Value>): Op[] {
  const needed = new Set<Value>(results);
  const found: Op[] = [];
  for (let position = ops.length - 1; position >= 0; position--) {
    const op = ops[position];
    if (!op.results.some((result) => needed.has(result) && !given.has(result))) continue;
    found.push(op);
    for (const operand of op.operands) needed.add(operand);
  }
  return found.reverse();
}

function withOwnValues(ops: readonly Op[], kept: ReadonlySet<Value>): Op[] {
  const own = new Map<Value, Value>();
  return ops.map((op) => {
    if (op.opcode === 'constant') return op;
    const operands = op.operands.map((operand) => own.get(operand) ?? operand);
    const results = op.results.map((result) => {
      if (kept.has(result)) return result;
      const copy = { ...result };
      own.set(result, copy);
      return copy;
    });
    return { ...op, operands, results };
  });
}
