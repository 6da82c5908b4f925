/**
 * Threads in Chromium: a page that is cross-origin isolated shares work with Web Workers, from its own origin or
 * another; one that is not runs on one thread, says so once, and gives the same results.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../support/browser.ts';

const source = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kiln-browser-'));
const servers: Server[] = [];
let browser: Browser;

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
/** What a host of libraries sends, so that isolated pages of other origins may load them. */
const forOthers = { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' };

/** Serves the folder. @returns the origin */
async function serve(headers: Readonly<Record<string, string>>): Promise<string> {
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    if (pathname === '/') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/html' });
      response.end('<!doctype html><title>page</title>');
      return;
    }
    try {
      const file = readFileSync(join(folder, pathname));
      response.writeHead(200, { ...headers, 'Content-Type': 'text/javascript' });
      response.end(file);
    } catch {
      response.writeHead(404, headers);
      response.end();
    }
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  // As a bundler does it: the package in chunks, and the worker as a file beside them.
  await build({
    entryPoints: { kiln: source('index.ts'), 'pool-worker': source('runtime/wasm/pool-worker.ts') },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external: ['node:*'],
    // `sideEffects` of the package names files of `dist`.
    ignoreAnnotations: true,
    logLevel: 'error',
  });
  writeFileSync(join(folder, 'page.js'), pageScript);
  browser = await launchBrowser({ isIsolating: true });
});
afterAll(async () => {
  await browser?.close();
  for (const server of servers) server.close();
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
    const [isolated, plain, host] = await Promise.all([serve(isolation), serve({}), serve(forOthers)]);
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
