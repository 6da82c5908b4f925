/** Loads an entry and bakes what it declares. */
import { pathToFileURL } from 'node:url';
import type { BakedArtefact } from './messages.ts';
import type { BakeSettings } from './options.ts';

export async function bakeModule(entry: string, settings: BakeSettings): Promise<BakedArtefact> {
  const module = await import(pathToFileURL(entry).href);
  const text = JSON.stringify({ ...module.default, settings });
  return {
    bytes: new TextEncoder().encode(text),
    declarations: 'export interface Functions {}\nexport interface Weights {}\n',
  };
}
