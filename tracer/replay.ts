/**
 * Running a graph's ops again, on tensors, wherever one is: outside all traces they run at once, inside a trace they
 * are recorded in it. Only what the wanted values need is run, and nothing that is known already.
 *
 *     const values = new Map([[graph.parameters[0], x]]);
 *     replay(graph, values, [graph.results[0]]);
 *     values.get(graph.results[0])        // a Tensor
 */
import { internalError } from '../base/error.ts';
import type { Graph, Op, Value } from '../ir/types.ts';
import { currentTrace } from './graph-trace.ts';
import { atLocation, currentLocation } from './location.ts';
import type { Tensor } from './tensor.ts';
import { emit, emitKnown, emitResults } from './trace.ts';

/**
 * @param values tensors for values; grows by everything that is run
 * @param wanted values that must have tensors afterwards
 * @param computed elements that are known already, for values whose ops need recording but no work
 */
export function replay(
  graph: Graph,
  values: Map<Value, Tensor>,
  wanted: readonly Value[],
  computed?: ReadonlyMap<Value, Tensor>,
): void {
  const needed = new Set(wanted.filter((value) => !values.has(value)));
  const chosen: Op[] = [];
  for (let i = graph.ops.length - 1; i >= 0; i--) {
    const op = graph.ops[i];
    if (!op.results.some((result) => needed.has(result))) continue;
    chosen.push(op);
    for (const operand of op.operands) if (!values.has(operand)) needed.add(operand);
  }
  for (const op of chosen.reverse()) {
    atLocation(op.location ?? currentLocation(), () => replayOp(op, values, computed));
  }
}

function replayOp(op: Op, values: Map<Value, Tensor>, computed: ReadonlyMap<Value, Tensor> | undefined): void {
  const operands = op.operands.map((operand) => {
    const tensor = values.get(operand);
    if (!tensor) throw internalError(`replay: an operand of ${op.opcode} has no tensor`);
    return tensor;
  });
  if (op.opcode === 'call') {
    emitResults(op.opcode, operands, op.attributes).forEach((tensor, i) => {
      values.set(op.results[i], tensor);
    });
    return;
  }
  const [result] = op.results;
  const known = computed?.get(result);
  const trace = currentTrace();
  values.set(result, known && trace ? emitKnown(trace, op, operands, known) : emit(op.opcode, operands, op.attributes));
}
