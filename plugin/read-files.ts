/**
 * Which files are read while an entry is loaded, such as weights: they make the artefact as much as modules do. Node
 * has no hook for that, so the functions of `node:fs` that read are wrapped, in the process of one bake alone.
 *
 *     const module = await recordReads(files, () => import('./model.bake.ts'));
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

type Reader = (path: unknown, ...rest: unknown[]) => unknown;

const readers = ['createReadStream', 'open', 'openSync', 'readFile', 'readFileSync'];
const promised = ['open', 'readFile'];

/** Adds to `files` what is read while `load` runs. Paths are whole; what is no file, or not there, may be among them. */
export async function recordReads<T>(files: Set<string>, load: () => Promise<T>): Promise<T> {
  const restore = [wrap(fs, readers, files), wrap(fs.promises, promised, files)];
  syncBuiltinESMExports();
  try {
    return await load();
  } finally {
    for (const undo of restore) undo();
    syncBuiltinESMExports();
  }
}

function wrap(module: object, names: readonly string[], files: Set<string>): () => void {
  const functions = module as Record<string, Reader>;
  const before = names.map((name) => [name, functions[name]] as const);
  for (const [name, read] of before) {
    functions[name] = function (this: unknown, path, ...rest) {
      const file = pathOf(path);
      if (file !== undefined) files.add(file);
      return read.call(this, path, ...rest);
    };
  }
  return () => {
    for (const [name, read] of before) functions[name] = read;
  };
}

/** `undefined` for descriptors and what else is no path. */
function pathOf(path: unknown): string | undefined {
  if (path instanceof URL) return path.protocol === 'file:' ? fileURLToPath(path) : undefined;
  return typeof path === 'string' ? resolve(path) : undefined;
}
