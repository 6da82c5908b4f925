/**
 * Makes a failing module small: cuts ops out of it, one after the other, while it still fails. What an op that was cut
 * gave becomes a parameter, with the value that the reference evaluator computes for it.
 *
 *     const { module, inputs } = await shrink(whole, wholeInputs, (m, x) => differs(m, x));
 */
import { evaluateGraph } from '../../ir/evaluate.ts';
import { type Literal, type Module, mainOf, type Op, type Value } from '../../ir/types.ts';
import { bindSymbols } from './run-lowered.ts';

export interface Runnable {
  readonly module: Module;
  readonly inputs: readonly Literal[];
}

/** Whether the fault shows; a module that throws something else than expected counts as failing too. */
export type Fails = (runnable: Runnable) => boolean | Promise<boolean>;

/** A module with only the ops that its results need, and only the parameters that those use. */
function withoutDead(ops: readonly Op[], results: readonly Value[], literalOf: (value: Value) => Literal): Runnable {
  const needed = new Set(results);
  const kept: Op[] = [];
  for (let at = ops.length - 1; at >= 0; at--) {
    const op = ops[at];
    if (!op.results.some((result) => needed.has(result))) continue;
    kept.unshift(op);
    for (const operand of op.operands) needed.add(operand);
  }
  for (const op of kept) for (const result of op.results) needed.delete(result);
  const parameters = [...needed];
  const graph = { parameters, ops: kept, results };
  return { module: { functions: [{ name: 'main', graph }], main: 'main' }, inputs: parameters.map(literalOf) };
}

/** The smallest module that was found. `whole` itself fails. */
export async function shrink(whole: Runnable, fails: Fails): Promise<Runnable> {
  const { graph } = mainOf(whole.module);
  const values = new Map<Value, Literal>();
  const types = graph.parameters.map(({ type }) => type);
  const context = { mode: 'rounded', bindings: bindSymbols(types, whole.inputs), functions: new Map() } as const;
  const produced = graph.ops.flatMap((op) => op.results);
  const evaluated = evaluateGraph({ ...graph, results: produced }, whole.inputs, context);
  produced.forEach((value, i) => {
    values.set(value, evaluated[i]);
  });
  graph.parameters.forEach((value, i) => {
    values.set(value, whole.inputs[i]);
  });
  const literalOf = (value: Value): Literal => values.get(value)!;
  let best = whole;
  const attempt = async (ops: readonly Op[], results: readonly Value[]): Promise<void> => {
    const candidate = withoutDead(ops, results, literalOf);
    if (await fails(candidate)) best = candidate;
  };
  for (const result of graph.results) await attempt(graph.ops, [result]);
  for (let at = mainOf(best.module).graph.ops.length - 1; at >= 0; at--) {
    const { ops, results } = mainOf(best.module).graph;
    if (at >= ops.length) continue;
    const cut = ops.filter((_, i) => i !== at);
    const isResult = ops[at].results.some((value) => results.includes(value));
    if (!isResult) await attempt(cut, results);
    else for (const operand of ops[at].operands) await attempt(cut, [operand]);
  }
  return best;
}
