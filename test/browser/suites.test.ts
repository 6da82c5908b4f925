/**
 * The suites of ops, graphs, gradients and operations in Chromium, on WASM with threads and on WebGPU; in Firefox on
 * WASM, where it is installed. Each file runs in the page as it is, and is one test here; what failed in it is listed by
 * name.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isolation, type ServedFolder, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser, launchFirefox } from '../support/browser.ts';
import { bundleSuites } from '../support/browser-suites.ts';
import type { FileOutcome, PageSettings } from './page.ts';

const endToEnd = ['ops', 'random-graphs', 'models', 'layers', 'training', 'attention', 'regressions', 'dequantise'];
const operations = [
  'creation',
  'half',
  'interpolate',
  'modes',
  'recorded',
  'recorded-on-device',
  'random',
  'sorting',
  'symbolic',
];
const tracer = ['differential', 'transforms', 'checkpoint'];

/** Files that compare bits or read results synchronously, or repeat what others show, at the price of many pipelines. */
const notOnWebgpu = [
  ...['layers', 'attention'].map((name) => `test/end-to-end/${name}.test.ts`),
  ...['half', 'modes', 'recorded'].map((name) => `test/operations/${name}.test.ts`),
];
const files = [
  ...endToEnd.map((name) => `test/end-to-end/${name}.test.ts`),
  ...operations.map((name) => `test/operations/${name}.test.ts`),
  ...tracer.map((name) => `test/tracer/${name}.test.ts`),
];

const folder = mkdtempSync(join(tmpdir(), 'kiln-suites-'));
let browsers: Readonly<Record<'Chromium' | 'Firefox', Browser | undefined>>;
let server: ServedFolder;

beforeAll(async () => {
  const [Chromium, Firefox, served] = await Promise.all([
    launchBrowser({ isIsolating: true, hasWebgpu: true }),
    launchFirefox(),
    serveFolder(folder, { headers: isolation }),
    bundleSuites(folder, files),
  ]);
  browsers = { Chromium, Firefox };
  server = served;
}, 180_000);
afterAll(async () => {
  await Promise.all([browsers?.Chromium?.close(), browsers?.Firefox?.close()]);
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

const wasm: PageSettings = { device: 'wasm', threads: 3, seed: 20240607 };
const webgpu: PageSettings = { device: 'webgpu', threads: 1, seed: 20240607 };

describe.each([
  ['wasm', 'Chromium', wasm],
  ['webgpu', 'Chromium', webgpu],
  ['wasm', 'Firefox', wasm],
] as const)('%s in %s', (device, name, settings) => {
  let page: Page | undefined;
  const messages: string[] = [];
  beforeAll(async () => {
    page = await browsers[name]?.newPage();
    if (!page) return;
    page.on('console', (message) => messages.push(message.text()));
    page.on('pageerror', (error) => messages.push(error.message));
    await page.goto(`${server.origin}/?device=${device}`);
    await page.waitForFunction('globalThis.page');
    await page.evaluate(`page.setUp(${JSON.stringify(settings)})`);
  });
  afterAll(() => page?.close());

  it.for(files.filter((file) => device === 'wasm' || !notOnWebgpu.includes(file)))(
    '%s',
    { timeout: 600_000 },
    async (file, { skip }) => {
      if (!page) return skip(`${name} is not installed`);
      messages.length = 0;
      const { tests, isIsolated } = (await page.evaluate(`page.runFile(${JSON.stringify(file)})`)) as FileOutcome;
      expect(isIsolated).toBe(true);
      expect(tests.length, 'tests in the file').toBeGreaterThan(0);
      const failures = tests.filter(({ state, text }) => state === 'failed' || (state === 'skipped' && !text));
      const list = failures.map(({ name, state, text = 'skipped without a reason' }) => `${state}: ${name}\n${text}`);
      expect(list.join('\n\n'), messages.join('\n')).toBe('');
    },
  );
});
