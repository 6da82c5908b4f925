/** The compiler's version as the build writes it down: SHA-256 of its sources, the same on any machine and path. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashOf } from '../base/hash.ts';
import { compilerFolders } from '../tracer/compiler-version.ts';

const here = fileURLToPath(new URL('..', import.meta.url));

/** @param root the project; packages that generate code, such as Binaryen, count by their version */
export function builtCompilerVersion(root = here): string {
  const files = compilerFolders.flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name.replaceAll(sep, '/')}`),
  );
  const sources = files.sort().map((name) => {
    const text = readFileSync(join(root, name), 'utf8').replaceAll('\r\n', '\n');
    return `${name} ${hashOf(text)}`;
  });
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/binaryen/package.json'), 'utf8'));
  return hashOf([`binaryen ${version}`, ...sources].join('\n'));
}
