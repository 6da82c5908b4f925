/**
 * The runtimes in one page of Chromium, a system's own where there is one, else the one that the tests bring along.
 *
 *     const page = await openChromium(folder);
 *     await page.measure('matmul 1024', 'full', inputs, timing);
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import { chromium as driver, type Page } from 'playwright-core';
import { browserOptions } from '../../scripts/bundle-browser.ts';
import { isolation, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../../test/support/browser.ts';
import type { NamedArray } from '../peers/work.ts';
import type { RowResult, Timing } from './measure.ts';
import type { BenchmarkPage, ServedArray } from './page.ts';
import type { Scale } from './rows.ts';
import type { Peer } from './runtimes.ts';
import type { AdapterDescription, Started } from './session.ts';

/** Packages of rivals. */
const packages = fileURLToPath(new URL('../peers/node_modules', import.meta.url));

/** Where the runtimes run. */
export interface Stage {
  adapter(): Promise<AdapterDescription | undefined>;
  start(peers: readonly Peer[]): Promise<readonly Started[]>;
  /** @throws Error when a result is wrong */
  measure(row: string, scale: Scale, inputs: readonly NamedArray[], timing: Timing): Promise<RowResult>;
  close(): Promise<void>;
}

const tfjs = `
  export * from '@tensorflow/tfjs-core';
  import '@tensorflow/tfjs-backend-webgpu';
`;

/** Bundles the page and TensorFlow.js, whose package names a page can not resolve. */
async function bundle(folder: string): Promise<void> {
  const common: BuildOptions = { ...browserOptions, minify: false, sourcemap: false, nodePaths: [packages] };
  const entry = fileURLToPath(new URL('./page.ts', import.meta.url));
  await build({ ...common, entryPoints: [entry], outdir: folder, splitting: true });
  if (existsSync(join(packages, '@tensorflow/tfjs-backend-webgpu'))) {
    await build({ ...common, stdin: { contents: tfjs, resolveDir: packages }, outfile: join(folder, 'tfjs.js') });
  }
  if (existsSync(packages)) symlinkSync(packages, join(folder, 'peers'));
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><title>bench</title><script type="module" src="page.js"></script>',
  );
}

/** A browser with WebGPU: on a graphics processor where there is one. */
async function launch(isHardware: boolean) {
  if (!isHardware) return launchBrowser({ isIsolating: true, hasWebgpu: true, clearsWorkgroups: true });
  const args = ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--use-angle=vulkan', '--ignore-gpu-blocklist'];
  return driver.launch({ channel: 'chrome', args, headless: true });
}

/** @param folder an empty one, for what the page loads */
export async function openChromium(folder: string, isHardware: boolean): Promise<Stage> {
  await bundle(folder);
  const server = await serveFolder(folder, { headers: isolation });
  const browser = await launch(isHardware);
  const page = await browser.newPage();
  await page.goto(`${server.origin}/`);
  await page.waitForFunction('globalThis.benchmarkPage !== undefined');
  let written = 0;
  const serve = (input: NamedArray): ServedArray => {
    const { data, ...type } = input;
    mkdirSync(join(folder, 'inputs'), { recursive: true });
    const url = `/inputs/${written++}`;
    writeFileSync(join(folder, url), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { ...type, url };
  };
  return {
    adapter: () => call(page, 'adapter'),
    start: (peers) => call(page, 'start', peers),
    async measure(row, scale, inputs, timing) {
      const result = await call(page, 'measure', row, scale, inputs.map(serve), timing);
      if ('wrong' in result) throw new Error(result.wrong);
      return result;
    },
    async close() {
      await browser.close();
      server.close();
    },
  };
}

/** Calls what the page has left on its window. */
function call<K extends keyof BenchmarkPage>(
  page: Page,
  name: K,
  ...args: Parameters<BenchmarkPage[K]>
): ReturnType<BenchmarkPage[K]> {
  const inside = ([method, given]: [string, readonly unknown[]]): unknown => {
    const { benchmarkPage } = globalThis as unknown as {
      readonly benchmarkPage: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
    };
    return benchmarkPage[method](...given);
  };
  return page.evaluate<unknown, [string, readonly unknown[]]>(inside, [name, args]) as ReturnType<BenchmarkPage[K]>;
}
