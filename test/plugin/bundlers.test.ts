/**
 * Bundles of a small project as its users meet them: the artefact is a file of its own, the bundle has neither the
 * compiler nor the model, a page runs the baked function, and edits reach the page while it is open.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { type OutputAsset, type OutputChunk, type RollupError, rollup } from 'rollup';
import { build, createServer, type InlineConfig } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bakerFor } from '../../plugin/baker.ts';
import kilnForEsbuild from '../../plugin/esbuild.ts';
import kilnForRollup from '../../plugin/rollup.ts';
import kilnForVite from '../../plugin/vite.ts';
import { addAssetRule, type WebpackCompiler, type WebpackHooks, webpackHooks } from '../../plugin/webpack-like.ts';
import { serveFolder } from '../../scripts/serve.ts';
import { launchBrowser } from '../support/browser.ts';
import { alias, makeProject, type Project, root, scaleModule, secret } from './project.ts';

const options = { targets: ['wasm'] };

/** Milliseconds: machines may be busy. */
const patience = 120_000;

/** What the compiler consists of. */
const compiler = /\/(?:tracer|passes|codegen|ir)\/|binaryen|acorn/;

let project: Project;
let browser: Browser;

beforeAll(async () => {
  project = makeProject({
    'src/main.js': `import load from './model.bake.ts?kiln';\nexport { load };\n`,
    'src/unmarked.js': `import load from './model.bake.ts';\nexport { load };\n`,
  });
  browser = await launchBrowser({ isIsolating: true });
});
afterAll(async () => {
  await browser?.close();
  project.remove();
});

const viteConfig = (further: InlineConfig = {}): InlineConfig => ({
  root: project.folder,
  configFile: false,
  logLevel: 'silent',
  base: '/app/',
  resolve: { alias },
  plugins: [kilnForVite(options)],
  build: { target: 'es2022', outDir: project.path('site/app') },
  ...further,
});

/**
 * A compiler as far as the hooks for webpack and Rspack use one: neither bundler is a development dependency, for their
 * size.
 */
const webpackCompiler = (): WebpackCompiler => ({
  context: project.folder,
  options: { module: { rules: [] } },
  resolverFactory: {
    get: () => ({
      resolve(_, folder, request, __, callback) {
        const path = join(folder, request);
        if (existsSync(path)) callback(null, path);
        else callback(new Error(`${path} is not there`));
      },
    }),
  },
});

const hooks = webpackHooks(bakerFor(options), { include: /\.included\.ts$/ });
const { resolveId, load } = hooks;

interface Told {
  readonly watched: string[];
  readonly errors: string[];
}

const webpackContext = ({ watched, errors }: Told): ThisParameterType<WebpackHooks['load']> => ({
  getNativeBuildContext: () => ({ framework: 'webpack', compiler: webpackCompiler() }) as never,
  addWatchFile: (file) => watched.push(file),
  error: (error) => errors.push(String(error)),
});

/** What is right of the page's use of the model, and what is wrong. */
const typed = `import load, { source } from './model.bake.ts?kiln';
const { functions, target }: { functions: object; target: string } = await load();
const loaded = await load({ device: 'wasm' });
const result: Float32Array = await loaded.functions.double(new Float32Array(3)).data();
// @ts-expect-error there is no such function
loaded.functions.triple;
// @ts-expect-error this is no array
loaded.functions.double('three');
export { functions, result, source, target };
`;

/** A page that keeps what it asks for and says. */
async function open(url: string): Promise<{ page: Page; requests: string[]; messages: string[] }> {
  const page = await browser.newPage();
  page.setDefaultTimeout(patience);
  const requests: string[] = [];
  const messages: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('pageerror', (error) => messages.push(error.message));
  await page.goto(url);
  return { page, requests, messages };
}

const shown = async (page: Page): Promise<{ result: number[]; source: string; target: string }> => {
  await page.waitForFunction('window.result');
  return (await page.evaluate('({ result, source, target })')) as { result: number[]; source: string; target: string };
};

describe('a build by Vite', () => {
  it('runs in a page, without the compiler and the model', async () => {
    const built = (await build(viteConfig())) as { output: (OutputChunk | OutputAsset)[] };
    const modules = built.output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
    expect(modules.filter((id) => compiler.test(id))).toEqual([]);
    for (const file of built.output) {
      if (file.type === 'chunk') expect(file.code).not.toContain(secret);
    }
    const served = await serveFolder(project.path('site'));
    try {
      const { page, requests, messages } = await open(`${served.origin}/app/`);
      const { result, source, target } = await shown(page);
      expect(messages).toEqual([]);
      expect(result).toEqual([2, 4, 6]);
      expect(target).toBe('wasm');
      expect(source).toMatch(new RegExp(`^${served.origin}/app/assets/model\\.bake-[\\w-]{8}\\.kiln$`));
      expect(requests).toContain(source);
      const files = built.output.map(({ fileName }) => basename(fileName));
      expect(requests.map((url) => basename(url)).filter((name) => name !== 'app' && !files.includes(name))).toEqual(
        [],
      );
      await page.close();
    } finally {
      served.close();
    }
  });

  it('leaves types beside the entry, by which the page is checked', async () => {
    project.write('src/typed.ts', typed);
    const files = ['src/typed.ts', 'src/model.bake.kiln.d.ts'];
    project.write('tsconfig.json', JSON.stringify({ extends: '../../tsconfig.json', files, include: [] }));
    const [command, ...args] = [process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', project.folder];
    const { stdout } = await promisify(execFile)(command, args).catch((error: { readonly stdout: string }) => error);
    expect(stdout).toBe('');
  });

  it('for servers has the artefact beside the code', async () => {
    const outDir = project.path('server');
    await build(viteConfig({ build: { ssr: 'src/main.js', outDir, target: 'es2022' } }));
    const { load } = (await import(join(outDir, 'main.js'))) as { load: () => Promise<{ target: string }> };
    expect((await load()).target).toBe('wasm');
  });
});

describe('a failed build', () => {
  const faulty = {
    'src/main.ts': `import a from './a.bake.ts?kiln';\nimport b from './b.bake.ts?kiln';\nconsole.log(a, b);\n`,
    'src/a.bake.ts': `throw new Error('the first');\n`,
    'src/b.bake.ts': `\nthrow new Error('the second');\n`,
  };
  let failing: Project;
  beforeAll(() => {
    failing = makeProject(faulty);
  });
  afterAll(() => failing.remove());

  it('of Vite says everything that is wrong, and where', async () => {
    const error = await build(viteConfig({ root: failing.folder })).catch((thrown: RollupError) => thrown);
    const { message } = error as RollupError;
    for (const [name, line, what] of [
      ['a', 1, 'the first'],
      ['b', 2, 'the second'],
    ] as const) {
      const path = failing.path(`src/${name}.bake.ts`);
      expect(message).toContain(`${path}:${line}: ${what}\n\n`);
      expect(message).toContain(`${line} | throw new Error('${what}');`);
    }
  });

  it('of esbuild too', async () => {
    const error = await esbuild
      .build({
        entryPoints: [failing.path('src/main.ts')],
        bundle: true,
        format: 'esm',
        outdir: failing.path('out'),
        logLevel: 'silent',
        plugins: [kilnForEsbuild(options)],
        alias,
      })
      .catch((thrown: esbuild.BuildFailure) => thrown);
    const { errors } = error as esbuild.BuildFailure;
    expect(errors.map(({ text, location }) => [text, location?.line, location?.column]).sort()).toEqual([
      ['the first', 1, 6],
      ['the second', 2, 6],
    ]);
  });

  it('of webpack, of the module that is wrong', async () => {
    const seen: Told = { watched: [], errors: [] };
    await load.call(webpackContext(seen), `${failing.path('src/a.bake.ts')}?kiln`);
    expect(seen.errors).toHaveLength(1);
    expect(seen.errors[0]).toContain(`the first`);
    expect(seen.errors[0]).toContain(`1 | throw new Error('the first');`);
    expect(seen.watched).toEqual(expect.arrayContaining([failing.path('src/a.bake.ts')]));
  });
});

describe('webpack', () => {
  const told = (): Told => ({ watched: [], errors: [] });

  it('finds a marked import as it finds others, and no others', async () => {
    const importer = project.path('src/main.ts');
    const entry = project.path('src/model.bake.ts');
    expect(await resolveId.call(webpackContext(told()), './model.bake.ts?kiln', importer)).toBe(`${entry}?kiln`);
    expect(await resolveId.call(webpackContext(told()), './model.bake.ts', importer)).toBeUndefined();
    await expect(resolveId.call(webpackContext(told()), './none.ts?kiln', importer)).rejects.toThrow('is not there');
    expect(hooks.loadInclude(`${entry}?kiln`)).toBe(true);
    expect(hooks.loadInclude(entry)).toBe(false);
    expect(hooks.loadInclude('/app/model.included.ts')).toBe(true);
  });

  it('takes the artefact in as an asset', async () => {
    const compiler = webpackCompiler();
    addAssetRule(compiler);
    expect(compiler.options.module.rules).toEqual([{ test: /\.kiln$/, type: 'asset/resource' }]);
    const seen = told();
    const entry = project.path('src/model.bake.ts');
    const code = await load.call(webpackContext(seen), `${entry}?kiln`);
    const [, file] = /^import file from "(.*)";$/m.exec(code) ?? [];
    expect(file).toMatch(/node_modules\/\.cache\/kilnjs\/model\.bake-[\da-f]{12}\.kiln$/);
    expect(readFileSync(file).subarray(1, 5).toString()).toBe('KILN');
    expect(code).toContain('export const source = file;');
    expect(seen.errors).toEqual([]);
    expect(seen.watched).toEqual(expect.arrayContaining([entry, project.path('src/scale.ts')]));
  });
});

describe('other bundlers', () => {
  it.each([
    ['a marked module', 'src/main.js', {}],
    ['a module that its options include', 'src/unmarked.js', { include: /\.bake\.ts$/ }],
  ])('Rollup emits the artefact of %s under a hashed name', async (_, input, further) => {
    const bundle = await rollup({
      input: project.path(input),
      external: ['kilnjs/runtime'],
      plugins: [kilnForRollup({ ...options, ...further })],
    });
    const { output } = await bundle.generate({ format: 'es' });
    const asset = output.find((file) => file.type === 'asset');
    expect(asset?.fileName).toMatch(/^assets\/model\.bake-[\w-]{8}\.kiln$/);
    expect(output[0].code).toContain(`new URL('${asset?.fileName}', import.meta.url).href`);
    expect(output[0].code).not.toContain(secret);
  });

  it('esbuild emits it as its loader for files does', async () => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [project.path('src/main.js')],
      bundle: true,
      format: 'esm',
      external: ['kilnjs/runtime'],
      outdir: project.path('out'),
      entryNames: 'code/[name]',
      assetNames: 'assets/[name]-[hash]',
      plugins: [kilnForEsbuild(options)],
      write: false,
    });
    const [asset, code] = outputFiles.toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(asset.path).toMatch(/out\/assets\/model\.bake-\w{8}\.kiln$/);
    expect(code.text).toContain(`"../assets/${basename(asset.path)}"`);
    expect(code.text).not.toContain(secret);
    expect(new TextDecoder().decode(asset.contents.subarray(1, 5))).toBe('KILN');
  });
});

describe('the development server of Vite', () => {
  /** The page takes a new artefact without being loaded again. */
  const main = `import load, { source } from './model.bake.ts?kiln';
const show = async (load, source) => {
  const { functions, target } = await load({ device: 'wasm' });
  const result = Array.from(await functions.double(new Float32Array([1, 2, 3])).data());
  Object.assign(window, { result, target, source });
};
window.pageLoads = (window.pageLoads ?? 0) + 1;
await show(load, source);
import.meta.hot?.accept('./model.bake.ts?kiln', (next) => next && show(next.default, next.source));
`;

  it(
    'bakes again what is edited, and shows what is wrong with it over the page',
    async () => {
      project.write('src/main.ts', main);
      mkdirSync(project.path('node_modules'), { recursive: true });
      const server = await createServer(
        viteConfig({
          server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
          optimizeDeps: { noDiscovery: true },
        }),
      );
      await server.listen();
      try {
        const { page, requests } = await open(server.resolvedUrls?.local[0] ?? '');
        const first = await shown(page);
        expect(first.result).toEqual([2, 4, 6]);
        expect(requests.filter((url) => compiler.test(url))).toEqual([]);

        project.write('src/scale.ts', scaleModule(3));
        await page.waitForFunction('window.result[0] === 3');
        expect((await shown(page)).source).not.toBe(first.source);

        project.write('src/scale.ts', '\nexport const scale: number = ;\n');
        await page.waitForSelector('vite-error-overlay');
        const overlay = String(
          await page.evaluate(`document.querySelector('vite-error-overlay').shadowRoot.textContent`),
        );
        expect(overlay).toContain(`${project.path('src/scale.ts')}:2:30`);

        project.write('src/scale.ts', scaleModule(5));
        await page.waitForFunction('window.result[0] === 5');
        expect(await page.evaluate('pageLoads')).toBe(1);
        await page.close();
        // What a server renders with loads the file itself.
        const rendered = (await server.ssrLoadModule('/src/model.bake.ts?kiln')) as { readonly source: string };
        expect(rendered.source).toMatch(/^file:.*\.kiln$/);
        expect(readFileSync(new URL(rendered.source)).subarray(1, 5).toString()).toBe('KILN');
      } finally {
        await server.close();
      }
    },
    patience,
  );
});
