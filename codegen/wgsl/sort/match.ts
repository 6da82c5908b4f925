/**
 * Recognises kernels that sort rows: parallel loops around the body of a row, which sorts scratch arrays between other
 * nodes. The body is taken apart into phases, each of which needs all of the one before:
 *
 *     parallel i { parallel j {... store s0[j]}      loop
 *                  sort s0 -> values s1              sort
 *                  parallel l {load s1[l] ...} }     loop
 */
import { type Dim, dimProduct } from '../../../base/dim.ts';
import type { Axis, KernelNode, Let, Loop, ScalarId, Sort } from '../../../ir/kernel.ts';
import type { Unit } from '../../common/units.ts';
import { definitionsOf, freeValues } from '../../common/walk.ts';
import { nestOf } from '../threads.ts';

export type Phase =
  | { readonly kind: 'loop'; readonly loop: Loop }
  /** What is no parallel loop: once for each row. */
  | { readonly kind: 'once'; readonly nodes: readonly KernelNode[] }
  | { readonly kind: 'sort'; readonly sort: Sort };

export interface SortedRows {
  /** The parallel loops around a row, outermost first, and how many rows there are. */
  readonly axes: readonly Axis[];
  readonly rows: Dim;
  /** Values that every phase computes for itself. */
  readonly lets: readonly Let[];
  readonly phases: readonly Phase[];
  /** Values that a phase computes and a later one uses. */
  readonly handed: readonly ScalarId[];
}

/** @param written memory that stores touch */
export function matchSortedRows({ lets, nodes }: Unit, written: ReadonlySet<string>): SortedRows | undefined {
  const { axes, inside } = nestOf(nodes);
  if (!inside.some(({ kind }) => kind === 'sort')) return undefined;
  const plain = new Map(lets.map((node) => [node.id, node]));
  const phases: Phase[] = [];
  let once: KernelNode[] = [];
  const close = (): void => {
    if (once.length > 0) phases.push({ kind: 'once', nodes: once });
    once = [];
  };
  for (const node of inside) {
    if (node.kind === 'let' && isPlain(node)) plain.set(node.id, node);
    else if (node.kind === 'sort') {
      close();
      phases.push({ kind: 'sort', sort: node });
    } else if (node.kind === 'loop' && node.mode === 'parallel') {
      close();
      phases.push({ kind: 'loop', loop: node });
    } else once.push(node);
  }
  close();
  return {
    axes,
    rows: dimProduct(axes.map(({ extent }) => extent)),
    lets: [...plain.values()],
    phases,
    handed: handedValues(phases),
  };

  function isPlain(node: Let): boolean {
    const { expression } = node;
    if (expression.kind === 'load' && written.has(expression.memory)) return false;
    return [...freeValues(node)].every((id) => plain.has(id));
  }
}

export const nodesOf = (phase: Phase): readonly KernelNode[] =>
  phase.kind === 'once' ? phase.nodes : [phase.kind === 'loop' ? phase.loop : phase.sort];

function handedValues(phases: readonly Phase[]): readonly ScalarId[] {
  const defined = new Map<ScalarId, Phase>();
  const handed = new Set<ScalarId>();
  for (const phase of phases) {
    for (const node of nodesOf(phase)) {
      for (const id of freeValues(node)) if (defined.has(id) && defined.get(id) !== phase) handed.add(id);
      for (const id of definitionsOf(node)) defined.set(id, phase);
    }
  }
  return [...handed];
}

/** The values among some that nodes need, through each other. */
export function neededLets(lets: readonly Let[], nodes: readonly KernelNode[]): readonly Let[] {
  const needed = new Set<ScalarId>(nodes.flatMap((node) => [...freeValues(node)]));
  const kept = [...lets].reverse().filter((node) => {
    if (!needed.has(node.id)) return false;
    for (const id of freeValues(node)) needed.add(id);
    return true;
  });
  return kept.reverse();
}
