/**
 * Types of marked imports, beside the entry: `model.bake.kiln.d.ts` declares `./model.bake.ts?kiln`, from whatever
 * folder it is imported.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const typescript = /\.[cm]?tsx?$/;

/** Where the types of an entry stand; `undefined` for one in JavaScript. */
export const declarationsPath = (entry: string): string | undefined =>
  typescript.test(entry) ? entry.replace(typescript, '.kiln.d.ts') : undefined;

/**
 * The file's text.
 * @param declarations the types `Functions` and `Weights`, as `kiln bake` writes them beside an artefact
 */
export function declarationsText(entry: string, declarations: string): string {
  const name = basename(entry);
  const inside = [
    `import type { Artefact, LoadOptions } from 'kilnjs/runtime';`,
    ...declarations
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('//')),
    '',
    '/** Where the artefact is. */',
    'export const source: string;',
    '/** Loads the artefact. */',
    'const load: (options?: LoadOptions) => Promise<Artefact<Functions, Weights>>;',
    'export default load;',
  ];
  return [
    `// What ${name} bakes to, for imports of '${name}?kiln'. Written by the bundler plugin of kilnjs; not to be edited.`,
    `declare module '*/${name}?kiln' {`,
    ...inside.map((line) => (line.trim() ? `  ${line}` : '')),
    '}',
    '',
  ].join('\n');
}

/** Writes the types of an entry, unless they stand there already. */
export function writeDeclarations(entry: string, declarations: string): void {
  const path = declarationsPath(entry);
  if (path === undefined) return;
  const text = declarationsText(entry, declarations);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}
