/**
 * Computes everything once. Two ops are the same when opcode, operands and all attributes are; of those that commute
 * the operands may be swapped. Source lines and names do not count, the first op stays.
 *
 *     %0 = add %x, %y;  %1 = add %y, %x;  return multiply(%0, %1)      becomes      multiply(%0, %0)
 */
import { attributesKey } from '../../ir/canonical.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { withOperands } from '../rewrite-emit.ts';

/** Arrays beyond this many elements are the same only if they are the same object; comparing them costs too much. */
const mostCompared = 256;

class Numbering {
  readonly #numbers = new Map<object, number>();

  of(thing: object): number {
    let number = this.#numbers.get(thing);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(thing, number);
    }
    return number;
  }
}

function keyOf(op: Op, operands: readonly Value[], numbers: Numbering): string {
  const ids = operands.map((operand) => numbers.of(operand));
  if (ids.length === 2 && ids[0] > ids[1] && traitsOf(op.opcode).commutative) ids.reverse();
  if (op.opcode === 'constant') {
    const { dtype, shape, data } = op.attributes.value;
    if (data.length > mostCompared) return `constant ${dtype} [${shape}] #${numbers.of(data as object)}`;
  }
  return `${op.opcode} ${ids.join(' ')} ${attributesKey(op.opcode, op.attributes)}`;
}

/** Barriers stand for values of their own, even two of one operand. */
const mayRepeat = ({ opcode, regions }: Op): boolean => opcode !== 'optimization_barrier' && regions.length === 0;

/** The graph without repeated ops; the same graph when there are none. */
function withoutRepeatedOps(graph: Graph): Graph {
  const numbers = new Numbering();
  const first = new Map<string, Op>();
  const replaced = new Map<Value, Value>();
  const resolve = (value: Value): Value => replaced.get(value) ?? value;
  const ops: Op[] = [];
  for (const op of graph.ops) {
    const operands = op.operands.some((operand) => replaced.has(operand)) ? op.operands.map(resolve) : op.operands;
    const key = mayRepeat(op) ? keyOf(op, operands, numbers) : undefined;
    const before = key === undefined ? undefined : first.get(key);
    if (before) {
      op.results.forEach((result, i) => {
        replaced.set(result, before.results[i]);
      });
      continue;
    }
    const kept = operands === op.operands ? op : withOperands(op, operands);
    if (key !== undefined) first.set(key, kept);
    ops.push(kept);
  }
  return replaced.size === 0 ? graph : { ...graph, ops, results: graph.results.map(resolve) };
}

export const eliminateCommonSubexpressions: Pass = {
  name: 'eliminateCommonSubexpressions',
  run: (module) => mapGraphs(module, withoutRepeatedOps),
};
