/**
 * The example page as a static folder: its own modules, and Kiln's browser bundle beside them in `kiln/`, as a page
 * would take it from a content delivery network. What the page runs is compiled here and lies in an artefact.
 *
 *     await buildExample(folder);
 *     await bakeExample(folder);
 *
 *     spirals.kiln                        the artefact
 *     spirals.wasm-threads.json           what its kernels compute, for the page to show; one for each target
 *     spirals.wasm-threads.code.json      their code
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { codeByKernel, type KernelAccount, kernelRows } from '../examples/browser/kernel-account.ts';
import { bakeArtefact } from '../tracer/bake/bake.ts';
import { type BakeTarget, tierOf } from '../tracer/bake/targets.ts';
import { traceEntry } from '../tracer/bake/trace-entry.ts';
import { compile, ready } from '../tracer/compiler.ts';
import { browserOptions, bundleForBrowser } from './bundle-browser.ts';

const source = fileURLToPath(new URL('../examples/browser', import.meta.url));

/** The sources import Kiln's entries; the page loads the bundle. */
const fromBundle: Plugin = {
  name: 'from-bundle',
  setup({ onResolve }) {
    onResolve({ filter: /\/index\.ts$/ }, ({ path }) => {
      const entry = basename(dirname(path)) === 'runtime' ? 'runtime' : 'kiln';
      return { path: `./kiln/${entry}.js`, external: true };
    });
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
    splitting: true,
    entryPoints: {
      page: join(source, 'page/page.ts'),
      trainer: join(source, 'trainer.ts'),
      // The artefact without the page, for who trains it from outside.
      everywhere: join(source, 'everywhere.ts'),
    },
    outdir: folder,
    plugins: [fromBundle],
  });
  for (const file of ['index.html', 'style.css']) copyFileSync(join(source, file), join(folder, file));
  writeFileSync(join(folder, 'blank.html'), '<!doctype html><title>Kiln</title><link rel="icon" href="data:,">');
}

/** What browsers run: with threads and without, with relaxed SIMD and without, and any adapter. */
const targets: readonly BakeTarget[] = ['wasm', 'wasm-threads', 'wasm-relaxed', 'wasm-threads-relaxed', 'webgpu'];

/** Writes the artefact of the page, and what it shows of it, to the folder of the page. */
export async function bakeExample(folder: string): Promise<void> {
  const { default: definition } = await import('../examples/browser/artefact.ts');
  const { bytes } = await bakeArtefact(definition, { targets });
  writeFileSync(join(folder, 'spirals.kiln'), bytes);
  const { request } = traceEntry('step', definition.entries.step);
  for (const target of targets) {
    const tier = tierOf(target);
    await ready(tier.target);
    const report = compile({ ...request, tier, report: { bindings: [] } }).report!;
    const account: KernelAccount = { tier: report.tier, kernels: kernelRows(report.groups) };
    writeFileSync(join(folder, `spirals.${target}.json`), JSON.stringify(account));
    writeFileSync(join(folder, `spirals.${target}.code.json`), JSON.stringify(codeByKernel(report.code)));
  }
}
