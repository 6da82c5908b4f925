/**
 * The structure of a result as a record: leaves are arrays, null and undefined are static. What stands for an instance
 * of a registered class is the caller's word, since not every record can hold one.
 *
 *     recordStructure({ kind: 'list', children: [leaf, leaf] }, refuse)   // list [array, array]
 */
import { staticKey } from '../base/static-key.ts';
import type { TreeRecord } from '../runtime/artefact/records.ts';
import type { TreeStructure } from './pytree.ts';

/** A tree with `Instance` in the places of instances; with none, a `TreeRecord`. */
export type StructureRecord<Instance> =
  | Extract<TreeRecord, { readonly kind: 'array' | 'static' }>
  | { readonly kind: 'list'; readonly children: readonly StructureRecord<Instance>[] }
  | {
      readonly kind: 'dict';
      readonly keys: readonly string[];
      readonly children: readonly StructureRecord<Instance>[];
    }
  | Instance;

export function recordStructure<Instance>(
  structure: TreeStructure,
  recordInstance: (structure: Extract<TreeStructure, { readonly kind: 'instance' }>) => Instance,
): StructureRecord<Instance> {
  switch (structure.kind) {
    case 'leaf':
      return { kind: 'array' };
    case 'nothing':
      return { kind: 'static', key: staticKey(structure.value) };
    case 'list':
      return { kind: 'list', children: structure.children.map((child) => recordStructure(child, recordInstance)) };
    case 'dict': {
      const { keys, children } = structure;
      return { kind: 'dict', keys, children: children.map((child) => recordStructure(child, recordInstance)) };
    }
    case 'instance':
      return recordInstance(structure);
  }
}
