/**
 * Compiling the training step cold: fresh processes of plain Node on the built package, from after the imports to the
 * compiled program, Binaryen's load included.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { summarize } from '../index.ts';
import { type BenchResult, limitRow } from '../result.ts';
import { formatMs } from '../table.ts';

const runs = 7;
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The child as one JavaScript file that imports the built package. */
async function bundleChild(folder: string): Promise<string> {
  const outfile = join(folder, 'cold-start.mjs');
  await build({
    entryPoints: [join(root, 'bench', 'cases', 'cold-start-child.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    plugins: [
      {
        name: 'built-package',
        setup: ({ onResolve }) =>
          onResolve({ filter: /\/index\.ts$/ }, () => ({ path: join(root, 'dist', 'index.js'), external: true })),
      },
    ],
  });
  return outfile;
}

export async function coldStartCase(): Promise<BenchResult> {
  execFileSync('npm', ['run', 'build'], { cwd: root, stdio: 'ignore' });
  const folder = mkdtempSync(join(root, 'dist', 'bench-'));
  try {
    const child = await bundleChild(folder);
    const times = Array.from({ length: runs }, () =>
      Number(execFileSync(process.execPath, [child], { encoding: 'utf8' })),
    );
    const spread = `best ${formatMs(Math.min(...times))}, worst ${formatMs(Math.max(...times))} of ${runs} processes`;
    return {
      title: 'Cold compile of the training step in a fresh process',
      mode: 'fast',
      rows: [
        limitRow(
          'from after the imports to the compiled program, median',
          spread,
          summarize(times).p50 / 1000,
          1,
          ' s',
        ),
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
