/**
 * The example page in Chromium, as a visitor sees it: it trains, on each device and in a worker, draws what it should,
 * fills its tables, and gives the answers that Node gives.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainSpirals } from '../../examples/spirals.ts';
import { buildExample, exampleHeaders } from '../../scripts/browser-example.ts';
import { isolation, type ServedFolder, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../support/browser.ts';

const steps = 150;
const folder = mkdtempSync(join(tmpdir(), 'kiln-example-'));
const served: ServedFolder[] = [];
let browser: Browser;

beforeAll(async () => {
  const [opened] = await Promise.all([launchBrowser({ isIsolating: true }), buildExample(folder)]);
  browser = opened;
});
afterAll(async () => {
  await browser?.close();
  for (const { close } of served) close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the page, and waits for its first run to end. */
async function open(
  query: string,
  { isIsolated = true, viewport = { width: 1280, height: 900 } } = {},
): Promise<{ readonly page: Page; readonly messages: readonly string[] }> {
  const isolationHeaders = Object.keys(isolation);
  const headers = Object.entries(exampleHeaders).filter(([name]) => isIsolated || !isolationHeaders.includes(name));
  const server = await serveFolder(folder, { headers: Object.fromEntries(headers) });
  served.push(server);
  const page = await browser.newPage({ viewport });
  const messages: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  await page.goto(`${server.origin}/?steps=${steps}&${query}`);
  await page.waitForSelector('#runs tr[data-device]');
  return { page, messages };
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
    const curve = [...document.querySelectorAll('#loss polyline:not(.past)')].at(-1);
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

/** That the page shows a training that went well. @returns the final loss */
async function expectTrained(page: Page, device: 'WASM' | 'WebGPU', thread: 'page' | 'worker'): Promise<number> {
  const { losses, points, kernels, cells, tiles } = await shown(page);
  expect(cells.slice(0, 3)).toEqual([device, thread, String(steps)]);
  expect(points).toBe(steps / 5);
  expect(losses[0]).toBeLessThan(0.35);
  expect(Number(tiles[0])).toBeCloseTo(losses[0], 4);
  expect(Number.parseFloat(tiles[1])).toBeGreaterThan(90);
  expect(kernels.length).toBeGreaterThan(5);
  for (const { name, ops, time } of kernels) {
    expect(name).toMatch(/^\w+(\.\d+)?$/);
    expect(ops).toMatch(/\w/);
    expect(time).toMatch(/^\d+(\.\d+)? (ms|µs)$/);
  }
  expect(await liveliness(page, '#picture', 8)).toBeGreaterThan(0.9);
  expect(await liveliness(page, '#loss', 4)).toBeGreaterThan(0.5);
  return losses[0];
}

describe('the example page', () => {
  it('trains on WASM in the page, with threads where it is isolated, to the loss that Node reaches', async () => {
    const { loss } = await trainSpirals({ steps });
    const isolated = await open('device=wasm');
    expect(await expectTrained(isolated.page, 'WASM', 'page')).toBeCloseTo(loss, 3);
    expect((await shown(isolated.page)).about).toMatch(/wasm\+threads.*is cross-origin isolated/);
    const plain = await open('device=wasm', { isIsolated: false });
    expect(await expectTrained(plain.page, 'WASM', 'page')).toBeCloseTo(loss, 3);
    expect((await shown(plain.page)).about).toMatch(/is not cross-origin isolated/);
  });

  it('trains in a Web Worker, and goes on to train again at the press of a button', async () => {
    const { page, messages } = await open('device=wasm&worker');
    const first = await expectTrained(page, 'WASM', 'worker');
    expect(page.workers().length).toBeGreaterThan(0);
    await page.locator('label', { hasText: 'Run in a Web Worker' }).click();
    await page.click('#run');
    await page.waitForSelector('#runs tr:nth-child(2)');
    expect(await expectTrained(page, 'WASM', 'page')).toBeCloseTo(first, 5);
    expect(messages.filter((text) => !text.includes('No available adapters'))).toEqual([]);
  });

  it('shows the code of a kernel that is unfolded', async () => {
    const { page } = await open('device=wasm');
    await page.locator('.kernel summary').first().click();
    const code = page.locator('.kernel pre', { hasText: '(module' });
    await code.waitFor();
    expect(await code.textContent()).toMatch(/^;; kernel \w+\n(?:.*\n)*?.*\(export "run"/);
  });

  it('stops when asked, and says what is missing where there is no adapter', async () => {
    const { page } = await open('device=webgpu');
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
  });

  it('fits a phone', async () => {
    const { page } = await open('device=wasm', { viewport: { width: 390, height: 844 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    expect(await liveliness(page, 'body', 6)).toBeGreaterThan(0.6);
  });
});
