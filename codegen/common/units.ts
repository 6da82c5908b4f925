/**
 * The parts of a kernel that stand for themselves: a top-level node with the plain values it needs. Parts of an
 * `independent` kernel may run at once; a part that is one parallel loop can be split into tiles.
 *
 *     let %0 = load rate[0]; parallel i < N {... %0 ...}; parallel j < M {... %0 ...}
 *     →  [%0, parallel i], [%0, parallel j]
 */
import type { Kernel, KernelNode, Let, ScalarId } from '../../ir/kernel.ts';
import { normalizeNodes } from './normalize.ts';
import { definitionsOf, freeValues } from './walk.ts';

export interface Unit {
  /** Values computed first. */
  readonly lets: readonly Let[];
  readonly nodes: readonly KernelNode[];
}

/**
 * The parts of a kernel, normalised. What becomes of one independent node stays in one part: normalising takes loops
 * apart, and their pieces share scratch memory.
 */
export function unitsOf({ body, independent }: Kernel, written: ReadonlySet<string>): readonly Unit[] {
  const normalized = (nodes: readonly KernelNode[]): readonly KernelNode[] => normalizeNodes(nodes, written);
  if (!independent) return splitUnits(normalized(body), false, written);
  return splitUnits(body, true, written).flatMap(({ lets, nodes }) =>
    splitUnits([...lets, ...normalized(nodes)], false, written),
  );
}

/**
 * Splits a list of top-level nodes; when they are not independent, into one unit unless there is only one.
 * @param written memory that stores touch: its loads stay in their place among the nodes
 */
export function splitUnits(
  body: readonly KernelNode[],
  independent: boolean,
  written: ReadonlySet<string>,
): readonly Unit[] {
  const lets = new Map<ScalarId, Let>();
  const position = new Map(body.map((node, at) => [node, at]));
  const groups: { nodes: KernelNode[]; defines: Set<ScalarId>; needs: Set<ScalarId> }[] = [];
  for (const node of body) {
    if (node.kind === 'let' && !readsWritten(node) && closure([node.id], lets, node).complete) {
      lets.set(node.id, node);
      continue;
    }
    const free = freeValues(node);
    const { needed } = closure([...free], lets);
    const producers = groups.filter((group) => [...needed].some((id) => group.defines.has(id)));
    const group = producers[0] ?? { nodes: [], defines: new Set<ScalarId>(), needs: new Set<ScalarId>() };
    for (const other of producers.slice(1)) {
      group.nodes.push(...other.nodes);
      for (const id of other.defines) group.defines.add(id);
      for (const id of other.needs) group.needs.add(id);
      groups.splice(groups.indexOf(other), 1);
    }
    if (producers.length === 0) groups.push(group);
    group.nodes.push(node);
    for (const id of definitionsOf(node)) group.defines.add(id);
    for (const id of needed) group.needs.add(id);
  }
  if (!independent && groups.length > 1) {
    return [{ lets: [], nodes: body }];
  }
  // Groups that were joined stand one behind the other, but what they store and load binds them to their order.
  return groups.map(({ nodes, needs }) => ({
    lets: [...lets.values()].filter((l) => needs.has(l.id)),
    nodes: nodes.sort((a, b) => position.get(a)! - position.get(b)!),
  }));

  function readsWritten({ expression }: Let): boolean {
    return expression.kind === 'load' && written.has(expression.memory);
  }

  /** Values needed, through plain lets; complete when all of them are plain lets. */
  function closure(
    ids: readonly ScalarId[],
    known: ReadonlyMap<ScalarId, Let>,
    extra?: Let,
  ): { needed: Set<ScalarId>; complete: boolean } {
    const needed = new Set<ScalarId>();
    let complete = true;
    const pending = [...ids];
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (needed.has(id)) continue;
      needed.add(id);
      const definition = extra?.id === id ? extra : known.get(id);
      if (!definition) complete = false;
      else pending.push(...freeValues(definition));
    }
    return { needed, complete };
  }
}
