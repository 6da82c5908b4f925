/**
 * The browser bundle as pages meet it: loaded from another origin by a script tag, with the compiler fetched at the
 * first compile and not before; small; the same bytes wherever it is made.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, defineBake, type InitOptions, spec, type Tensor, type TensorSpec, tensor } from '../../index.ts';
import type { LoadOptions } from '../../runtime/index.ts';
import { bundleForBrowser } from '../../scripts/bundle-browser.ts';
import { forOtherOrigins, type Headers, isolation, type ServedFolder, serveFolder } from '../../scripts/serve.ts';
import { bakeArtefact } from '../../tracer/bake/bake.ts';
import { launchBrowser } from '../support/browser.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kiln-bundle-'));
const bundle = join(folder, 'bundle');
const site = join(folder, 'site');
const served: ServedFolder[] = [];
let browser: Browser;
let host: string;

async function serve(path: string, headers: Headers): Promise<string> {
  const server = await serveFolder(path, { headers });
  served.push(server);
  return server.origin;
}

beforeAll(async () => {
  const [opened] = await Promise.all([launchBrowser({ isIsolating: true, hasWebgpu: true }), bundleForBrowser(bundle)]);
  browser = opened;
  host = await serve(bundle, forOtherOrigins);
  mkdirSync(site);
  writeFileSync(
    join(site, 'index.html'),
    `<!doctype html><title>page</title><script type="module" src="page.js"></script>`,
  );
  writeFileSync(join(site, 'page.js'), pageScript(host));
});
afterAll(async () => {
  await browser?.close();
  for (const { close } of served) close();
  rmSync(folder, { recursive: true, force: true });
});

const size = 256;

/** What the page runs, and this process too. Many rows, so that the work is worth sharing. */
const values = (): Float32Array =>
  Float32Array.from({ length: size * size }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.5);

const pageScript = (origin: string): string => `
  import { compile, tensor, init } from '${origin}/kiln.js';
  const size = ${size};
  const values = ${values};
  window.imported = true;
  window.fail = () => {
    try {
      tensor([1, 2]).matmul(tensor([1, 2, 3]));
    } catch (error) {
      return [error.code, String(error.location)];
    }
  };
  window.run = async (options) => {
    await init({ precision: 'strict', ...options });
    const f = compile((x) => x.matmul(x).tanh().matmul(x).sum());
    const x = tensor(values(), { shape: [size, size] });
    await f.warmup(x);
    return (await f(x).data())[0];
  };
`;

/** The files that importing `name` fetches, by following its static imports. */
function fetchedWith(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name)) return found;
  found.add(name);
  const code = readFileSync(join(bundle, name), 'utf8');
  for (const [, chunk] of code.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) fetchedWith(chunk, found);
  return found;
}

const gzipped = (names: Iterable<string>): number =>
  [...names].reduce((sum, name) => sum + gzipSync(readFileSync(join(bundle, name))).length, 0);

interface Seen {
  readonly value: number;
  readonly isolated: boolean;
  readonly workers: number;
  readonly messages: readonly string[];
  /** Files of the bundle that were fetched when it was imported, and those that the first compile fetched. */
  readonly atImport: readonly string[];
  readonly atCompile: readonly string[];
}

async function visit(headers: Headers, options: InitOptions): Promise<Seen> {
  const origin = await serve(site, headers);
  const page = await browser.newPage();
  const messages: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  page.on('request', (request) => {
    if (request.url().startsWith(`${host}/`)) requests.push(request.url().slice(host.length + 1));
  });
  await page.goto(origin);
  await page.waitForFunction('window.imported');
  const atImport = requests.splice(0);
  const value = (await page.evaluate(`run(${JSON.stringify(options)})`)) as number;
  const isolated = (await page.evaluate('crossOriginIsolated')) as boolean;
  const workers = page.workers().length;
  await page.close();
  return { value, isolated, workers, messages, atImport, atCompile: requests };
}

/** What this process computes for the same. */
async function expected(): Promise<number> {
  const f = compile((x: Tensor) => x.matmul(x).tanh().matmul(x).sum(), { precision: 'strict' });
  return Number((await f(tensor(values(), { shape: [size, size] })).data())[0]);
}

describe('a page that loads the bundle from another origin', () => {
  it.each([
    ['isolated, on two threads', isolation, 2, true],
    ['not isolated, on one thread', {}, 1, false],
    ['isolated, under a content security policy', { ...isolation, 'Content-Security-Policy': '' }, 2, true],
  ] as const)('%s', async (_, headers, threads, isolated) => {
    const policy = `default-src 'none'; script-src 'self' ${host} 'wasm-unsafe-eval'; worker-src blob: ${host}; connect-src 'none'`;
    const sent = 'Content-Security-Policy' in headers ? { ...headers, 'Content-Security-Policy': policy } : headers;
    const seen = await visit(sent, { threads });
    expect(seen.messages).toEqual([]);
    expect(seen).toMatchObject({ isolated, workers: threads - 1, value: await expected() });
    // Importing fetches what kiln.js imports; the compiler, as far as WASM
    // needs it, is fetched for the first compile.
    expect(new Set(seen.atImport)).toEqual(fetchedWith('kiln.js'));
    for (const part of ['compiler-', 'wasm-', 'binaryen-']) {
      expect(seen.atImport.filter((name) => name.startsWith(part))).toEqual([]);
      expect(seen.atCompile.filter((name) => name.startsWith(part))).toHaveLength(1);
    }
    expect(seen.atCompile.filter((name) => /^(webgpu|device)-/.test(name))).toEqual([]);
  });

  it('finds in IndexedDB what it compiled before it was loaded again, and fetches no compiler', async () => {
    const origin = await serve(site, {});
    const page = await browser.newPage();
    const load = async (): Promise<{ readonly value: unknown; readonly fetched: readonly string[] }> => {
      const fetched: string[] = [];
      const note = (request: { url(): string }): void => void fetched.push(request.url().slice(host.length + 1));
      page.on('request', note);
      await page.goto(origin);
      await page.waitForFunction('window.imported');
      const value = await page.evaluate('run({ threads: 1 })');
      page.off('request', note);
      return { value, fetched };
    };
    const cold = await load();
    // What is kept is there when no more is added.
    const isSettled = `new Promise((resolve) => {
      const opening = indexedDB.open('kiln-cache');
      opening.onsuccess = () => {
        const counting = opening.result.transaction('uses').objectStore('uses').getAllKeys();
        counting.onsuccess = () => {
          opening.result.close();
          const before = window.keys;
          window.keys = String(counting.result);
          resolve(/kernel.*program/.test(window.keys) && window.keys === before);
        };
      };
    })`;
    await page.waitForFunction(isSettled, undefined, { polling: 300 });
    const warm = await load();
    await page.close();
    expect(warm.value).toBe(cold.value);
    const isOfCompiler = (name: string): boolean => /^(compiler|wasm|binaryen)-/.test(name);
    expect(cold.fetched.filter(isOfCompiler)).toHaveLength(3);
    expect(warm.fetched.filter(isOfCompiler)).toEqual([]);
  });

  it('says of errors where they are in the page, not in the bundle', async () => {
    const origin = await serve(site, {});
    const page = await browser.newPage();
    await page.goto(origin);
    await page.waitForFunction('window.imported');
    expect(await page.evaluate('fail()')).toEqual([
      'shape_mismatch',
      expect.stringMatching(new RegExp(`^${origin}/page\\.js:\\d+:\\d+$`)),
    ]);
    await page.close();
  });

  it('computes on WebGPU where no WebAssembly may be compiled, and fetches nothing that makes it', async () => {
    const policy = `default-src 'none'; script-src 'self' ${host}`;
    const seen = await visit({ 'Content-Security-Policy': policy }, { device: 'webgpu' });
    expect(seen.messages).toEqual([]);
    const value = await expected();
    expect(Math.abs(seen.value - value)).toBeLessThan(1e-4 * Math.abs(value));
    for (const part of ['compiler-', 'device-', 'webgpu-']) {
      expect(seen.atImport.filter((name) => name.startsWith(part))).toEqual([]);
      expect(seen.atCompile.filter((name) => name.startsWith(part))).toHaveLength(1);
    }
    expect(seen.atCompile.filter((name) => /^(wasm|binaryen)-/.test(name))).toEqual([]);
  });
});

/** A page that loads an artefact: what it does, and what it asks for. */
interface Loaded {
  readonly target: string;
  readonly values: readonly number[];
  /** The user's line of an error of the first call that does not fit. */
  readonly errors: readonly string[];
  readonly workers: number;
  readonly messages: readonly string[];
  /** The sources of all scripts of the bundle that came. */
  readonly sources: readonly string[];
}

/** @param origin of the bundle */
const loadingScript = (origin: string): string => `
  import { load, tensor } from '${origin}/runtime.js';
  const size = ${size};
  const values = ${values};
  window.run = async (options) => {
    const model = await load('model.kiln', options);
    const x = tensor(values(), { shape: [size, size] });
    await model.ready();
    const first = await model.functions.f(x).data();
    const errors = [];
    try {
      model.functions.f(x, x);
    } catch (error) {
      errors.push(error.code, String(error.location));
    }
    return { target: model.target, values: [...first], errors };
  };
  document.body.className = 'imported';
`;

/**
 * @param root the folder that is served
 * @param at where the page is in it
 */
async function visitLoading(root: string, at: string, headers: Headers, options: LoadOptions): Promise<Loaded> {
  const origin = await serve(root, headers);
  const page = await browser.newPage();
  const messages: string[] = [];
  const scripts: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  page.on('request', (request) => scripts.push(request.url().replace(/^.*\//, '')));
  await page.goto(`${origin}/${at}`);
  // Waiting for a function is evaluating text, which the policy forbids.
  await page.waitForSelector('.imported');
  const seen = (await page.evaluate(`run(${JSON.stringify(options)})`)) as Pick<Loaded, 'target' | 'values' | 'errors'>;
  const workers = page.workers().length;
  await page.close();
  const own = scripts.filter((name) => name.endsWith('.js') && name !== 'loading.js');
  const sources = own.flatMap((name) => {
    const { sources: paths } = JSON.parse(readFileSync(join(bundle, `${name}.map`), 'utf8')) as { sources: string[] };
    return paths.map((path) => path.replace(/^(?:\.\.\/)+/, ''));
  });
  return { ...seen, workers, messages, sources };
}

describe('a page that loads an artefact', () => {
  let expectedSum: number;
  beforeAll(async () => {
    const f = (x: Tensor): Tensor => x.matmul(x).tanh().matmul(x).sum();
    const args: [TensorSpec] = [spec([size, size])];
    const definition = defineBake({ f: { fn: f, args, precision: 'strict' } });
    const { bytes } = await bakeArtefact(definition, { targets: ['wasm', 'wasm-threads', 'webgpu'], threads: 1 });
    writeFileSync(join(site, 'model.kiln'), bytes);
    for (const [name, origin] of [
      ['own', '../../bundle'],
      ['other', host],
    ]) {
      mkdirSync(join(site, name));
      writeFileSync(
        join(site, name, 'index.html'),
        `<!doctype html><body>page<script type="module" src="loading.js"></script>`,
      );
      writeFileSync(join(site, name, 'loading.js'), loadingScript(origin).replace('model.kiln', '../model.kiln'));
    }
    expectedSum = await expected();
  });

  const ofCompiler = /^(?:ir|passes|codegen|tracer|node_modules)\//;
  const strict = "default-src 'none'; connect-src 'self'; ";

  it('computes on WASM, on threads too, where only WebAssembly may be compiled, without a compiler', async () => {
    const policy = `${strict}script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'`;
    const headers = { ...isolation, 'Content-Security-Policy': policy };
    const { sources, ...seen } = await visitLoading(folder, 'site/own/', headers, { device: 'wasm', threads: 2 });
    expect(seen).toMatchObject({ target: 'wasm-threads', values: [expectedSum], workers: 1, messages: [] });
    expect(seen.errors).toEqual(['spec_mismatch', expect.stringMatching(/\/site\/own\/loading\.js:\d+:\d+$/)]);
    expect(sources.filter((path) => ofCompiler.test(path))).toEqual([]);
    expect(sources.filter((path) => path.startsWith('runtime/webgpu/'))).toEqual(['runtime/webgpu/presence.ts']);
  });

  it('computes on WebGPU, where nothing may be compiled, and fetches nothing of WASM', async () => {
    const headers = { 'Content-Security-Policy': `${strict}script-src 'self'` };
    const { sources, ...seen } = await visitLoading(folder, 'site/own/', headers, { device: 'webgpu' });
    expect(seen).toMatchObject({ target: 'webgpu', workers: 0, messages: [] });
    expect(Math.abs(seen.values[0] - expectedSum)).toBeLessThan(1e-4 * Math.abs(expectedSum));
    expect(sources.filter((path) => ofCompiler.test(path) || path.startsWith('runtime/wasm/'))).toEqual([]);
  });

  it('takes the bundle from another origin', async () => {
    const policy = `${strict}script-src 'self' ${host} 'wasm-unsafe-eval'`;
    const headers = { 'Content-Security-Policy': policy };
    const { sources, ...seen } = await visitLoading(site, 'other/', headers, { device: 'wasm', threads: 1 });
    expect(seen).toMatchObject({ target: 'wasm', values: [expectedSum], workers: 0, messages: [] });
    expect(sources).toContain('runtime/wasm/device.ts');
    // What runs on threads comes only where there are some.
    expect(sources.filter((path) => ofCompiler.test(path) || path === 'runtime/wasm/pool.ts')).toEqual([]);
  });
});

describe('the bundle', () => {
  it('is small: what is fetched at import, for the compiler, and for each target', () => {
    const names = readdirSync(bundle);
    const later = (start: RegExp, ...before: readonly ReadonlySet<string>[]): ReadonlySet<string> => {
      const chunks = fetchedWith(names.find((name) => start.test(name)) ?? '');
      return new Set([...chunks].filter((name) => !before.some((known) => known.has(name))));
    };
    const core = fetchedWith('kiln.js');
    const compiler = later(/^compiler-(?!worker)\w+\.js$/, core);
    // In bytes; a size that falls well below its limit takes the limit along.
    expect(gzipped(core)).toBeLessThan(184_000);
    expect(gzipped(later(/^device-\w+\.js$/, core))).toBeLessThan(11_000);
    expect(gzipped(compiler)).toBeLessThan(100_000);
    expect(gzipped(later(/^wasm-\w+\.js$/, core, compiler))).toBeLessThan(75_000);
    expect(gzipped(later(/^webgpu-\w+\.js$/, core, compiler))).toBeLessThan(60_000);
  });

  it('names no place of the machine, evaluates no text, and carries the licences of what is inside', () => {
    for (const name of readdirSync(bundle)) {
      const text = readFileSync(join(bundle, name), 'utf8');
      expect(text.includes(root), name).toBe(false);
      if (!name.startsWith('binaryen'))
        expect(text.match(/sourceMappingURL=(.*)/)?.[1] ?? `${name}.map`).toBe(`${name}.map`);
      if (name.endsWith('.js')) expect(text.match(/\bnew Function\b|[^\w.]eval\(/)).toBeNull();
    }
    const licences = readFileSync(join(bundle, 'licenses.txt'), 'utf8');
    for (const name of ['acorn', 'binaryen', '@noble/hashes']) expect(licences).toContain(`${name}\n\n`);
  });

  it('has the same bytes wherever it is made', async () => {
    const elsewhere = join(realpathSync(folder), 'another', 'checkout');
    mkdirSync(elsewhere, { recursive: true });
    for (const part of [
      'base',
      'codegen',
      'index.ts',
      'ir',
      'package.json',
      'passes',
      'runtime',
      'tracer',
      'tsconfig.json',
    ]) {
      cpSync(join(root, part), join(elsewhere, part), { recursive: true });
    }
    symlinkSync(realpathSync(join(root, 'node_modules')), join(elsewhere, 'node_modules'));
    const again = join(folder, 'again');
    await bundleForBrowser(again, elsewhere);
    expect(readdirSync(again)).toEqual(readdirSync(bundle));
    for (const name of readdirSync(bundle)) {
      expect(readFileSync(join(again, name)).equals(readFileSync(join(bundle, name))), name).toBe(true);
    }
  });
});
