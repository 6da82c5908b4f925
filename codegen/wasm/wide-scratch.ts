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
import { internalError } from '../../base/error.ts';
import type { IndexExpression, KernelNode, KernelScratch, Loop } from '../../ir/kernel.ts';
import { axesOfIndex, normalizeIndex } from '../common/linear-index.ts';
import { walk } from '../common/walk.ts';
import type { Plan } from './plan.ts';

export interface Widened {
  readonly nodes: readonly KernelNode[];
  readonly scratch: readonly KernelScratch[];
}

/** Scratch rows of which every round of a loop writes the same elements. */
export function repeatedScratch({ axis, body }: Loop, scratch: readonly KernelScratch[]): readonly KernelScratch[] {
  if (scratch.length === 0) return [];
  const repeated = new Set<string>();
  for (const node of walk(body))
    if (node.kind === 'store' && !axesOfIndex(node.index).has(axis.name)) repeated.add(node.memory);
  return scratch.filter(({ name }) => repeated.has(name));
}

/** Loops every round of which writes the same scratch rows: they can not run across the lanes. */
export const loopsOverScratch = (nodes: readonly KernelNode[], scratch: readonly KernelScratch[]): Set<KernelNode> =>
  new Set([...walk(nodes)].filter((node) => node.kind === 'loop' && repeatedScratch(node, scratch).length > 0));

/** Gives each lane of the vector loops of a plan scratch rows of its own; `undefined` where they have. */
export function widenScratch(
  nodes: readonly KernelNode[],
  scratch: readonly KernelScratch[],
  plan: Plan,
): Widened | undefined {
  const sizes = new Map<string, Dim>();
  const visit = (body: readonly KernelNode[]): readonly KernelNode[] =>
    body.map((node): KernelNode => {
      if (node.kind !== 'loop') return node;
      if (!plan.isVector(node)) return { ...node, body: visit(node.body) };
      const rows = repeatedScratch(node, scratch);
      if (rows.length === 0) return node;
      const { name: axis, extent } = node.axis;
      const lanes = 4 * plan.copies(node);
      for (const { name, size } of rows) sizes.set(name, addDims(mulDims(size, lanes), extent));
      const names = new Set(rows.map(({ name }) => name));
      return { ...node, body: interleave(node.body, names, { axis, lanes }) };
    });
  const widened = visit(nodes);
  if (sizes.size === 0) return undefined;
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
    if (node.kind === 'sort') throw internalError('a sorted row can not be interleaved');
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
