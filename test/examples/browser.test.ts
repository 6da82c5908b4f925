/**
 * The example page in Chromium, as a visitor sees it: it trains, on each device and in a worker, draws what it should,
 * fills its tables, and gives the answers that Node gives. It runs an artefact, without a compiler, or compiles itself.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainSpirals } from '../../examples/spirals.ts';
import { preparedExample } from '../../scripts/prepared-example.ts';
import { exampleHeaders, isolation, type ServedFolder, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../support/browser.ts';

const steps = 150;
/** Milliseconds: software adapters are slow, and machines may be busy. */
const patience = 180_000;
let folder: string;
const served: ServedFolder[] = [];
let browser: Browser;
let withWebgpu: Browser;

beforeAll(async () => {
  [browser, folder] = await Promise.all([launchBrowser({ isIsolating: true }), preparedExample()]);
  withWebgpu = await launchBrowser({ isIsolating: true, hasWebgpu: true });
}, patience);
afterAll(async () => {
  await browser?.close();
  await withWebgpu?.close();
  for (const { close } of served) close();
});

interface Opened {
  readonly page: Page;
  readonly messages: readonly string[];
  /** Files that the page, its workers included, has asked for. */
  readonly requests: readonly string[];
}

/** Opens the page, and waits for its first run to end. */
async function open(
  query: Readonly<Record<string, string>>,
  { isIsolated = true, viewport = { width: 1280, height: 900 }, within = browser } = {},
): Promise<Opened> {
  const isolationHeaders = Object.keys(isolation);
  const headers = Object.entries(exampleHeaders).filter(([name]) => isIsolated || !isolationHeaders.includes(name));
  const server = await serveFolder(folder, { headers: Object.fromEntries(headers) });
  served.push(server);
  const page = await within.newPage({ viewport });
  page.setDefaultTimeout(patience);
  const messages: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  const requests: string[] = [];
  page.context().on('request', (request) => requests.push(new URL(request.url()).pathname));
  await page.goto(`${server.origin}/?${new URLSearchParams({ steps: String(steps), ...query })}`);
  await page.waitForSelector('#runs tr[data-device]');
  return { page, messages, requests };
}

/** Whatever belongs to tracing and compiling: the entry of the package, its chunks for targets, Binaryen. */
const ofCompiler = /^\/kiln\/(?:kiln\.js|(?:compiler|binaryen|wasm|webgpu|report)-)|live-training/;

/**
 * That a page that runs an artefact has loaded no compiler, and could not hide one: every script that it has loaded is
 * small, and knows nothing of Binaryen.
 */
function expectNoCompiler({ requests }: Opened): void {
  expect(requests).toContain('/spirals.kiln');
  expect(requests).toContain('/kiln/runtime.js');
  expect(requests.filter((path) => ofCompiler.test(path))).toEqual([]);
  for (const path of requests.filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(join(folder, path), 'utf8');
    expect(code.length, path).toBeLessThan(100_000);
    expect(code, path).not.toMatch(/binaryen|acorn|dot_general/i);
  }
}

interface Shown {
  readonly losses: readonly number[];
  readonly points: number;
  readonly kernels: readonly { readonly name: string; readonly ops: string; readonly time: string }[];
  readonly cells: readonly string[];
  readonly tiles: readonly string[];
  readonly about: string;
}

/** What stands on the page. */
const shown = (page: Page): Promise<Shown> =>
  page.evaluate(`(() => {
    const texts = (selector, within = document) => [...within.querySelectorAll(selector)].map((found) => found.textContent);
    const curve = document.querySelector('#loss polyline:not(.past)');
    return {
      losses: [...document.querySelectorAll('#runs tr')].map((row) => Number(row.dataset.loss)),
      points: curve.points.length,
      kernels: [...document.querySelectorAll('.kernel')].map((row) => ({
        name: row.dataset.kernel,
        ops: texts('.ops', row)[0],
        time: texts('.number', row)[1],
      })),
      cells: texts('#runs tr:first-child td'),
      tiles: texts('.tiles dd'),
      about: texts('#about')[0],
    };
  })()`);

/** Of a grid of regions of what an element looks like, the part that is of more than one colour. */
async function liveliness(page: Page, selector: string, regions: number): Promise<number> {
  const png = await page.locator(selector).screenshot();
  return page.evaluate(
    `(async (url, regions) => {
      const image = await createImageBitmap(await new Promise((resolve) => {
        const loaded = new Image();
        loaded.onload = () => resolve(loaded);
        loaded.src = url;
      }));
      const pen = new OffscreenCanvas(image.width, image.height).getContext('2d', { willReadFrequently: true });
      pen.drawImage(image, 0, 0);
      const [width, height] = [Math.floor(image.width / regions), Math.floor(image.height / regions)];
      let lively = 0;
      for (let i = 0; i < regions ** 2; i++) {
        const { data } = pen.getImageData((i % regions) * width, Math.floor(i / regions) * height, width, height);
        lively += new Set(new Uint32Array(data.buffer)).size > 1;
      }
      return lively / regions ** 2;
    })(${JSON.stringify(`data:image/png;base64,${png.toString('base64')}`)}, ${regions})`,
  );
}

/**
 * That the page shows a training that went well.
 * @param compiles whether the page has compiled its functions; only then it knows the times of kernels
 * @returns the final loss
 */
async function expectTrained(
  { page }: Opened,
  device: 'WASM' | 'WebGPU',
  thread: 'page' | 'worker',
  { taken = steps, compiles = false } = {},
): Promise<number> {
  const { losses, points, kernels, cells, tiles } = await shown(page);
  expect(cells.slice(0, 3)).toEqual([device, thread, String(taken)]);
  expect(cells.at(-1)).toMatch(compiles ? /^compiled in \d+ ms$/ : /^loaded in \d+ ms$/);
  expect(points).toBe(taken / 5);
  expect(losses[0]).toBeLessThan(taken === steps ? 0.35 : 1);
  expect(Number(tiles[0])).toBeCloseTo(losses[0], 4);
  expect(Number.parseFloat(tiles[1])).toBeGreaterThan(taken === steps ? 90 : 45);
  expect(kernels.length).toBeGreaterThan(5);
  for (const { name, ops, time } of kernels) {
    expect(name).toMatch(/^\w+(\.\d+)?$/);
    expect(ops).toMatch(/\w/);
    expect(time).toMatch(compiles ? /^\d+(\.\d+)? (ms|µs)$/ : /^–$/);
  }
  expect(await liveliness(page, '#picture', 8)).toBeGreaterThan(0.9);
  expect(await liveliness(page, '#loss', 4)).toBeGreaterThan(0.4);
  return losses[0];
}

describe('the example page', { timeout: patience }, () => {
  it('trains on WASM from its artefact, with threads where it is isolated, to the loss that Node reaches', async () => {
    const { loss } = await trainSpirals({ steps });
    const isolated = await open({ device: 'wasm' });
    expect(await expectTrained(isolated, 'WASM', 'page')).toBeCloseTo(loss, 3);
    expect((await shown(isolated.page)).about).toMatch(
      /wasm\+threads.*compiled when the page was built.*is cross-origin/,
    );
    expectNoCompiler(isolated);
    const plain = await open({ device: 'wasm' }, { isIsolated: false });
    expect(await expectTrained(plain, 'WASM', 'page')).toBeCloseTo(loss, 3);
    expect((await shown(plain.page)).about).toMatch(/is not cross-origin isolated/);
    expectNoCompiler(plain);
  });

  it('trains in a Web Worker, and goes on to train again at the press of a button', async () => {
    const opened = await open({ device: 'wasm', worker: '' });
    const { page, messages } = opened;
    const first = await expectTrained(opened, 'WASM', 'worker');
    expect(page.workers().length).toBeGreaterThan(0);
    await page.locator('label', { hasText: 'Run in a Web Worker' }).click();
    await page.click('#run');
    await page.waitForSelector('#runs tr:nth-child(2)');
    expect(await expectTrained(opened, 'WASM', 'page')).toBeCloseTo(first, 5);
    expectNoCompiler(opened);
    expect(messages.filter((text) => !text.includes('No available adapters'))).toEqual([]);
  });

  it('compiles its functions itself when asked, to the same loss, and times their kernels', async () => {
    const opened = await open({ device: 'wasm', compile: '' });
    const { page, requests } = opened;
    const first = await expectTrained(opened, 'WASM', 'page', { compiles: true });
    expect(requests.some((path) => ofCompiler.test(path))).toBe(true);
    expect((await shown(page)).about).toMatch(/compiled here/);
    await page.locator('label', { hasText: 'Compile in the page' }).click();
    await page.click('#run');
    await page.waitForSelector('#runs tr:nth-child(2)');
    expect(await expectTrained(opened, 'WASM', 'page')).toBeCloseTo(first, 3);
  });

  it('trains on WebGPU, in the page and in a worker, to the loss of WASM', { timeout: 3 * patience }, async () => {
    const taken = 25;
    const query = { device: 'webgpu', steps: String(taken) };
    const inPage = await open(query, { within: withWebgpu });
    const loss = await expectTrained(inPage, 'WebGPU', 'page', { taken });
    expect((await shown(inPage.page)).about).toMatch(/^WebGPU on .*swiftshader.*Code for webgpu/i);
    const code = inPage.page.locator('.kernel pre', { hasText: '@compute' });
    await inPage.page.locator('.kernel summary').first().click();
    await code.waitFor();
    await inPage.page.locator('label', { hasText: 'WASM' }).click();
    await inPage.page.click('#run');
    await inPage.page.waitForSelector('#runs tr:nth-child(2)');
    expect(await expectTrained(inPage, 'WASM', 'page', { taken })).toBeCloseTo(loss, 4);
    expectNoCompiler(inPage);
    expect(inPage.messages).toEqual([]);
    const inWorker = await open({ ...query, worker: '', compile: '' }, { within: withWebgpu });
    const compiled = await expectTrained(inWorker, 'WebGPU', 'worker', { taken, compiles: true });
    expect(compiled).toBeCloseTo(loss, 4);
    expect(inWorker.messages).toEqual([]);
  });

  it('shows the code of a kernel that is unfolded', async () => {
    const { page } = await open({ device: 'wasm' });
    await page.locator('.kernel summary').first().click();
    const code = page.locator('.kernel pre', { hasText: '(module' });
    await code.waitFor();
    expect(await code.textContent()).toMatch(/^;; kernel \w+\n(?:.*\n)*?.*\(export "run"/);
  });

  it('stops when asked, and says what is missing where there is no adapter', async () => {
    const opened = await open({ device: 'webgpu' });
    const { page } = opened;
    expect(await page.locator('#notice').textContent()).toMatch(/adapter|WebGPU/);
    expect(await page.locator('input[value=webgpu]').isDisabled()).toBe(true);
    await page.fill('input[name=steps]', '100000');
    await page.click('#run');
    const step = async (): Promise<number> =>
      Number.parseInt((await page.locator('#tile-step').textContent()) ?? '', 10);
    await expect.poll(step).toBeGreaterThan(0);
    await page.click('#run');
    expect(await page.locator('#run').textContent()).toBe('Train');
    // What was under way comes to an end within a few milliseconds.
    await page.waitForTimeout(200);
    const at = await step();
    await page.waitForTimeout(200);
    expect(await step()).toBe(at);
    expect(at).toBeLessThan(100_000);
    // A run that begins while another one goes on shows nothing of that one.
    await page.click('#run');
    await expect.poll(step).toBeGreaterThan(0);
    await page.fill('input[name=steps]', String(steps));
    await page.click('#run');
    await page.click('#run');
    await page.waitForSelector('#runs tr:nth-child(2)');
    await expectTrained(opened, 'WASM', 'page');
  });

  it('fits a phone', async () => {
    const { page } = await open({ device: 'wasm' }, { viewport: { width: 390, height: 844 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    expect(await liveliness(page, 'body', 6)).toBeGreaterThan(0.6);
  });
});
