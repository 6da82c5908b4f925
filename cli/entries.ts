/**
 * The functions a user's module offers to the command line:
 *
 *     export default { step: { fn: step, args: [specOf(params), spec([32, 784])] } };
 *
 * An argument is a value, or a specification, for which data are made up. TypeScript files are loaded through `tsx`,
 * an optional peer.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { dimBounds } from '../base/dim.ts';
import { KilnError, random, SymbolicDim, type Tensor, TensorSpec, tree, zeros } from '../index.ts';

export interface Entry {
  readonly name: string;
  readonly fn: (...args: readonly unknown[]) => unknown;
  readonly args: readonly unknown[];
}

/**
 * The entries of a module, in the order of its default export.
 * @param wanted the name of one entry: only that
 * @throws KilnError `cli_usage` when the file offers no functions, or not that one
 */
export async function loadEntries(file: string, wanted?: string): Promise<readonly Entry[]> {
  const entries = await allEntries(file);
  const found = entries.filter(({ name }) => wanted === undefined || name === wanted);
  if (found.length > 0) return found;
  throw new KilnError('cli_usage', `${file} has no entry '${wanted}'`, {
    expected: entries.map(({ name }) => name).join(', '),
  });
}

async function allEntries(file: string): Promise<readonly Entry[]> {
  const path = resolve(file);
  if (!existsSync(path)) throw new KilnError('cli_usage', `there is no file ${file}`);
  const module = await importModule(path);
  const offered = module.default;
  if (typeof offered !== 'object' || offered === null || Object.keys(offered).length === 0) {
    throw new KilnError('cli_usage', `${file} offers no functions`, {
      expected: 'export default { name: { fn, args: [spec([32, 784]), ...] } }',
    });
  }
  return Object.entries(offered).map(([name, entry]) => {
    if (!isEntry(entry)) {
      throw new KilnError('cli_usage', `${file}: entry '${name}'`, {
        expected: '{ fn: a function, args: an array of specs or values }',
      });
    }
    return { name, ...entry };
  });
}

function isEntry(entry: { fn?: unknown; args?: unknown } | undefined): entry is Omit<Entry, 'name'> {
  return typeof entry?.fn === 'function' && Array.isArray(entry.args);
}

async function importModule(
  path: string,
): Promise<{ readonly default?: Record<string, { fn?: unknown; args?: unknown }> }> {
  const url = pathToFileURL(path).href;
  // When the tool itself runs from TypeScript sources, a loader is there already.
  if (!/\.[cm]?tsx?$/.test(path) || import.meta.url.endsWith('.ts')) return import(url);
  assertModule(path);
  try {
    // For the whole process, so that the file and this tool share one copy of Kiln.
    (await import('tsx/esm/api')).register();
  } catch (cause) {
    throw new KilnError('cli_usage', `${path} is TypeScript, and tsx is not installed`, {
      hint: 'npm install --save-dev tsx',
      cause,
    });
  }
  return import(url);
}

/**
 * TypeScript in a CommonJS package loads Kiln with `require`, which under tsx makes a second copy of it.
 * @throws KilnError `cli_usage`
 */
function assertModule(path: string): void {
  if (/\.mts$/.test(path)) return;
  const manifest = path.endsWith('.cts') ? undefined : manifestOf(path);
  if (manifest?.type === 'module') return;
  throw new KilnError('cli_usage', `${basename(path)} is not an ES module`, {
    given: manifest ? `${manifest.path} has no "type": "module"` : 'a file outside any package, or named .cts',
    hint: 'name it .mts, or write "type": "module" in package.json (npm pkg set type=module)',
  });
}

/** The package.json that governs a file. */
function manifestOf(path: string): { readonly path: string; readonly type?: unknown } | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) return { path: manifest, type: JSON.parse(readFileSync(manifest, 'utf8')).type };
    if (folder === dirname(folder)) return undefined;
  }
}

/** The arguments with data in place of specifications: normal floats, zeros for other dtypes. */
export function argumentsWithData(args: readonly unknown[], seed = 0): unknown[] {
  let key: Tensor = random.key(seed);
  const filled = tree.map((leaf: unknown) => {
    if (!(leaf instanceof TensorSpec)) return leaf;
    const [use, next] = random.split(key).unstack();
    key = next;
    return dataFor(leaf, use);
  }, args);
  return [...filled];
}

function dataFor({ shape, dtype }: TensorSpec, key: Tensor): Tensor {
  const sizes = shape.map((size) => (size instanceof SymbolicDim ? exampleSize(size) : size));
  return dtype === 'float32' ? random.normal(key, sizes) : zeros(sizes, { dtype });
}

/** A size for a symbolic axis: eight, moved into its bounds. */
function exampleSize(size: SymbolicDim): number {
  const [min, max] = dimBounds(size);
  return Math.min(max, Math.max(min, 8));
}
