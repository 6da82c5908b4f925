/**
 * The top-level nodes of a unit as units that run one after the other: what needs a value that is computed in another
 * node stays with it, since values do not outlive a dispatch.
 *
 *     [parallel copy, sequential updates]          →  [copy], [updates]
 *     [reduce %3, parallel j {... %3 ...}]         →  one unit
 */
import type { KernelNode, Let, ScalarId } from '../../ir/kernel.ts';
import type { Unit } from '../common/units.ts';
import { definitionsOf, freeValues } from '../common/walk.ts';

interface Group {
  nodes: KernelNode[];
  /** Values that only this group has. */
  defines: Set<ScalarId>;
  isLoop: boolean;
}

/** @param written memory that stores touch: its loads stay in their place */
export function splitStages({ lets, nodes }: Unit, written: ReadonlySet<string>): readonly Unit[] {
  const plain = new Map<ScalarId, Let>(lets.map((node) => [node.id, node]));
  const groups: Group[] = [];
  for (const node of nodes) {
    if (node.kind === 'let' && isPlain(node, plain, written)) {
      plain.set(node.id, node);
      continue;
    }
    const needed = closureOf(freeValues(node), plain);
    const first = groups.findIndex(({ defines }) => [...needed].some((id) => defines.has(id)));
    const isLoop = node.kind === 'loop' && node.mode === 'parallel';
    const last = groups[groups.length - 1];
    const joins = first >= 0 ? first : !isLoop && last && !last.isLoop ? groups.length - 1 : -1;
    const group: Group = { nodes: [], defines: new Set(), isLoop: isLoop && joins < 0 };
    if (joins >= 0) {
      for (const other of groups.splice(joins)) {
        group.nodes.push(...other.nodes);
        for (const id of other.defines) group.defines.add(id);
      }
    }
    group.nodes.push(node);
    for (const id of definitionsOf(node)) group.defines.add(id);
    groups.push(group);
  }
  return groups.map((group) => {
    const needed = new Set<ScalarId>();
    for (const node of group.nodes) for (const id of closureOf(freeValues(node), plain)) needed.add(id);
    return { lets: [...plain.values()].filter(({ id }) => needed.has(id)), nodes: group.nodes };
  });
}

function isPlain(node: Let, plain: ReadonlyMap<ScalarId, Let>, written: ReadonlySet<string>): boolean {
  if (node.expression.kind === 'load' && written.has(node.expression.memory)) return false;
  return [...freeValues(node)].every((id) => plain.has(id));
}

/** Values, and those that plain values among them are computed from. */
function closureOf(ids: Iterable<ScalarId>, plain: ReadonlyMap<ScalarId, Let>): Set<ScalarId> {
  const found = new Set<ScalarId>();
  const pending = [...ids];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    const definition = plain.get(id);
    if (definition) pending.push(...freeValues(definition));
  }
  return found;
}
