/**
 * The top-level nodes of a unit as units that run one after the other: what needs a value that is computed in another
 * node stays with it, and so does what reads scratch memory that another has filled, since neither outlives a dispatch.
 *
 *     [parallel copy, sequential updates]          →  [copy], [updates]
 *     [reduce %3, parallel j {... %3 ...}]         →  one unit
 *     [parallel j {store s0[j]}, sort s0]          →  one unit
 */
import type { KernelNode, Let, ScalarId } from '../../ir/kernel.ts';
import type { Unit } from '../common/units.ts';
import { definitionsOf, freeValues, walk, writtenBy } from '../common/walk.ts';

interface Group {
  nodes: KernelNode[];
  /** Values, and contents of scratch arrays, that only this group has. */
  defines: Set<ScalarId | string>;
  isLoop: boolean;
}

/**
 * @param written memory that stores touch: its loads stay in their place
 * @param scratch names of scratch arrays
 */
export function splitStages(
  { lets, nodes }: Unit,
  written: ReadonlySet<string>,
  scratch: { has(name: string): boolean },
): readonly Unit[] {
  const plain = new Map<ScalarId, Let>(lets.map((node) => [node.id, node]));
  const groups: Group[] = [];
  for (const node of nodes) {
    if (node.kind === 'let' && isPlain(node, plain, written)) {
      plain.set(node.id, node);
      continue;
    }
    const needed = new Set<ScalarId | string>([
      ...closureOf(freeValues(node), plain),
      ...memoryReadFirst(node).filter((memory) => scratch.has(memory)),
    ]);
    const first = groups.findIndex(({ defines }) => [...needed].some((one) => defines.has(one)));
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
    for (const inner of walk([node])) {
      for (const memory of writtenBy(inner)) {
        if (!scratch.has(memory)) continue;
        for (const { defines } of groups) defines.delete(memory);
        group.defines.add(memory);
      }
    }
  }
  return groups.map((group) => {
    const needed = new Set<ScalarId>();
    for (const node of group.nodes) for (const id of closureOf(freeValues(node), plain)) needed.add(id);
    return { lets: [...plain.values()].filter(({ id }) => needed.has(id)), nodes: group.nodes };
  });
}

/** Memory of which a node reads what was there before. */
function memoryReadFirst(root: KernelNode): readonly string[] {
  const read = new Set<string>();
  const filled = new Set<string>();
  const reads = (memory: string): void => {
    if (!filled.has(memory)) read.add(memory);
  };
  for (const node of walk([root])) {
    if (node.kind === 'let' && node.expression.kind === 'load') reads(node.expression.memory);
    if (node.kind === 'sort') reads(node.keys);
    if (node.kind === 'store' && node.combine !== 'assign') reads(node.memory);
    for (const memory of writtenBy(node)) filled.add(memory);
  }
  return [...read];
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
