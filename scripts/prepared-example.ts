/**
 * The example page, built and baked once for as long as no source changes: `npm start` takes it from
 * `node_modules/.cache/kiln`, where packages such as `webgpu` are found from.
 *
 *     const folder = await preparedExample();
 *
 *     kiln/, everywhere.js, spirals.kiln, …       what `buildExample` and `bakeExample` write
 *     starts/, scene/                             what `start-times.ts` starts, and what it starts it on
 */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hashOf } from '../base/hash.ts';
import { builtCompilerVersion } from './compiler-version.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const parent = join(root, 'node_modules/.cache/kiln');
const prefix = 'example-';

/** Every source that the page and the package are made of. */
function sourcesHash(): string {
  const folders = ['examples', 'scripts', 'bench/startup', 'bench/models'];
  const files = folders.flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((name) => /\.(?:ts|html|css)$/.test(name))
      .map((name) => join(folder, name)),
  );
  const texts = ['index.ts', ...files.sort()].map((name) => `${name} ${hashOf(readFileSync(join(root, name)))}`);
  return hashOf([builtCompilerVersion(root), ...texts].join('\n')).slice(0, 16);
}

/** The folder; it is made where there is none for these sources, in a process that loads the compiler for it. */
export async function preparedExample(): Promise<string> {
  const folder = join(parent, `${prefix}${sourcesHash()}`);
  const mark = `${folder}.making`;
  while (!existsSync(folder) && isRecent(mark, patience)) await new Promise((resolve) => setTimeout(resolve, 200));
  if (existsSync(folder)) return folder;
  mkdirSync(parent, { recursive: true });
  writeFileSync(mark, '');
  try {
    const modules = ['--import', './scripts/preload.mjs', '--import', 'tsx'];
    const script = fileURLToPath(import.meta.url);
    await promisify(execFile)(process.execPath, [...modules, script, folder], { cwd: root });
  } finally {
    rmSync(mark, { force: true });
  }
  return folder;
}

/** Milliseconds that another process, which has left its mark, may take to make the folder. */
const patience = 60_000;
/** Milliseconds after which a folder for other sources goes: nobody can be using it any more. */
const keptFor = 86_400_000;

/** Whether something is there that was made at most so many milliseconds ago. */
const isRecent = (path: string, milliseconds: number): boolean =>
  Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < milliseconds;

/** Makes the folder, and removes old ones of other sources. */
async function prepare(folder: string): Promise<void> {
  // The compiler, a bundler: nothing that the caller needs, once the folder is there.
  const [{ bakeExample, buildExample }, { bundleChild }, { makeScene }, { targetHere }] = await Promise.all([
    import('./browser-example.ts'),
    import('../bench/startup/bundle-child.ts'),
    import('../bench/startup/scene.ts'),
    import('../bench/startup/child-process.ts'),
  ]);
  const made = mkdtempSync(join(parent, `making-${prefix}`));
  try {
    await buildExample(made);
    await bakeExample(made);
    await bundleChild(join(made, 'starts'), {
      'index.ts': '../kiln/kiln.js',
      'runtime/index.ts': '../kiln/runtime.js',
    });
    await makeScene(join(made, 'scene'), ['language'], [targetHere()]);
    for (const old of readdirSync(parent)) {
      const path = join(parent, old);
      if (old.startsWith(prefix) && !isRecent(path, keptFor)) rmSync(path, { recursive: true, force: true });
    }
    // In one step, so that nobody sees half of it; another process may have been faster.
    if (!existsSync(folder)) renameSync(made, folder);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await prepare(process.argv[2]);
  process.exit();
}
