/**
 * Groups without fusion: every op is a kernel of its own. A whole graph like that is the yardstick that fused programs
 * are compared with, bit for bit; a group whose kernel came out too large is taken apart in the same way.
 */
import type { Graph, Op, Value } from '../../ir/types.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type KernelGroup, wholeNest } from '../lower/group.ts';
import { isContraction } from './analysis.ts';
import type { Partition } from './partition.ts';

export const partitionByOp = (graph: Graph): Partition => ({
  groups: groupsByOp(graph.ops, new Set(graph.results)),
  refusals: [],
  storageOf: (value) => value,
});

/** A group for each op. Single-element constants stand in the kernels that use them, unless they are wanted in memory. */
export function groupsByOp(ops: readonly Op[], wanted: ReadonlySet<Value>): KernelGroup[] {
  const constants = new Map<Value, Op>();
  const groups: KernelGroup[] = [];
  for (const op of ops) {
    const [result] = op.results;
    if (op.opcode === 'constant') {
      if (isInlineConstant(op)) constants.set(result, op);
      if (!isInlineConstant(op) || !wanted.has(result)) continue;
    }
    const inlined = op.operands.map((operand) => constants.get(operand)).filter((found) => found !== undefined);
    const nest =
      op.opcode === 'scatter'
        ? ({ kind: 'scatter', op, inPlace: false } as const)
        : wholeNest(result, isContraction(op) ? 'contraction' : 'map');
    groups.push({ ops: [...new Set([...inlined, op])], nests: [nest] });
  }
  return groups;
}
