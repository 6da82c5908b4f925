/** The script of a start in Node (`node-child.ts`) as files of plain JavaScript. */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles the child, but for Kiln.
 * @param entries where a script in the folder finds the entries of the built package
 */
export async function bundleChild(
  folder: string,
  entries: { readonly 'index.ts': string; readonly 'runtime/index.ts': string },
): Promise<void> {
  await build({
    entryPoints: [join(root, 'bench/startup/node-child.ts')],
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    outExtension: { '.js': '.mjs' },
    plugins: [
      {
        name: 'built-package',
        setup: ({ onResolve }) =>
          onResolve({ filter: /\/index\.ts$/ }, ({ path, resolveDir }) => {
            const source = relative(root, join(resolveDir, path)) as keyof typeof entries;
            return Object.hasOwn(entries, source) ? { path: entries[source], external: true } : undefined;
          }),
      },
    ],
  });
}
