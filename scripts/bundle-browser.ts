/**
 * The browser bundle, `dist/browser/`: modules that a page loads from any origin by one `<script type="module">`,
 * without a bundler or an import map.
 *
 *     kiln.js              the public entry; what is needed before the first compile
 *     runtime.js           the entry for pages that load what was baked (`kilnjs/runtime`), with which it shares chunks
 *     pool-worker.js       the script of worker threads, beside whatever chunk starts them
 *     compiler-worker.js   in Node alone: the compiler for those who wait
 *     NAME-HASH.js         chunks, loaded when they are first needed: the compiler, Binaryen, the report page
 *     licenses.txt         of the packages that are inside
 *
 * The bytes depend on the sources and the versions of the packages alone: paths are relative to the project, and chunks
 * are named by what is in them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { builtCompilerVersion } from './compiler-version.ts';

const here = fileURLToPath(new URL('..', import.meta.url));

/** How Kiln is bundled for browsers; a page that bundles Kiln with its own modules does the same. */
export const browserOptions = {
  absWorkingDir: here,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  sourcemap: 'linked',
  chunkNames: '[name]-[hash]',
  // What Kiln asks of Node it asks for at run time, where Node is.
  external: ['node:*'],
  // `sideEffects` of the package names files of `dist`, and here are sources.
  ignoreAnnotations: true,
  preserveSymlinks: true,
  legalComments: 'none',
  logLevel: 'error',
} as const satisfies BuildOptions;

/** Chunks without a source map: it would be 30 MB for Binaryen, and say little of code that was generated. */
const withoutMap = /^(binaryen|dagre)\b/;

/**
 * Writes the bundle to a folder, which is made if need be; what else is in it stays.
 * @param root the project
 */
export async function bundleForBrowser(folder: string, root = here): Promise<void> {
  const options = {
    ...browserOptions,
    absWorkingDir: root,
    // Whatever the folder, names and maps are those of `dist/browser`.
    outdir: join(root, 'dist', 'browser'),
    write: false,
    metafile: true,
    define: { KILN_BUNDLE: 'true', KILN_COMPILER_VERSION: JSON.stringify(builtCompilerVersion(root)) },
  } as const;
  const builds = await Promise.all([
    build({
      ...options,
      splitting: true,
      entryPoints: {
        kiln: join(root, 'index.ts'),
        runtime: join(root, 'runtime/index.ts'),
        'compiler-worker': join(root, 'tracer/compiler-worker.ts'),
      },
    }),
    // In one piece, so that a worker waits for one file alone.
    build({ ...options, entryPoints: { 'pool-worker': join(root, 'runtime/wasm/pool-worker.ts') } }),
  ]);
  mkdirSync(folder, { recursive: true });
  for (const { path, contents } of builds.flatMap(({ outputFiles }) => outputFiles)) {
    const name = basename(path);
    if (!withoutMap.test(name)) writeFileSync(join(folder, name), contents);
    else if (!name.endsWith('.map')) {
      const code = Buffer.from(contents).toString('utf8');
      writeFileSync(join(folder, name), code.replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n'));
    }
  }
  writeFileSync(join(folder, 'licenses.txt'), licenses(builds[0].metafile, root));
}

/** The licences of all packages in a bundle, one after the other. */
function licenses({ inputs }: Metafile, root: string): string {
  const inPackage = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//;
  const names = new Set(Object.keys(inputs).flatMap((path) => inPackage.exec(path)?.[1] ?? []));
  const texts = [...names].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`the package ${name} has no licence file`);
    return `${name}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
