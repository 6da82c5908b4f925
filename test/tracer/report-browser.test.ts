/**
 * The report page as a reader meets it, in Chromium: a graph of more than 500 ops without layout faults, links between
 * its parts, search, and no overflow on small screens.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gpt, gradientModel } from '../../bench/models/index.ts';
import { compile } from '../../index.ts';
import { launchBrowser } from '../support/browser.ts';
import { type DrawnLayout, drawnLayout, memoryFaults, pageOverflow } from '../support/page-layout.ts';

const model = gradientModel(gpt({ batch: 2, time: 16, width: 32, heads: 2, layers: 2, vocabulary: 64 }));
const folder = mkdtempSync(join(tmpdir(), 'kiln-report-'));
const file = join(folder, 'report.html');
const faults: string[] = [];
const requests: string[] = [];
let browser: Browser;
let page: Page;

beforeAll(async () => {
  const html = compile(model.fn, { name: 'gpt' }).report(...model.specs());
  const [opened, text] = await Promise.all([launchBrowser(), html]);
  browser = opened;
  writeFileSync(file, text);
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.on('console', (message) => faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await open();
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(): Promise<void> {
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector(':root[data-ready]');
}

/** Shows the graph of the main function at that stage. */
async function show(stage: string): Promise<void> {
  await page.click('#tab-graph');
  const options = await page.locator('#drawing option').allInnerTexts();
  await page.selectOption('#drawing', { index: options.findIndex((text) => text.includes(stage)) });
}

describe('the report of a GPT', () => {
  it.each(['optimised and fused', 'as traced'])(
    'draws the graph %s without overlaps; nothing sticks out',
    async (stage) => {
      await show(stage);
      const { ops, boxes, faults: found } = await page.evaluate<DrawnLayout>(drawnLayout);
      expect(found).toEqual([]);
      expect(boxes).toBeGreaterThan(20);
      expect(ops).toBeGreaterThan(stage === 'as traced' ? 400 : 200);
    },
  );

  it('would notice a box or a text in the wrong place', async () => {
    await show('optimised and fused');
    await page.evaluate(
      `document.querySelectorAll('figure:not([hidden]) .box')[1].setAttribute('transform', 'translate(30,70)')`,
    );
    const moved = await page.evaluate<DrawnLayout>(drawnLayout);
    expect(moved.faults.some((fault) => / overlaps /.test(fault))).toBe(true);
    await page.evaluate(`document.querySelector('figure:not([hidden]) .op text').setAttribute('textLength', 400)`);
    const wide = await page.evaluate<DrawnLayout>(drawnLayout);
    expect(wide.faults.some((fault) => / overflows$/.test(fault))).toBe(true);
    await open();
  });

  it('links an op to its kernel, its memory and what was not fused', async () => {
    await page.click('#tab-graph');
    await page.selectOption('#drawing', { index: 0 });
    await page.fill('#search', 'dot_general');
    await page.press('#search', 'Enter');
    const details = page.locator('#details');
    await expect.poll(() => details.locator('h3').innerText()).toBe('dot_general');
    expect(await details.innerText()).toMatch(/(gpt|mlp)\.ts:\d+\n+.*matmul/);
    expect(await page.locator('#hits').innerText()).toMatch(/^1 of \d+$/);
    const selected = page.locator('.graph .op.selected');
    expect(await selected.count()).toBeGreaterThan(0);
    await details.locator('.actions button').first().click();
    const card = page.locator('#kernels .kernel[open]');
    expect(await card.count()).toBe(1);
    expect(await card.locator('tr.selected').count()).toBeGreaterThan(0);
    await card.locator('details.code summary').nth(1).click();
    await expect.poll(() => card.locator('details.code[open] code .w').count()).toBeGreaterThan(5);
    await card.locator('tr.selected button').first().click();
    expect(await page.locator('#graph').isVisible()).toBe(true);
  });

  it('narrows every list by the search, and refusals by their rule', async () => {
    await page.fill('#search', 'scatter');
    await page.click('#tab-kernels');
    const all = await page.locator('.kernel').count();
    const shown = await page.locator('.kernel:visible').count();
    expect(shown).toBeGreaterThan(0);
    expect(shown).toBeLessThan(all);
    await page.fill('#search', '');
    expect(await page.locator('.kernel:visible').count()).toBe(all);
    await page.selectOption('#order', 'work');
    const work = await page.$$eval('.kernel', (cards) => cards.map((card) => Number(card.getAttribute('data-work'))));
    expect(work).toEqual([...work].sort((a, b) => a - b));
    await page.selectOption('#order', 'launch');
    await page.click('#tab-refusals');
    const rule = await page.locator('#rule option').nth(1).getAttribute('value');
    await page.selectOption('#rule', rule ?? '');
    const rules = await page.$$eval('table.refusals tbody tr:not([hidden])', (rows) =>
      rows.map((row) => row.getAttribute('data-rule')),
    );
    expect([...new Set(rules)]).toEqual([rule]);
    expect(await page.locator('#refusal-count').innerText()).toBe(`${rules.length} shown`);
  });

  it('draws no two blocks of the arena over each other', async () => {
    await page.click('#tab-memory');
    expect(await page.locator('.memory .block').count()).toBeGreaterThan(10);
    expect(await page.evaluate<string[]>(memoryFaults)).toEqual([]);
    await page.locator('.memory .launch').nth(3).click();
    expect(await page.locator('#kernels').isVisible()).toBe(true);
  });

  it.each([1440, 820, 390])('fits a window %i wide in every tab', async (width) => {
    await page.setViewportSize({ width, height: 800 });
    for (const tab of ['graph', 'kernels', 'memory', 'refusals']) {
      await page.click(`#tab-${tab}`);
      expect(await page.locator('[role="tabpanel"]:visible').count()).toBe(1);
      expect(await page.evaluate<number>(pageOverflow), tab).toBe(0);
    }
  });

  it('asked for nothing and reported no fault', () => {
    expect(faults).toEqual([]);
    expect(requests.filter((url) => !url.startsWith('file:'))).toEqual([]);
    expect(new Set(requests).size).toBe(1);
  });
});
