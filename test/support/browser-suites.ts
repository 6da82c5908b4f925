/**
 * Bundles test files as they are for a page: `vitest` becomes its runner and assertions (`test/browser/vitest.ts`), and
 * the files that tests read become part of the bundle.
 *
 *     await bundleSuites(folder, ['test/end-to-end/ops.test.ts'])
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { browserOptions } from '../../scripts/bundle-browser.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Files and folders that tests read, by their paths in the project. */
const data = ['test/operations/recorded.jsonl', 'test/end-to-end/regressions'];

/** `node:fs` for what tests read. */
function fileSystem(): string {
  const texts: Record<string, string> = {};
  const folders: Record<string, string[]> = {};
  for (const path of data) {
    if (statSync(join(root, path)).isDirectory()) {
      folders[`/${path}/`] = readdirSync(join(root, path));
      for (const name of folders[`/${path}/`]) texts[`/${path}/${name}`] = readFileSync(join(root, path, name), 'utf8');
    } else texts[`/${path}`] = readFileSync(join(root, path), 'utf8');
  }
  return `
    const [texts, folders] = ${JSON.stringify([texts, folders])};
    const found = (all, url) => {
      const { pathname } = new URL(url);
      if (!Object.hasOwn(all, pathname)) throw new Error('the bundle of tests does not hold ' + pathname);
      return all[pathname];
    };
    export const readFileSync = (url) => found(texts, url);
    export const readdirSync = (url) => found(folders, url);
  `;
}

const forPages = (files: readonly string[]): Plugin => ({
  name: 'tests for pages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^vitest$/ }, () => ({ path: join(root, 'test/browser/vitest.ts') }));
    onResolve({ filter: /^(node:fs|test-files)$/ }, ({ path }) => ({ path, namespace: 'made' }));
    onLoad({ filter: /.*/, namespace: 'made' }, ({ path }) => ({
      contents: path === 'node:fs' ? fileSystem() : imports(files),
      resolveDir: root,
    }));
    // Tests find files beside themselves by their address.
    onLoad({ filter: /\/test\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(
        'import.meta.url',
        JSON.stringify(`file:///${relative(root, path).split(sep).join('/')}`),
      ),
      loader: 'ts',
    }));
  },
});

const imports = (files: readonly string[]): string => {
  const entries = files.map((file) => `${JSON.stringify(file)}: () => import(${JSON.stringify(`./${file}`)})`);
  return `export default { ${entries.join(', ')} };`;
};

/** Writes `index.html`, which loads the page's script, and the script with the test files behind it. */
export async function bundleSuites(folder: string, files: readonly string[]): Promise<void> {
  const { KILN_TEST = 'brief', KILN_TEST_SEED } = process.env;
  const options = { ...browserOptions, outdir: folder, minify: false, sourcemap: false } as const;
  await Promise.all([
    build({
      ...options,
      splitting: true,
      entryPoints: { page: join(root, 'test/browser/page.ts') },
      plugins: [forPages(files)],
      define: { 'process.env': 'testEnvironment' },
    }),
    build({ ...options, entryPoints: { 'pool-worker': join(root, 'runtime/wasm/pool-worker.ts') } }),
  ]);
  const environment = JSON.stringify({ KILN_TEST, KILN_TEST_SEED });
  writeFileSync(
    join(folder, 'index.html'),
    `<!doctype html><title>tests</title>
<script>globalThis.testEnvironment = { ...${environment}, KILN_DEVICE: new URL(location).searchParams.get('device') };</script>
<script type="module">import * as page from './page.js'; globalThis.page = page;</script>`,
  );
}
