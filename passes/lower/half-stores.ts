/**
 * A store to a buffer of 16-bit floats rounds by itself, so that what is stored need not be rounded before.
 *
 *     %1: f32 = round_float16 %0; store y0[i] = %1        →        store y0[i] = %0        (y0: f16)
 */
import type { Kernel, KernelNode, Let, ScalarId, Store } from '../../ir/kernel.ts';
import { forEachNode } from './loops.ts';

/** The kernel without roundings that stores repeat. */
export function dropStoredRoundings(kernel: Kernel): Kernel {
  const roundingTo = new Map(kernel.buffers.map(({ name, dtype }) => [name, `round_${dtype}`]));
  const roundings = new Map<ScalarId, Let>();
  forEachNode(kernel.body, (node) => {
    if (node.kind === 'let' && operandOf(node) !== undefined) roundings.set(node.id, node);
  });
  if (roundings.size === 0) return kernel;
  /** What a store may write instead. */
  const unrounded = ({ value, memory, combine }: Store): ScalarId => {
    const rounding = roundings.get(value);
    const { expression } = rounding ?? {};
    const isSame = expression?.kind === 'apply' && expression.opcode === roundingTo.get(memory);
    return rounding && isSame && combine === 'assign' ? (operandOf(rounding) ?? value) : value;
  };
  const used = new Set<ScalarId>();
  forEachNode(kernel.body, (node) => {
    if (node.kind === 'let') {
      if (node.expression.kind === 'apply') for (const id of node.expression.operands) used.add(id);
    } else if (node.kind === 'store') used.add(unrounded(node));
    else if (node.kind === 'loop') {
      for (const { initial, next } of node.carried ?? []) used.add(initial).add(next);
    } else if (node.kind === 'reduce') {
      for (const accumulator of node.accumulators) if (accumulator.kind !== 'tuple') used.add(accumulator.value);
    }
  });
  const rewrite = (nodes: readonly KernelNode[]): readonly KernelNode[] =>
    nodes.flatMap((node): readonly KernelNode[] => {
      if (node.kind === 'let') return roundings.has(node.id) && !used.has(node.id) ? [] : [node];
      if (node.kind === 'store') return [{ ...node, value: unrounded(node) }];
      return node.kind === 'sort' ? [node] : [{ ...node, body: rewrite(node.body) }];
    });
  return { ...kernel, body: rewrite(kernel.body) };
}

/** What a rounding to a float of 16 bits rounds. */
function operandOf({ expression }: Let): ScalarId | undefined {
  if (expression.kind !== 'apply') return undefined;
  const isRounding = expression.opcode === 'round_float16' || expression.opcode === 'round_bfloat16';
  return isRounding ? expression.operands[0] : undefined;
}
