/**
 * Trains the spirals of `examples/spirals.ts` on each device, in Node and in Chromium, to see that all come to the same.
 * WebGPU runs on a GPU where the machine has one and else in software, in a process of its own: the Vulkan loader reads
 * its variables when a process starts.
 *
 *     for await (const row of trainEverywhere(100)) console.log(row);
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import type { SpiralsResult } from '../examples/spirals.ts';
import { findAdapter } from '../test/support/adapter.ts';
import { launchBrowser } from '../test/support/browser.ts';
import { buildExample, exampleHeaders } from './browser-example.ts';
import { type ServedFolder, serveFolder } from './serve.ts';

export interface Place {
  readonly host: 'Node' | 'Chromium';
  readonly device: 'wasm' | 'webgpu';
}

export type Row = Place & {
  /** As the adapter calls itself; empty for wasm. */
  readonly adapter: string;
  /** What came out, or why it could not be run. */
  readonly result: SpiralsResult | string;
};

const root = fileURLToPath(new URL('..', import.meta.url));

/** A row for each place, as soon as it is there. */
export async function* trainEverywhere(steps: number): AsyncGenerator<Row> {
  yield { host: 'Node', device: 'wasm', adapter: '', result: await inNode('wasm', steps, {}) };
  const adapter = findAdapter();
  yield typeof adapter === 'string'
    ? { host: 'Node', device: 'webgpu', adapter: '', result: adapter }
    : {
        host: 'Node',
        device: 'webgpu',
        adapter: adapter.name,
        result: await inNode('webgpu', steps, adapter.environment),
      };
  yield* inChromium(steps);
}

async function inNode(
  device: Place['device'],
  steps: number,
  environment: Readonly<Record<string, string>>,
): Promise<SpiralsResult | string> {
  const modules = ['--import', './scripts/preload.mjs', '--import', 'tsx'];
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...modules, 'examples/train-spirals.ts', device, String(steps)],
      { cwd: root, env: { ...process.env, ...environment } },
    );
    return JSON.parse(stdout) as SpiralsResult;
  } catch (error) {
    return reasonOf(error);
  }
}

async function* inChromium(steps: number): AsyncGenerator<Row> {
  const places: readonly Place[] = [
    { host: 'Chromium', device: 'wasm' },
    { host: 'Chromium', device: 'webgpu' },
  ];
  const folder = mkdtempSync(join(tmpdir(), 'kiln-everywhere-'));
  let browser: Browser | undefined;
  let server: ServedFolder | undefined;
  let done = 0;
  try {
    await buildExample(folder);
    browser = await launchBrowser({ isIsolating: true, hasWebgpu: true });
    server = await serveFolder(folder, { headers: exampleHeaders });
    const url = `${server.origin}/blank.html`;
    for (; done < places.length; done++) {
      const place = places[done];
      yield { ...place, ...(await onPage(browser, url, place.device, steps)) };
    }
  } catch (error) {
    const result = reasonOf(error);
    for (const place of places.slice(done)) yield { ...place, adapter: '', result };
  } finally {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onPage(
  browser: Browser,
  url: string,
  device: Place['device'],
  steps: number,
): Promise<Pick<Row, 'adapter' | 'result'>> {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    return await page.evaluate(`(async () => {
      const { init } = await import('/kiln/kiln.js');
      const { trainSpirals } = await import('/spirals.js');
      const info = ${device === 'webgpu'} && (await navigator.gpu?.requestAdapter())?.info;
      const adapter = info ? info.description || info.vendor + ' ' + info.architecture : '';
      await init({ device: '${device}' });
      return { adapter, result: await trainSpirals({ steps: ${steps} }) };
    })()`);
  } catch (error) {
    return { adapter: '', result: reasonOf(error) };
  } finally {
    await page.close();
  }
}

/** The line of an error that says what happened. */
function reasonOf(error: unknown): string {
  const { stderr = '', message } = error as { stderr?: string; message: string };
  const lines = `${stderr}\n${message}`.split('\n').map((line) => line.trim());
  return lines.find((line) => /Error: /.test(line)) ?? lines.find((line) => line !== '') ?? 'unknown';
}
