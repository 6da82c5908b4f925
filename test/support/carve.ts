/**
 * Cuts runs of ops out of a module into functions of their own, for tests of calls: the values stay the same.
 *
 *     carve(module, [{ from: 2, to: 5 }])       // ops 2 to 4 of main as @block0, a call in their place
 */
import type { Func, Module, Op, Value } from '../../ir/types.ts';
import { mainOf } from '../../ir/types.ts';

export interface Cut {
  readonly from: number;
  readonly to: number;
}

/** @param cuts ranges of ops of main, apart from each other */
export function carve(module: Module, cuts: readonly Cut[]): Module {
  const { graph } = mainOf(module);
  const functions: Func[] = module.functions.filter(({ name }) => name !== module.main);
  const ops: Op[] = [];
  let at = 0;
  for (const { from, to } of [...cuts].sort((a, b) => a.from - b.from)) {
    ops.push(...graph.ops.slice(at, from));
    const name = `block${functions.length}`;
    const inside = graph.ops.slice(from, to);
    const outside = [...graph.ops.slice(0, from), ...graph.ops.slice(to)];
    const { func, call } = cutOut(name, inside, new Set([...outside.flatMap(usedBy), ...graph.results]));
    functions.push(func);
    if (call.results.length > 0) ops.push(call);
    at = to;
  }
  ops.push(...graph.ops.slice(at));
  return { ...module, functions: [...functions, { name: module.main, graph: { ...graph, ops } }] };
}

const usedBy = (op: Op): readonly Value[] => op.operands;

function cutOut(name: string, inside: readonly Op[], used: ReadonlySet<Value>): { func: Func; call: Op } {
  const made = new Set(inside.flatMap((op) => op.results));
  const taken = [...new Set(inside.flatMap(usedBy))].filter((value) => !made.has(value));
  const given = [...made].filter((value) => used.has(value));
  const own = new Map<Value, Value>();
  const local = (value: Value): Value => {
    let copy = own.get(value);
    if (!copy) {
      copy = { ...value };
      own.set(value, copy);
    }
    return copy;
  };
  const parameters = taken.map(local);
  const ops = inside.map(
    (op) => ({ ...op, operands: op.operands.map(local), results: op.results.map(local) }) as unknown as Op,
  );
  const call: Op = { opcode: 'call', operands: taken, attributes: { function: name }, regions: [], results: given };
  return { func: { name, graph: { parameters, ops, results: given.map(local) } }, call };
}
