/**
 * Entries in IndexedDB, for browsers, in one database of the origin:
 *
 *     kiln-cache / entries     'program/3f9a…' → Uint8Array
 *                / uses        'program/3f9a…' → { name, bytes, usedAt }, with an index over usedAt
 *
 * The two change together, in one transaction; listing and trimming read no entry. Where there is no database, as in
 * some private windows, or it does not open, nothing is found and nothing kept. `idb` is loaded with the first use.
 */
import type { DBSchema, IDBPDatabase, IDBPObjectStore } from 'idb';
import { debugFault } from './file-store.ts';
import {
  defaultBounds,
  type EntryKind,
  type EntryName,
  type EntryStore,
  type StoreBounds,
  type StoredEntry,
  surplus,
  type Trimmed,
  touchedAfterMs,
  trimDelayMs,
} from './store.ts';

interface Use {
  readonly name: string;
  readonly bytes: number;
  readonly usedAt: number;
}

interface Schema extends DBSchema {
  entries: { key: string; value: Uint8Array };
  uses: { key: string; value: Use; indexes: { usedAt: number } };
}

type Database = IDBPDatabase<Schema>;

type StoreOf<Name extends 'entries' | 'uses'> = IDBPObjectStore<Schema, ('entries' | 'uses')[], Name, 'readwrite'>;

interface Stores {
  readonly entries: StoreOf<'entries'>;
  readonly uses: StoreOf<'uses'>;
}

const databaseName = 'kiln-cache';
const databaseVersion = 1;
/** Some engines leave a request to open unanswered for ever. */
const openedWithinMs = 3000;

/** Whether there is IndexedDB here; whether it opens, the store finds out. */
export function hasDatabase(): boolean {
  try {
    return (globalThis as { readonly indexedDB?: unknown }).indexedDB !== undefined;
  } catch {
    // A frame that may keep nothing.
    return false;
  }
}

export interface BrowserStoreOptions {
  readonly bounds?: StoreBounds;
  /** Name of the database. */
  readonly name?: string;
  /** Is told once that the database can not be read or written. */
  readonly onFault?: (text: string) => void;
}

export class BrowserStore implements EntryStore {
  readonly place: string;
  readonly #name: string;
  readonly #bounds: StoreBounds;
  readonly #onFault: (text: string) => void;
  #hasFault = false;
  #database: Promise<Database | undefined> | undefined;
  readonly #pending = new Set<Promise<void>>();
  #isTrimPlanned = false;

  constructor({ bounds = defaultBounds, name = databaseName, onFault = debugFault }: BrowserStoreOptions = {}) {
    this.#name = name;
    this.place = `IndexedDB '${name}'`;
    this.#bounds = bounds;
    this.#onFault = onFault;
  }

  async read(name: EntryName): Promise<Uint8Array | undefined> {
    return (await this.readAll([name]))[0];
  }

  async readAll(names: readonly EntryName[]): Promise<readonly (Uint8Array | undefined)[]> {
    const keys = names.map(keyOf);
    const found = await this.#try('read', (database) => {
      const { store } = database.transaction('entries');
      return Promise.all(keys.map((key) => store.get(key)));
    });
    const used = keys.filter((_, i) => found?.[i] !== undefined);
    if (used.length > 0) this.#after('written', (database) => touch(database, used));
    // What somebody else has put there is no entry.
    return keys.map((_, i) => {
      const bytes: unknown = found?.[i];
      return bytes === undefined || bytes instanceof Uint8Array ? bytes : new Uint8Array(0);
    });
  }

  write(name: EntryName, bytes: Uint8Array): void {
    if (bytes.length > this.#bounds.bytes) return;
    this.#after('written', (database) => put(database, keyOf(name), bytes, true));
    this.#planTrim();
  }

  add(name: EntryName, bytes: () => Uint8Array): void {
    this.#after('written', async (database) => {
      const key = keyOf(name);
      if ((await database.getKey('entries', key)) !== undefined) return touch(database, [key]);
      const made = bytes();
      if (made.length <= this.#bounds.bytes) await put(database, key, made, false);
    });
    this.#planTrim();
  }

  remove(name: EntryName): void {
    this.#after('cleaned', (database) => removeAll(database, [keyOf(name)]));
  }

  async list(): Promise<readonly StoredEntry[]> {
    await this.settle();
    const uses = (await this.#try('read', (database) => database.getAll('uses'))) ?? [];
    return uses.map(({ name, bytes, usedAt }) => ({ ...nameOf(name), bytes, usedAt }));
  }

  open(): void {
    void this.#open();
  }

  async settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  async trim(bounds: Partial<StoreBounds> = {}): Promise<Trimmed> {
    this.#isTrimPlanned = false;
    const gone = surplus(await this.list(), { ...this.#bounds, ...bounds });
    await this.#try('cleaned', (database) => removeAll(database, gone.map(keyOf)));
    return { entries: gone.length, bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** Ends the connection; the next use makes another. */
  async close(): Promise<void> {
    await this.settle();
    (await this.#database)?.close();
    this.#database = undefined;
  }

  #planTrim(): void {
    if (this.#isTrimPlanned) return;
    this.#isTrimPlanned = true;
    const timer: unknown = setTimeout(() => void this.trim(), trimDelayMs);
    // Where timers keep a process, this one shall not.
    (timer as { unref?(): void }).unref?.();
  }

  /** Does it later, in the order in which it was asked for. */
  #after(what: string, task: (database: Database) => Promise<void>): void {
    const done = this.#try(what, task).finally(() => this.#pending.delete(done));
    this.#pending.add(done);
  }

  async #try<T>(what: string, task: (database: Database) => Promise<T>): Promise<T | undefined> {
    try {
      const database = await this.#open();
      return database && (await task(database));
    } catch (error) {
      if (isFull(error)) this.#planTrim();
      this.#fault(what, error);
      return undefined;
    }
  }

  #open(): Promise<Database | undefined> {
    this.#database ??= this.#connect();
    return this.#database;
  }

  async #connect(): Promise<Database | undefined> {
    const forget = (): void => {
      this.#database = undefined;
    };
    try {
      const { openDB } = await import('idb');
      const opening = openDB<Schema>(this.#name, databaseVersion, {
        upgrade(database) {
          database.createObjectStore('entries');
          database.createObjectStore('uses', { keyPath: 'name' }).createIndex('usedAt', 'usedAt');
        },
        blocking: (_current, _blocked, event) => {
          forget();
          (event.target as { close?(): void } | null)?.close?.();
        },
        terminated: forget,
      });
      return await inTime(opening);
    } catch (error) {
      this.#fault('opened', error);
      return undefined;
    }
  }

  #fault(what: string, error: unknown): void {
    if (this.#hasFault) return;
    this.#hasFault = true;
    this.#onFault(`the cache in ${this.place} can not be ${what}: ${String(error)}`);
  }
}

const keyOf = ({ kind, hash }: EntryName): string => `${kind}/${hash}`;

const nameOf = (key: string): EntryName => {
  const [kind, hash] = key.split('/');
  return { kind: kind as EntryKind, hash };
};

/** Changes both stores, or nothing. */
async function change(database: Database, task: (stores: Stores) => Promise<unknown>): Promise<void> {
  const transaction = database.transaction<('entries' | 'uses')[], 'readwrite'>(['entries', 'uses'], 'readwrite');
  const isDone = transaction.done;
  // What fails first is what is reported.
  isDone.catch(() => {});
  await task({ entries: transaction.objectStore('entries'), uses: transaction.objectStore('uses') });
  await isDone;
}

const put = (database: Database, key: string, bytes: Uint8Array, isReplacing: boolean): Promise<void> =>
  change(database, async ({ entries, uses }) => {
    if (!isReplacing && (await entries.getKey(key)) !== undefined) return;
    await Promise.all([entries.put(bytes, key), uses.put({ name: key, bytes: bytes.length, usedAt: Date.now() })]);
  });

async function touch(database: Database, keys: readonly string[]): Promise<void> {
  const { store } = database.transaction('uses');
  const uses = await Promise.all(keys.map((key) => store.get(key)));
  const stale = uses.filter((use) => use && Date.now() - use.usedAt > touchedAfterMs);
  if (stale.length === 0) return;
  await change(database, ({ uses }) =>
    Promise.all(
      stale.map(async (use) => {
        // It may be gone meanwhile, and stays gone.
        const now = await uses.get(use!.name);
        if (now) await uses.put({ ...now, usedAt: Date.now() });
      }),
    ),
  );
}

const removeAll = (database: Database, keys: readonly string[]): Promise<void> =>
  change(database, ({ entries, uses }) => Promise.all(keys.flatMap((key) => [entries.delete(key), uses.delete(key)])));

const isFull = (error: unknown): boolean =>
  (error as { readonly name?: unknown } | null)?.name === 'QuotaExceededError';

/** The database, unless it takes too long; one that opens later is closed. */
async function inTime(opening: Promise<Database>): Promise<Database> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      void opening.then((database) => database.close());
      reject(new Error(`it does not open within ${openedWithinMs} ms`));
    }, openedWithinMs);
  });
  try {
    return await Promise.race([opening, late]);
  } finally {
    clearTimeout(timer);
  }
}
