/** Runs a script on the built package in a fresh process of plain Node, as users have it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Builds the package and bundles a script that imports its entry.
 * @param script path from the root of the project
 * @param use gets a function that runs the script once and gives what it printed
 */
export async function withBuiltPackage<T>(script: string, use: (run: () => string) => T): Promise<T> {
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: 'ignore' });
  const folder = mkdtempSync(join(root, 'dist', 'bench-'));
  const outfile = join(folder, 'script.mjs');
  const entry = { path: join(root, 'dist', 'index.js'), external: true };
  try {
    await build({
      entryPoints: [join(root, script)],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      plugins: [
        {
          name: 'built-package',
          setup: ({ onResolve }) =>
            onResolve({ filter: /\/index\.ts$/ }, ({ path, resolveDir }) =>
              join(resolveDir, path) === join(root, 'index.ts') ? entry : undefined,
            ),
        },
      ],
    });
    return use(() => execFileSync(process.execPath, [outfile], { encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
