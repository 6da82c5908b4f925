/**
 * Threads in Chromium: a page that is cross-origin isolated shares work with Web Workers, from its own origin or
 * another; one that is not runs on one thread, says so once, and gives the same results.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleForBrowser } from '../../scripts/bundle-browser.ts';
import { forOtherOrigins, type Headers, isolation, type ServedFolder, serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../support/browser.ts';

const folder = mkdtempSync(join(tmpdir(), 'kiln-browser-'));
const servers: ServedFolder[] = [];
let browser: Browser;

async function serve(headers: Headers): Promise<string> {
  const server = await serveFolder(folder, { headers });
  servers.push(server);
  return server.origin;
}

beforeAll(async () => {
  await bundleForBrowser(folder);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(folder, 'page.js'), pageScript);
  browser = await launchBrowser({ isIsolating: true });
});
afterAll(async () => {
  await browser?.close();
  for (const { close } of servers) close();
  rmSync(folder, { recursive: true, force: true });
});

/** Multiplies matrices, trains a step, and gives what came out. */
const pageScript = `
  export async function run(origin, threads) {
    const { compile, grad, init, tensor } = await import(origin + '/kiln.js');
    await init(threads === undefined ? { precision: 'strict' } : { threads, precision: 'strict' });
    const n = 300;
    const x = tensor(Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.5), { shape: [n, n] });
    const step = compile((x) => grad((x) => x.matmul(x).relu().sum())(x), { precision: 'strict' });
    await step.warmup(x);
    let sum = 0;
    const kept = [];
    for (let i = 0; i < 40; i++) {
      // The memory grows under the feet of the workers.
      if (i % 4 === 3) kept.push(tensor(new Float32Array(kept.length * 2 ** 18 + 1)));
      let y = step(x);
      for (let j = 0; j < 5; j++) y = step(y);
      const values = await y.data();
      sum = values.reduce((bits, value, at) => (Math.imul(bits, 31) + Math.round(value * 1e3) * (at + 1)) | 0, 7);
    }
    return { isolated: crossOriginIsolated, sum };
  }
`;

interface Seen {
  readonly isolated: boolean;
  readonly sum: number;
  readonly workers: number;
  readonly messages: readonly string[];
}

async function visit(origin: string, threads?: number, library = origin): Promise<Seen> {
  const page = await browser.newPage();
  const messages: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  await page.goto(origin);
  const script = `import(${JSON.stringify(`${library}/page.js`)}).then(({ run }) => run(${JSON.stringify(library)}, ${threads}))`;
  const result = (await page.evaluate(script)) as Pick<Seen, 'isolated' | 'sum'>;
  const workers = page.workers().length;
  await page.close();
  return { ...result, workers, messages };
}

describe('a page', () => {
  it('that is isolated shares work with workers, from its own origin or another; one that is not says so once', async () => {
    const [isolated, plain, host] = await Promise.all([serve(isolation), serve({}), serve(forOtherOrigins)]);
    const alone = await visit(isolated, 1);
    expect(alone).toMatchObject({ isolated: true, workers: 0, messages: [] });
    const shared = await visit(isolated, 3);
    expect(shared).toEqual({ isolated: true, sum: alone.sum, workers: 2, messages: [] });
    expect(await visit(isolated, 2, host)).toEqual({ ...shared, workers: 1 });
    const single = await visit(plain, 2);
    expect(single).toMatchObject({ isolated: false, sum: alone.sum, workers: 0 });
    expect(single.messages).toEqual([
      expect.stringMatching(/\[kiln\] running on one thread instead of 2.*Cross-Origin/),
    ]);
    expect((await visit(plain, 1)).messages).toEqual([]);
  });
});
