/**
 * Loads a module of the user's, TypeScript included: by the engine where it strips types, else through `tsx`, an
 * optional peer. The engine's own way knows less (no enums, no imports without file names, no .tsx), so tsx, where it
 * is installed, gets what the engine refuses.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { KilnError } from '../index.ts';

export type LoadedModule = Readonly<Record<string, unknown>>;

/** What engines say of TypeScript that they do not read, or of the way it imports. */
const engineRefusals = [
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_INVALID_TYPESCRIPT_SYNTAX',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNSUPPORTED_DIR_IMPORT',
];

/**
 * @throws KilnError (as a rejection) `cli_usage` for a file that is not there or no module, or where nothing reads
 *   TypeScript; whatever the module throws
 */
export async function loadModule(file: string): Promise<LoadedModule> {
  const path = resolve(file);
  if (!existsSync(path)) throw new KilnError('cli_usage', `there is no file ${file}`);
  if (!statSync(path).isFile()) {
    throw new KilnError('cli_usage', `${file} is a folder`, { expected: 'a module, such as model.bake.ts' });
  }
  const url = pathToFileURL(path).href;
  // When the tool itself runs from TypeScript sources, a loader is there already.
  if (!/\.[cm]?tsx?$/.test(path) || import.meta.url.endsWith('.ts')) return import(url);
  if (!(process.features as { readonly typescript?: unknown }).typescript || path.endsWith('x'))
    return withTsx(path, url);
  try {
    return await import(url);
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    return withTsx(path, `${url}?tsx`, cause);
  }
}

/** Whether a failed import may be one that tsx can do. An export that is missing is one of a type, mostly. */
const isRefusal = (cause: unknown): boolean =>
  cause instanceof Error &&
  (engineRefusals.includes(String((cause as { readonly code?: unknown }).code)) ||
    (cause instanceof SyntaxError && /does not provide an export named/.test(cause.message)));

/** @param refusal what the engine's own way has failed with */
async function withTsx(path: string, url: string, refusal?: unknown): Promise<LoadedModule> {
  assertModule(path);
  try {
    // For the whole process, so that the file and this tool share one copy of Kiln.
    (await import('tsx/esm/api')).register();
  } catch (cause) {
    if (refusal !== undefined) {
      throw new KilnError('cli_usage', `${path} can not be loaded by this engine's way of TypeScript`, {
        given: refusal instanceof Error ? refusal.message : String(refusal),
        hint: 'npm install --save-dev tsx, which reads all of TypeScript',
        cause: refusal,
      });
    }
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
