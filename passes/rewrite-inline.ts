/**
 * Writing out calls: the ops of the callee, over fresh values, in the place of the call.
 *
 *     %y = call %x {function=square}      becomes      %y = multiply %x, %x
 *
 * The values that the call made live on as results of the ops that now make them, wherever a callee's result is made
 * by an op of its own; otherwise (a parameter handed through, one value returned twice) they are replaced.
 */
import { internalError } from '../base/error.ts';
import type { Func, Graph, Op, OpOf, Value } from '../ir/types.ts';
import { withOperands } from './rewrite-emit.ts';

/**
 * Replaces calls by the bodies of the functions they name, and the calls inside those likewise.
 * @param isWanted asked for each call, once its operands are known; the others stay
 * @param visit told about each op that stays or comes in, in order
 */
export function inlineCallsOf(
  graph: Graph,
  functions: ReadonlyMap<string, Func>,
  isWanted: (call: OpOf<'call'>) => boolean,
  visit: (op: Op) => void = () => {},
): Graph {
  const ops: Op[] = [];
  const replaced = new Map<Value, Value>();
  const resolve = (value: Value): Value => replaced.get(value) ?? value;
  let changed = false;
  const waiting: Op[] = [];
  for (const original of graph.ops) {
    waiting.push(original);
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const op = next.operands.some((operand) => replaced.has(operand))
        ? withOperands(next, next.operands.map(resolve))
        : next;
      if (op.opcode === 'call' && isWanted(op)) {
        for (const inner of bodyOf(op, functions, replaced).reverse()) waiting.push(inner);
        changed = true;
      } else {
        ops.push(op);
        visit(op);
      }
    }
  }
  return changed ? { parameters: graph.parameters, ops, results: graph.results.map(resolve) } : graph;
}

/** The callee's ops for one call. Results of the call that no op makes are entered in `replaced`. */
function bodyOf(call: OpOf<'call'>, functions: ReadonlyMap<string, Func>, replaced: Map<Value, Value>): Op[] {
  const callee = functions.get(call.attributes.function)?.graph;
  if (!callee) throw internalError(`call of @${call.attributes.function}, which the module does not have`);
  const own = new Map<Value, Value>();
  callee.parameters.forEach((parameter, i) => {
    own.set(parameter, call.operands[i]);
  });
  callee.results.forEach((result, i) => {
    const made = own.get(result);
    if (made) replaced.set(call.results[i], made);
    else own.set(result, call.results[i]);
  });
  const local = (value: Value): Value => {
    let copy = own.get(value);
    if (!copy) {
      copy = value.name === undefined ? { type: value.type } : { type: value.type, name: value.name };
      own.set(value, copy);
    }
    return copy;
  };
  return callee.ops.map((op) => {
    const location = op.location ?? call.location;
    const operands = op.operands.map(local);
    return { ...op, operands, results: op.results.map(local), ...(location && { location }) } as Op;
  });
}
