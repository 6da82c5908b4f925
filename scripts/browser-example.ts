/**
 * The example page as a static folder: its own modules, and Kiln's browser bundle beside them in `kiln/`, as a page
 * would take it from a content delivery network.
 *
 *     await buildExample(folder)
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { browserOptions, bundleForBrowser } from './bundle-browser.ts';
import { type Headers, isolation } from './serve.ts';

const source = fileURLToPath(new URL('../examples/browser', import.meta.url));

/** What the page is served with: isolated, so that threads share memory, and allowed to run nothing but its own files. */
export const exampleHeaders: Headers = {
  ...isolation,
  'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:",
};

/** The sources import Kiln's entry; the page loads the bundle. */
const fromBundle: Plugin = {
  name: 'from-bundle',
  setup({ onResolve }) {
    onResolve({ filter: /\/index\.ts$/ }, () => ({ path: './kiln/kiln.js', external: true }));
  },
};

/** Writes the page to a folder, which is made if need be. */
export async function buildExample(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await bundleForBrowser(join(folder, 'kiln'));
  await build({
    ...browserOptions,
    // Kernels name lines of these files.
    minify: false,
    entryPoints: {
      page: join(source, 'page/page.ts'),
      trainer: join(source, 'trainer.ts'),
      // The model alone, for who drives it from outside.
      spirals: join(source, '../spirals.ts'),
    },
    outdir: folder,
    plugins: [fromBundle],
  });
  for (const file of ['index.html', 'style.css']) copyFileSync(join(source, file), join(folder, file));
  writeFileSync(join(folder, 'blank.html'), '<!doctype html><title>Kiln</title><link rel="icon" href="data:,">');
}
