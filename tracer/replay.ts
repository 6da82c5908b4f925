/**
 * Running a graph's ops again, on tensors, wherever one is: outside all traces they run at once, inside a trace they
 * are recorded in it. Only what the wanted values need is run, and nothing that is known already.
 *
 *     const values = new Map([[graph.parameters[0], x]]);
 *     replay(graph, values, [graph.results[0]], { functions, device: 'wasm' });
 *     values.get(graph.results[0])        // a Tensor
 */
import { internalError } from '../base/error.ts';
import type { Func, Graph, Op, OpOf, Value } from '../ir/types.ts';
import { currentTrace } from './graph-trace.ts';
import { atLocation, currentLocation } from './location.ts';
import type { Tensor } from './tensor.ts';
import { emit, emitCopy, emitKnown } from './trace.ts';

export interface ReplayContext {
  /** The functions that the graph calls. */
  readonly functions: ReadonlyMap<string, Func>;
  /** Name of the device that ops without operands run on. */
  readonly device: string;
  /** Elements that are known already, for values whose ops need recording but no work. */
  readonly computed?: ReadonlyMap<Value, Tensor>;
}

/**
 * Outside all traces, what is made on the way is released after its last use.
 * @param values tensors for values; grows by what is run, but for what has been released again
 * @param wanted values that must have tensors afterwards
 */
export function replay(
  graph: Graph,
  values: Map<Value, Tensor>,
  wanted: readonly Value[],
  context: ReplayContext,
): void {
  const needed = new Set(wanted.filter((value) => !values.has(value)));
  const chosen: Op[] = [];
  /** For each chosen op what is dead after it; traced tensors own nothing, so nobody asks for theirs. */
  const dead: Value[][] | undefined = currentTrace() ? undefined : [];
  for (let i = graph.ops.length - 1; i >= 0; i--) {
    const op = graph.ops[i];
    if (!op.results.some((result) => needed.has(result))) continue;
    chosen.push(op);
    dead?.push(op.results.filter((result) => !needed.has(result)));
    for (const operand of op.operands) {
      if (values.has(operand) || needed.has(operand)) continue;
      needed.add(operand);
      dead?.[dead.length - 1].push(operand);
    }
  }
  for (let i = chosen.length - 1; i >= 0; i--) {
    const op = chosen[i];
    atLocation(op.location ?? currentLocation(), () => replayOp(op, values, context));
    if (dead) release(dead[i], values);
  }
}

/** Gives up tensors that nothing needs any more. */
function release(dead: readonly Value[], values: Map<Value, Tensor>): void {
  for (const value of dead) {
    values.get(value)?.release({ by: 'tidy' });
    values.delete(value);
  }
}

function replayOp(op: Op, values: Map<Value, Tensor>, context: ReplayContext): void {
  const operands = op.operands.map((operand) => {
    const tensor = values.get(operand);
    if (!tensor) throw internalError(`replay: an operand of ${op.opcode} has no tensor`);
    return tensor;
  });
  const results = resultsOf(op, operands, context);
  op.results.forEach((result, i) => {
    values.set(result, results[i]);
  });
}

function resultsOf(
  op: Op,
  operands: readonly Tensor[],
  { functions, device, computed }: ReplayContext,
): readonly Tensor[] {
  const trace = currentTrace();
  if (trace?.kind === 'symbolic') return emitCopy(trace, op, operands);
  const known = op.results.map((result) => computed?.get(result)).filter((tensor) => tensor !== undefined);
  if (trace && known.length === op.results.length) return emitKnown(trace, op, operands, known);
  if (op.opcode !== 'call') return [emit(op.opcode, operands, op.attributes, device)];
  return callNow(op, operands, { functions, device });
}

/** Runs the function that is called, op by op. */
function callNow({ attributes }: OpOf<'call'>, operands: readonly Tensor[], context: ReplayContext): readonly Tensor[] {
  const graph = context.functions.get(attributes.function)?.graph;
  if (!graph) throw internalError(`replay: no function @${attributes.function}`);
  const values = new Map(graph.parameters.map((parameter, i) => [parameter, operands[i]]));
  replay(graph, values, graph.results, context);
  return graph.results.map((result) => values.get(result)!);
}
