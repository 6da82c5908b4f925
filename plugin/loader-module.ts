/**
 * The mark in an import, and the module that stands in its place:
 *
 *     import load from './model.bake.ts?kiln';
 *
 *     import { load } from 'kilnjs/runtime';
 *     export const source = new URL('assets/model.bake-1f3a9c.kiln', import.meta.url).href;
 *     export default (options) => load(source, options);
 */
import { basename, extname } from 'node:path';

const mark = /[?&]kiln(?:$|[&=])/;

/** The mark as bundlers filter by it: an import with it is ours. */
export const markFilter: RegExp = mark;

export const isMarked = (id: string): boolean => mark.test(id);

/** An import or a path without what follows the question mark. */
export const withoutQuery = (id: string): string => id.replace(/\?.*$/s, '');

/** What the module that stands in place of an import is about. */
export const runtimeName = 'kilnjs/runtime';

/** The name of an artefact before it is hashed: `model.bake.kiln` for `/app/model.bake.ts`. */
export const artefactName = (entry: string): string => `${basename(entry, extname(entry))}.kiln`;

/** The same with the hash of what is inside, for bundlers that do not name files themselves. */
export const hashedName = (entry: string, hash: string): string =>
  `${basename(entry, extname(entry))}-${hash.slice(0, 12)}.kiln`;

/**
 * The module that loads an artefact.
 * @param source an expression for where it is
 * @param publicKey of the key that has signed it, as `load` takes it
 * @param imports lines before it that the expression needs
 */
export function loaderModule(
  source: string,
  { publicKey, imports = [] }: { readonly publicKey?: string | undefined; readonly imports?: readonly string[] },
): string {
  const options = publicKey === undefined ? 'options' : `{ publicKey: ${JSON.stringify(publicKey)}, ...options }`;
  return [
    `import { load } from '${runtimeName}';`,
    ...imports,
    `export const source = ${source};`,
    `export default (options) => load(source, ${options});`,
    '',
  ].join('\n');
}

/** Stands in place of an entry that can not be baked, in a build that will fail. */
export const placeholderModule = `export const source = '';\nexport default undefined;\n`;
