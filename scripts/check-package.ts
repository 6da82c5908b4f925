/**
 * Packs the package and checks it as its users meet it: `publint` and `attw` on the tarball, then an empty project that
 * installs the tarball, imports and requires it, runs a compiled function, also with the browser bundle, calls the
 * command line tool, bundles a page with the plugin, and type-checks a file against its declarations.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const consumer = mkdtempSync(join(tmpdir(), 'kiln-consumer-'));
// What is compiled here is kept here: the user's own cache is none of ours, and each run begins without one.
const env = { ...process.env, KILN_CACHE_DIR: join(consumer, 'cache') };
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

function run(command: string, args: readonly string[], folder: string): string {
  try {
    return execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout ?? ''}${stderr ?? ''}`);
  }
}

function step(title: string, work: () => string): void {
  const output = work().trim();
  console.log(`${title}: ok${output ? ` (${output.split('\n').at(-1)})` : ''}`);
}

const example = `
const f = compile((x, w) => x.matmul(w).tanh().sum());
const x = tensor([[1, 2], [3, 4]]);
const value = f(x, x);
const text = value.toString();
if (!(Math.abs(Number(text) - 4) < 1e-3)) throw new Error(text);
value.item().then((n) => {
  if (Math.abs(n - 4) > 1e-3) throw new Error(String(n));
  console.log(n.toFixed(4));
});
`;

const typed = `
import { compile, grad, tensor, tree, valueAndGrad, type Tensor } from 'kilnjs';
import { benchmark } from 'kilnjs/bench';

type Params = { w: Tensor; b: Tensor };
const lossFn = (p: Params, x: Tensor, y: Tensor) => x.matmul(p.w).add(p.b).sub(y).square().mean();
export const step = compile((p: Params, x: Tensor, y: Tensor) => {
  const [loss, g] = valueAndGrad(lossFn)(p, x, y);
  return [loss, tree.map((a, d) => a.sub(d.mul(0.1)), p, g)] as const;
});
const params: Params = { w: tensor([[1], [2]]), b: tensor([0]) };
const [loss, next] = step(params, tensor([[1, 2]]), tensor([[3]]));
const value: Promise<number> = loss.item();
const trained: Params = next;
const gradient: Tensor = grad((x: Tensor) => x.mul(x).sum())(trained.b);
// @ts-expect-error the compiled function keeps the signature of the function
step(params, 'not a tensor', next.b);
export { benchmark, gradient, value };

import { load, tensor as array } from 'kilnjs/runtime';
import type { Functions } from './model.kiln.js';
export const doubled = async (): Promise<Float32Array> => {
  const { functions } = await load<Functions>('model.kiln');
  // @ts-expect-error a baked function has the types that it was baked with
  functions.double('text');
  return functions.double(array([1, 2])).data();
};
`;

/** Bundles a page whose model is baked by the plugin, with the esbuild of this project. */
const bundled = `
import { build } from ${JSON.stringify(import.meta.resolve('esbuild'))};
import kiln from 'kilnjs/esbuild';
for (const name of ['vite', 'rollup', 'webpack', 'rspack']) {
  if (typeof (await import('kilnjs/' + name)).default !== 'function') throw new Error(name);
}
const plugins = [kiln({ targets: ['wasm'] })];
const options = { bundle: true, format: 'esm', platform: 'node', splitting: true, outdir: 'bundle', plugins };
await build({ entryPoints: ['page.mjs'], ...options });
const { sum } = await import('./bundle/page.js');
if (sum !== 6) throw new Error(String(sum));
`;

const model = `
import { defineBake, spec } from 'kilnjs';
export default defineBake({ double: { fn: (x) => x.mul(2), args: [spec([2])] } });
`;

/** Runs the artefact of `model`, without the compiler. */
const loaded = `
import { load, tensor } from 'kilnjs/runtime';
const { functions } = await load('model.kiln');
const [first] = await functions.double(tensor([1.5, 2])).data();
if (first !== 3) throw new Error(String(first));
console.log('without a compiler');
`;

const page = `
import load from './model.bake.mjs?kiln';
const { functions } = await load();
export const sum = (await functions.double(new Float32Array([1, 2])).data()).reduce((a, b) => a + b);
`;

try {
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', consumer], root)) as {
    filename: string;
  }[];
  const tarball = join(consumer, packed[0].filename);
  if (!existsSync(tarball)) throw new Error(`npm pack wrote no ${tarball}`);
  step('publint', () => run(bin('publint'), [tarball, '--strict'], consumer));
  step('attw', () => {
    run(bin('attw'), [tarball, '--profile', 'esm-only'], consumer);
    return '';
  });
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  step('install', () => run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], consumer));
  writeFileSync(join(consumer, 'import.mjs'), `import { compile, tensor } from 'kilnjs';${example}`);
  step('import', () => run(process.execPath, ['import.mjs'], consumer));
  writeFileSync(join(consumer, 'require.cjs'), `const { compile, tensor } = require('kilnjs');${example}`);
  step('require', () => run(process.execPath, ['require.cjs'], consumer));
  const browserExample = `import { compile, tensor } from 'kilnjs/browser';${example}`;
  writeFileSync(join(consumer, 'browser.mjs'), browserExample);
  step('browser bundle', () => run(process.execPath, ['browser.mjs'], consumer));
  step('delivery networks', () => {
    const folder = join(consumer, 'node_modules', 'kilnjs');
    const { unpkg, jsdelivr } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    for (const file of [unpkg, jsdelivr]) {
      if (!existsSync(join(folder, file))) throw new Error(`the package lacks ${file}`);
    }
    return unpkg;
  });
  step('command', () => run(process.execPath, [join('node_modules', '.bin', 'kiln'), '--version'], consumer));
  writeFileSync(join(consumer, 'model.bake.mjs'), model);
  writeFileSync(join(consumer, 'page.mjs'), page);
  writeFileSync(join(consumer, 'bundle.mjs'), bundled);
  step('bundler plugin', () => run(process.execPath, ['bundle.mjs'], consumer));
  const kiln = join('node_modules', '.bin', 'kiln');
  step('bake', () => {
    run(process.execPath, [kiln, 'bake', 'model.bake.mjs', '-o', 'model.kiln', '--target', 'wasm'], consumer);
    return '';
  });
  writeFileSync(join(consumer, 'loaded.mjs'), loaded);
  step('runtime', () => run(process.execPath, ['loaded.mjs'], consumer));
  writeFileSync(join(consumer, 'types.ts'), typed);
  const options = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    types: [],
  };
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['types.ts'] }));
  const compiler = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin', 'tsc');
  step('types', () => run(process.execPath, [compiler, '-p', 'tsconfig.json'], consumer));
} finally {
  rmSync(consumer, { recursive: true, force: true });
}
