/**
 * The partition without fusion: every op is a kernel of its own. It is the yardstick that fused programs are compared
 * with, bit for bit.
 */
import type { Graph, Op, Value } from '../../ir/types.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type KernelGroup, wholeNest } from '../lower/group.ts';
import type { Partition } from './partition.ts';

export function partitionByOp(graph: Graph): Partition {
  const constants = new Map<Value, Op>();
  const results = new Set(graph.results);
  const groups: KernelGroup[] = [];
  for (const op of graph.ops) {
    const [result] = op.results;
    if (op.opcode === 'constant' && !(isInlineConstant(op) && results.has(result))) {
      if (isInlineConstant(op)) constants.set(result, op);
      continue;
    }
    if (op.opcode === 'constant') constants.set(result, op);
    const inlined = op.operands.map((operand) => constants.get(operand)).filter((found) => found !== undefined);
    const ops = [...new Set([...inlined, op])];
    const form = op.opcode === 'dot_general' || op.opcode === 'convolution' ? 'contraction' : 'map';
    const nest = op.opcode === 'scatter' ? ({ kind: 'scatter', op, inPlace: false } as const) : wholeNest(result, form);
    groups.push({ ops, nests: [nest] });
  }
  return { groups, refusals: [], storageOf: (value) => value };
}
