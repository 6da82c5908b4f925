/**
 * Removes ops whose results nobody needs, and functions that nobody calls. Every op is free of side effects, so
 * what does not lead to a result is dead.
 */
import type { Func, Graph, Module, Op, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';

/** The ops that lead to the results, in their order; the same graph when that is all of them. */
export function withoutDeadOps(graph: Graph): Graph {
  const live = new Set<Value>(graph.results);
  const kept: Op[] = [];
  for (let i = graph.ops.length - 1; i >= 0; i--) {
    const op = graph.ops[i];
    if (!op.results.some((result) => live.has(result))) continue;
    kept.push(op);
    for (const operand of op.operands) live.add(operand);
    for (const region of op.regions) markUsed(region, live);
  }
  return kept.length === graph.ops.length ? graph : { ...graph, ops: kept.reverse() };
}

/** Marks what a region uses; its own values are marked too, which does no harm. */
function markUsed(region: Graph, live: Set<Value>): void {
  for (const result of region.results) live.add(result);
  for (const op of region.ops) {
    for (const operand of op.operands) live.add(operand);
    for (const inner of op.regions) markUsed(inner, live);
  }
}

/** The functions that main reaches through calls; the same module when that is all of them. */
function withoutDeadFunctions(module: Module): Module {
  const called = new Set([module.main]);
  const kept: Func[] = [];
  // Callees come before callers, so one walk from the end sees every caller first.
  for (const func of module.functions.toReversed()) {
    if (!called.has(func.name)) continue;
    kept.push(func);
    for (const op of func.graph.ops) {
      if (op.opcode === 'call') called.add(op.attributes.function);
    }
  }
  return kept.length === module.functions.length ? module : { ...module, functions: kept.reverse() };
}

export const eliminateDeadCode: Pass = {
  name: 'eliminateDeadCode',
  run: (module) => withoutDeadFunctions(mapGraphs(module, withoutDeadOps)),
};
