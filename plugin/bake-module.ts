/** Loads an entry and bakes what it declares. */
import { pathToFileURL } from 'node:url';
import { KilnError } from '../base/error.ts';
import { bakeArtefact } from '../tracer/bake/bake.ts';
import { isBakeDefinition } from '../tracer/bake/define.ts';
import type { BakedArtefact } from './messages.ts';
import type { BakeSettings } from './options.ts';

/** @throws KilnError (as a rejection) `bake_failed`, or what the entry throws when it is loaded */
export async function bakeModule(entry: string, { targets }: BakeSettings): Promise<BakedArtefact> {
  const { default: definition } = (await import(pathToFileURL(entry).href)) as { readonly default?: unknown };
  if (!isBakeDefinition(definition)) {
    throw new KilnError('bake_failed', `${entry} declares nothing to bake`, {
      expected: 'export default defineBake({ name: { fn, args: [spec([32, 784]), …] } })',
    });
  }
  const { bytes } = await bakeArtefact(definition, targets ? { targets } : {});
  return { bytes, declarations: 'export interface Functions {}\nexport interface Weights {}\n' };
}
