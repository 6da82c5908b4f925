/**
 * Trains the spirals of the example page on each device, in Node and in Chromium, from one baked artefact, to see that
 * all come to the same. WebGPU runs on a GPU where the machine has one and else in software, in a process of its own: the
 * Vulkan loader reads its variables when a process starts.
 *
 *     for await (const row of trainEverywhere(100)) console.log(row);
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import type { BakedResult } from '../examples/browser/everywhere.ts';
import { findAdapter } from '../test/support/adapter.ts';
import { launchBrowser } from '../test/support/browser.ts';
import { preparedExample } from './prepared-example.ts';
import { exampleHeaders, type ServedFolder, serveFolder } from './serve.ts';

export interface Place {
  readonly host: 'Node' | 'Chromium';
  readonly device: 'wasm' | 'webgpu';
}

export type Row = Place & {
  /** As the adapter calls itself; empty for wasm. */
  readonly adapter: string;
  /** What came out, or why it could not be run. */
  readonly result: BakedResult | string;
};

/** A row for each place, as soon as it is there. */
export async function* trainEverywhere(steps: number): AsyncGenerator<Row> {
  const folder = await preparedExample();
  // It starts while Node trains.
  const opening = openBrowser(folder);
  yield { host: 'Node', device: 'wasm', adapter: '', result: await inNode(folder, 'wasm', steps, {}) };
  const adapter = findAdapter();
  yield typeof adapter === 'string'
    ? { host: 'Node', device: 'webgpu', adapter: '', result: adapter }
    : {
        host: 'Node',
        device: 'webgpu',
        adapter: adapter.name,
        result: await inNode(folder, 'webgpu', steps, adapter.environment),
      };
  yield* inChromium(opening, steps);
}

async function inNode(
  folder: string,
  device: Place['device'],
  steps: number,
  environment: Readonly<Record<string, string>>,
): Promise<BakedResult | string> {
  const script = `
    const { trainBaked } = await import(${JSON.stringify(pathToFileURL(join(folder, 'everywhere.js')).href)});
    console.log(JSON.stringify(await trainBaked('${device}', ${steps})));
    process.exit();
  `;
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...process.env, ...environment },
    });
    return JSON.parse(stdout) as BakedResult;
  } catch (error) {
    return reasonOf(error);
  }
}

interface OpenBrowser {
  readonly browser: Browser;
  readonly server: ServedFolder;
}

/** A browser and what it opens, or why there is none. */
async function openBrowser(folder: string): Promise<OpenBrowser | string> {
  try {
    const browser = await launchBrowser({ isIsolating: true, hasWebgpu: true });
    return { browser, server: await serveFolder(folder, { headers: exampleHeaders }) };
  } catch (error) {
    return reasonOf(error);
  }
}

async function* inChromium(opening: Promise<OpenBrowser | string>, steps: number): AsyncGenerator<Row> {
  const opened = await opening;
  try {
    for (const device of ['wasm', 'webgpu'] as const) {
      const place = { host: 'Chromium', device } as const;
      if (typeof opened === 'string') yield { ...place, adapter: '', result: opened };
      else {
        const url = `${opened.server.origin}/blank.html`;
        yield { ...place, ...(await onPage(opened.browser, url, device, steps)) };
      }
    }
  } finally {
    if (typeof opened !== 'string') {
      await opened.browser.close();
      opened.server.close();
    }
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
      const { trainBaked } = await import('/everywhere.js');
      const info = ${device === 'webgpu'} && (await navigator.gpu?.requestAdapter())?.info;
      const adapter = info ? info.description || info.vendor + ' ' + info.architecture : '';
      return { adapter, result: await trainBaked('${device}', ${steps}) };
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
