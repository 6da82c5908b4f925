/**
 * Scratch rows under a vector loop. When a loop over rows runs across the lanes, several rows are in work at once, and
 * each needs a place of its own in the scratch memory. Rows of the lanes are interleaved, so that one vector holds the
 * elements of four rows:
 *
 *     parallel i (vector, 16 rows a round) { parallel j { store s[j] = ... }  ...  load s[j] }
 *     →  parallel i                        { parallel j { store s[16*j + i] = ... }  ...  load s[16*j + i] }
 *
 * The index moves with `i` itself, not with its place in the round: rounds follow each other through memory by one
 * vector of rows, which needs no other addresses than an array in memory does.
 */
import { addDims, type Dim, mulDims } from '../../base/dim.ts';
import type { IndexExpression, KernelNode, KernelScratch, Loop } from '../../ir/kernel.ts';
import { normalizeIndex } from '../common/linear-index.ts';
import { bodyOf, walk } from '../common/walk.ts';
import { axesOfIndex } from '../common/linear-index.ts';
import type { Plan } from './plan.ts';

export interface Widened {
  readonly nodes: readonly KernelNode[];
  readonly scratch: readonly KernelScratch[];
}

/** Whether every round of a loop writes the same elements of scratch memory. */
export function repeatsOverScratch(loop: Loop, scratch: ReadonlySet<string>): boolean {
  for (const node of walk(loop.body))
    if (node.kind === 'store' && scratch.has(node.memory) && !axesOfIndex(node.index).has(loop.axis.name)) return true;
  return false;
}

/** Gives each lane of the vector loops of a plan scratch rows of its own. */
export function widenScratch(nodes: readonly KernelNode[], scratch: readonly KernelScratch[], plan: Plan): Widened {
  const names = new Set(scratch.map(({ name }) => name));
  const sizes = new Map<string, Dim>(scratch.map(({ name, size }) => [name, size]));
  const visit = (body: readonly KernelNode[]): readonly KernelNode[] =>
    body.map((node): KernelNode => {
      if (node.kind !== 'loop' && node.kind !== 'reduce') return node;
      if (node.kind === 'reduce' || !plan.isVector(node)) return { ...node, body: visit(bodyOf(node)) };
      if (!repeatsOverScratch(node, names)) return node;
      const { name: axis, extent } = node.axis;
      const lanes = 4 * plan.copies(node);
      for (const inner of walk(node.body)) {
        if (inner.kind !== 'store' || !names.has(inner.memory)) continue;
        const { size } = scratch.find(({ name }) => name === inner.memory)!;
        sizes.set(inner.memory, addDims(mulDims(size, lanes), extent));
      }
      return { ...node, body: interleave(node.body, names, { axis, lanes }) };
    });
  const widened = visit(nodes);
  return { nodes: widened, scratch: scratch.map((row) => ({ ...row, size: sizes.get(row.name) ?? row.size })) };
}

interface Interleaving {
  readonly axis: string;
  readonly lanes: number;
}

function interleave(
  nodes: readonly KernelNode[],
  scratch: ReadonlySet<string>,
  interleaving: Interleaving,
): readonly KernelNode[] {
  return nodes.map((node): KernelNode => {
    if (node.kind === 'store')
      return scratch.has(node.memory) ? { ...node, index: interleaved(node.index, interleaving) } : node;
    if (node.kind !== 'let') return { ...node, body: interleave(node.body, scratch, interleaving) };
    const { expression } = node;
    if (expression.kind !== 'load' || !scratch.has(expression.memory)) return node;
    return { ...node, expression: { ...expression, index: interleaved(expression.index, interleaving) } };
  });
}

const interleaved = ({ offset, terms }: IndexExpression, { axis, lanes }: Interleaving): IndexExpression =>
  normalizeIndex({
    offset: mulDims(offset, lanes),
    terms: [
      ...terms.map(({ coefficient, factor }) => ({ coefficient: mulDims(coefficient, lanes), factor })),
      { coefficient: 1, factor: { kind: 'axis', axis } },
    ],
  });
