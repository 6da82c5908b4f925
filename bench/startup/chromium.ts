/**
 * Starts in headless Chromium, each in a page of its own on the built bundle. A cold or baked start has a fresh profile;
 * warm ones share one whose IndexedDB an earlier page has filled. As in Node, every mode runs once before anything is
 * timed, for its results and for the files that it asks for.
 */
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { browserOptions } from '../../scripts/bundle-browser.ts';
import { isolation, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../../test/support/browser.ts';
import { assertSame, type Run } from './child-process.ts';
import type { Measured, MeasureOptions } from './node.ts';
import type { Scene } from './scene.ts';
import { type Mode, modes } from './start.ts';
import { titles, type Workload } from './titles.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Chunks of the bundle that only a compile needs; and the whole bundle, of which a baked start needs nothing. */
const ofCompiler = /\/kiln\/(?:compiler|binaryen|wasm|webgpu)-\w+\.js$/;
const ofBundle = /\/kiln\//;

export interface Chromium {
  /** The version of the browser. */
  readonly version: string;
  measure(workload: Workload, options: MeasureOptions): Promise<Measured>;
  close(): Promise<void>;
}

export async function openChromium(scene: Scene): Promise<Chromium> {
  const site = mkdtempSync(join(scene.folder, 'site-'));
  await bundlePage(site);
  symlinkSync(join(root, 'dist', 'browser'), join(site, 'kiln'));
  symlinkSync(scene.folder, join(site, 'scene'));
  writeFileSync(join(site, 'index.html'), '<!doctype html><title>start</title><link rel="icon" href="data:,">');
  const server = await serveFolder(site, { headers: isolation });
  const browser = await launchBrowser({ isIsolating: true });
  return {
    version: `Chromium ${browser.version()}`,
    measure: (workload, options) => measure(browser, server.origin, scene, workload, options),
    async close() {
      await browser.close();
      server.close();
      rmSync(site, { recursive: true, force: true });
    },
  };
}

/**
 * The page as its author would bundle it: the loader goes into it, piece by piece as it is needed; all of Kiln is loaded
 * as the bundle that it ships.
 */
async function bundlePage(folder: string): Promise<void> {
  await build({
    ...browserOptions,
    sourcemap: false,
    // The built package says which of its files do something when they are loaded.
    ignoreAnnotations: false,
    entryPoints: [join(root, 'bench/startup/page.ts')],
    outdir: folder,
    splitting: true,
    plugins: [
      {
        name: 'built-package',
        setup: ({ onResolve }) =>
          onResolve({ filter: /\/index\.ts$/ }, ({ path, resolveDir }) => {
            const source = relative(root, join(resolveDir, path));
            if (source === 'index.ts') return { path: '/kiln/kiln.js', external: true };
            return source === 'runtime/index.ts' ? { path: join(root, 'dist/runtime/index.js') } : undefined;
          }),
      },
    ],
  });
  // Threads start it by its name, beside whatever asks for it.
  copyFileSync(join(root, 'dist/browser/pool-worker.js'), join(folder, 'pool-worker.js'));
}

async function measure(
  browser: Browser,
  origin: string,
  scene: Scene,
  workload: Workload,
  { target, rounds, coldRounds, onProgress }: MeasureOptions,
): Promise<Measured> {
  const runs: Record<Mode, Run[]> = { cold: [], warm: [], keyed: [], baked: [] };
  const profiles = { warm: await browser.newContext(), keyed: await browser.newContext() };
  const start = async (
    mode: Mode,
    profile?: BrowserContext,
    fills = false,
  ): Promise<{ run: Run; requests: string[] }> => {
    const context = profile ?? (await browser.newContext());
    try {
      return await startOnPage(context, `${origin}/`, [mode, workload, `${workload}.${target}.kiln`], fills);
    } finally {
      if (!profile) await context.close();
    }
  };
  try {
    const { run: expected } = await start('cold', profiles.warm, true);
    await start('keyed', profiles.keyed, true);
    for (const mode of ['warm', 'keyed', 'baked'] as const) {
      const { run, requests } = await start(mode, mode === 'baked' ? undefined : profiles[mode]);
      assertSame(workload, mode, run, expected);
      assertRequested(workload, mode, requests);
    }
    for (let round = 0; round < rounds; round++) {
      for (const mode of modes) {
        if (mode === 'cold' && round >= coldRounds) continue;
        onProgress(`${titles[workload]}, ${mode}, in Chromium`);
        const { run } = await start(mode, mode === 'warm' || mode === 'keyed' ? profiles[mode] : undefined);
        assertSame(workload, mode, run, expected);
        runs[mode].push(run);
      }
    }
  } finally {
    await profiles.warm.close();
    await profiles.keyed.close();
  }
  const bytes = scene.artefactBytes[workload] ?? 0;
  const series = (mode: Mode) => ({ workload, runs: runs[mode], bytes });
  return { cold: series('cold'), warm: series('warm'), keyed: series('keyed'), baked: series('baked') };
}

/** @throws Error where a page asks for what its mode should do without */
function assertRequested(workload: Workload, mode: Mode, urls: readonly string[]): void {
  const unwanted = urls.filter((url) => ofCompiler.test(url) || (mode === 'baked' && ofBundle.test(url)));
  if (unwanted.length > 0) throw new Error(`${titles[workload]}, ${mode}: asked for ${unwanted.join(', ')}`);
}

/** @param fills whether to wait until what was compiled is kept */
async function startOnPage(
  context: BrowserContext,
  url: string,
  given: readonly [mode: Mode, workload: Workload, artefact: string],
  fills: boolean,
): Promise<{ run: Run; requests: string[] }> {
  const page = await context.newPage();
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  try {
    await page.goto(url);
    const call = `import('/page.js').then(({ startHere }) => startHere(...${JSON.stringify(given)}))`;
    const run = (await page.evaluate(call)) as Run;
    if (fills) await settled(page);
    return { run, requests };
  } finally {
    await page.close();
  }
}

/** Waits until the number of entries in the database of the cache stays the same. */
async function settled(page: Page): Promise<void> {
  const count = `(async () => {
    const name = 'kiln-cache';
    if (!(await indexedDB.databases()).some((found) => found.name === name)) return 0;
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const database = await done(indexedDB.open(name));
    const entries = await done(database.transaction('entries').objectStore('entries').count());
    database.close();
    return entries;
  })()`;
  for (let before = -1, now = 0; now !== before; ) {
    await page.waitForTimeout(300);
    [before, now] = [now, (await page.evaluate(count)) as number];
  }
}
