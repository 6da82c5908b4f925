/**
 * Groups without fusion: every op is a kernel of its own. A whole graph like that is the yardstick that fused programs
 * are compared with, bit for bit; a group whose kernel came out too large is taken apart in the same way.
 */
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type KernelGroup, type Nest, rowsNest, wholeNest } from '../lower/group.ts';
import { isContraction, isRowOp } from './graph-uses.ts';
import type { Partition, PlacedCall } from './partition.ts';

export function partitionByOp({ ops, results }: Graph): Partition {
  const calls: PlacedCall[] = [];
  const wanted = new Set(results);
  for (const op of ops) if (op.opcode === 'call') for (const operand of op.operands) wanted.add(operand);
  const groups = groupsByOp(ops, wanted, (op, after) => calls.push({ op, after }));
  return { groups, calls, refusals: [], storageOf: (value) => value };
}

/**
 * A group for each op but calls. Single-element constants stand in the kernels that use them, unless they are wanted in
 * memory.
 * @param onCall told about each call and the number of groups before it
 */
export function groupsByOp(
  ops: readonly Op[],
  wanted: ReadonlySet<Value>,
  onCall: (op: OpOf<'call'>, after: number) => void = () => {},
): KernelGroup[] {
  const constants = new Map<Value, Op>();
  const groups: KernelGroup[] = [];
  for (const op of ops) {
    if (op.opcode === 'call') {
      onCall(op, groups.length);
      continue;
    }
    const [result] = op.results;
    if (op.opcode === 'constant') {
      if (isInlineConstant(op)) constants.set(result, op);
      if (!isInlineConstant(op) || !wanted.has(result)) continue;
    }
    const inlined = op.operands.map((operand) => constants.get(operand)).filter((found) => found !== undefined);
    groups.push({ ops: [...new Set([...inlined, op])], nests: [nestOfOp(op)] });
  }
  return groups;
}

function nestOfOp(op: Op): Nest {
  if (op.opcode === 'scatter') return { kind: 'scatter', op, inPlace: false };
  if (isRowOp(op)) return rowsNest(op);
  return wholeNest(op.results[0], isContraction(op) ? 'contraction' : 'map');
}
