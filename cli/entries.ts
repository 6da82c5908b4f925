/**
 * The functions a user's module offers to the command line:
 *
 *     export default { step: { fn: step, args: [specOf(params), spec([32, 784])] } };
 *
 * An argument is a value, or a specification, for which data are made up. What `defineBake` declares will do as well.
 */
import { dimBounds } from '../base/dim.ts';
import { KilnError, random, SymbolicDim, type Tensor, TensorSpec, tree, zeros } from '../index.ts';
import { isBakeDefinition } from '../tracer/bake/define.ts';
import { loadModule } from './load-module.ts';

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
  const { default: declared } = await loadModule(file);
  const offered = isBakeDefinition(declared) ? declared.entries : declared;
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
    return { name, fn: entry.fn, args: entry.args };
  });
}

function isEntry(given: unknown): given is Omit<Entry, 'name'> {
  const entry = given as { readonly fn?: unknown; readonly args?: unknown } | undefined;
  return typeof entry?.fn === 'function' && Array.isArray(entry.args);
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
