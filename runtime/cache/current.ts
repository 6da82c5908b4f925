/**
 * The cache that holds for the session: files in Node, IndexedDB in a browser, none where somebody has turned it off.
 * Nothing is opened, read or made before something is asked of it, or `init` begins a session in a page.
 *
 *     configureCache({ maxBytes: 100e6 });              // as `init({ cache })` does
 *     currentCache(compilerVersion())?.findProgramSync(key)
 *
 * KILN_CACHE=off is the last word. A folder is the one that the session asks for, else KILN_CACHE_DIR, else the one
 * that the system has for such files of a user.
 */
import { KilnError } from '../../base/error.ts';
import { flag, isFlagOff } from '../../base/flags.ts';
import { BrowserStore, hasDatabase } from './browser-store.ts';
import { CompiledCache } from './compiled-cache.ts';
import { FileStore, hasFiles } from './file-store.ts';
import { userFolder } from './folder.ts';
import { defaultBounds, type EntryStore, type StoreBounds } from './store.ts';

export interface CacheOptions {
  /** Where files are kept; in a browser it has no meaning. */
  readonly directory?: string;
  /** The most bytes that are kept, about; 512 MB unless given. */
  readonly maxBytes?: number;
  /** The most entries that are kept, about; 16,384 unless given. */
  readonly maxEntries?: number;
}

let configured: CacheOptions | false = {};
let current: { readonly key: string; readonly cache: CompiledCache } | undefined;

/**
 * What holds from now on; `false` keeps nothing, `undefined` is the default.
 * @throws KilnError `invalid_argument`
 */
export function configureCache(options: CacheOptions | false | undefined): void {
  configured = options === undefined || options === false ? (options ?? {}) : checked(options);
}

/** What was configured: plain data, for a thread that shall have the same cache. */
export const cacheConfiguration = (): CacheOptions | false => configured;

/**
 * The session's cache; `undefined` where there is none.
 * @param version of the compiler; where it is not known, nothing can be kept
 */
export function currentCache(version: string | undefined): CompiledCache | undefined {
  if (version === undefined || configured === false || isFlagOff('KILN_CACHE')) return undefined;
  const folder = hasFiles() ? cacheFolder() : undefined;
  const bounds = boundsOf(configured);
  const key = `${version} ${bounds.bytes} ${bounds.entries} ${folder}`;
  if (current?.key === key) return current.cache;
  const store = storeAt(folder, bounds);
  if (!store) return undefined;
  current = { key, cache: new CompiledCache(store, version) };
  return current.cache;
}

/** The folder of the session's cache in Node; `undefined` where the user has none. */
export const cacheFolder = (): string | undefined =>
  (configured !== false ? configured.directory : undefined) ?? flag('KILN_CACHE_DIR') ?? userFolder();

function storeAt(folder: string | undefined, bounds: StoreBounds): EntryStore | undefined {
  if (hasFiles()) return folder === undefined ? undefined : new FileStore(folder, { bounds });
  return hasDatabase() ? new BrowserStore({ bounds }) : undefined;
}

const boundsOf = ({ maxBytes, maxEntries }: CacheOptions): StoreBounds => ({
  bytes: maxBytes ?? defaultBounds.bytes,
  entries: maxEntries ?? defaultBounds.entries,
});

const known: readonly string[] = ['directory', 'maxBytes', 'maxEntries'] satisfies (keyof CacheOptions)[];

function checked(options: CacheOptions): CacheOptions {
  const refuse = (given: string, expected: string): never => {
    throw new KilnError('invalid_argument', 'cache: an option is not right', { given, expected });
  };
  if (typeof options !== 'object' || options === null) refuse(String(options), 'false, or an object of options');
  for (const name of Object.keys(options)) if (!known.includes(name)) refuse(`option ${name}`, known.join(', '));
  const { directory, maxBytes, maxEntries } = options;
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    refuse(`directory: ${String(directory)}`, 'the path of a folder');
  }
  for (const [name, value] of Object.entries({ maxBytes, maxEntries })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) {
      refuse(`${name}: ${String(value)}`, 'a positive integer');
    }
  }
  return { ...options };
}
