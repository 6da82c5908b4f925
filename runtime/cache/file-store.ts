/**
 * Entries as files, for Node:
 *
 *     <folder>/v1/program/3f/3f9a…     the container
 *     <folder>/v1/program/3f/.3f9a….1204.5be1.new     one that is being written, or whose writer has died
 *     <folder>/v1/trimmed              when the folder was last looked through
 *
 * A file is written beside its place and renamed to it, so that a reader sees all of it or nothing. When it was last
 * used is its time of modification, at most an hour behind. Many processes share a folder without locks: what two of
 * them write under one name is the same, and what one removes another finds missing.
 *
 * `node:` modules are asked for at run time, so that a page can load this file.
 */
import { debug, isDebugging } from '../../base/flags.ts';
import { formatVersion } from '../artefact/container.ts';
import { makeFolder } from './folder.ts';
import {
  defaultBounds,
  type EntryKind,
  type EntryName,
  type EntryStore,
  entryKinds,
  type StoreBounds,
  type StoredEntry,
  surplus,
  type Trimmed,
  touchedAfterMs,
  trimDelayMs,
} from './store.ts';

type Files = typeof import('node:fs');

interface NodeProcess {
  readonly pid: number;
  getBuiltinModule?(name: 'node:fs'): Files | undefined;
  once(event: 'exit', listener: () => void): void;
}

const hashPattern = /^[0-9a-f]{64}$/;
const shardPattern = /^[0-9a-f]{2}$/;
const unfinishedPattern = /^\.[0-9a-f]{64}\.\d+\.[0-9a-f]+\.new$/;
/** No entry is larger, however large the store may be: a buffer has to hold it. */
const mostEntryBytes = 2 ** 31;
/** A process looks through the folder after its first write when nobody has for so long. */
const trimmedEveryMs = 3_600_000;
/** And in any case after it has written this part of the bound itself. */
const trimmedEveryPart = 1 / 16;

/** Whether entries can be files here. */
export const hasFiles = (): boolean => nodeProcess()?.getBuiltinModule?.('node:fs') !== undefined;

const nodeProcess = (): NodeProcess | undefined => (globalThis as { readonly process?: NodeProcess }).process;

export interface FileStoreOptions {
  readonly bounds?: StoreBounds;
  /** Is told once that the folder can not be read or written. */
  readonly onFault?: (text: string) => void;
}

export class FileStore implements EntryStore {
  readonly place: string;
  readonly #bounds: StoreBounds;
  readonly #onFault: (text: string) => void;
  readonly #fs: Files;
  readonly #root: string;
  #hasFault = false;
  /** Bytes written since the folder was looked through. */
  #written = 0;
  #hasWritten = false;
  #isTrimPlanned = false;

  /** @param folder is made when something is written */
  constructor(folder: string, { bounds = defaultBounds, onFault = debugFault }: FileStoreOptions = {}) {
    this.place = folder;
    this.#bounds = bounds;
    this.#onFault = onFault;
    this.#fs = nodeProcess()!.getBuiltinModule!('node:fs')!;
    this.#root = `${folder}/v${formatVersion.major}`;
  }

  readSync(name: EntryName): Uint8Array | undefined {
    return this.#read(name, true);
  }

  /** Files of this size are read faster at once than in turns of the event loop. */
  read(name: EntryName): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#read(name, true));
  }

  readAll(names: readonly EntryName[]): Promise<readonly (Uint8Array | undefined)[]> {
    return Promise.resolve(names.map((name) => this.#read(name, true)));
  }

  /** Reads without a trace: the entry is as old as before. */
  peek(name: EntryName): Uint8Array | undefined {
    return this.#read(name, false);
  }

  write(name: EntryName, bytes: Uint8Array): void {
    if (bytes.length > this.#mostBytes) return;
    const folder = this.#folder(name);
    // Threads of a process share its number.
    const unfinished = `${folder}/.${name.hash}.${nodeProcess()!.pid}.${randomText()}.new`;
    try {
      this.#writeNew(folder, unfinished, bytes);
      this.#fs.renameSync(unfinished, this.#path(name));
    } catch (error) {
      this.#unlink(unfinished);
      this.#fault('written', error);
      return;
    }
    this.#written += bytes.length;
    this.#planTrim();
  }

  add(name: EntryName, bytes: () => Uint8Array): void {
    const status = this.#status(this.#path(name));
    if (status) this.#touch(name, status.mtimeMs);
    else this.write(name, bytes());
  }

  remove(name: EntryName): void {
    const error = this.#unlink(this.#path(name));
    if (error !== undefined && !isMissing(error)) this.#fault('cleaned', error);
  }

  async list(): Promise<readonly StoredEntry[]> {
    return [...this.#shards()].flatMap((shard) => this.#entriesOf(shard));
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  async trim(bounds: Partial<StoreBounds> = {}): Promise<Trimmed> {
    const trimming = this.#trimming({ ...this.#bounds, ...bounds });
    for (;;) {
      const step = trimming.next();
      if (step.done) return step.value;
      // Others have their turn between two folders.
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** The most bytes of an entry; one that is larger, as under other bounds, is as good as not there. */
  get #mostBytes(): number {
    return Math.min(mostEntryBytes, this.#bounds.bytes);
  }

  #read(name: EntryName, isUse: boolean): Uint8Array | undefined {
    let file: number | undefined;
    try {
      const { O_RDONLY, O_NONBLOCK = 0 } = this.#fs.constants;
      // Somebody may have put a pipe there, which nobody writes.
      file = this.#fs.openSync(this.#path(name), O_RDONLY | O_NONBLOCK);
      const status = this.#fs.fstatSync(file);
      const { size, mtimeMs } = status;
      // Of what is no file, those who ask find out with no bytes that it is no entry.
      if (!status.isFile()) return new Uint8Array(0);
      if (size > this.#mostBytes) return undefined;
      const bytes = new Uint8Array(size);
      let read = 0;
      while (read < bytes.length) {
        const count = this.#fs.readSync(file, bytes, read, bytes.length - read, read);
        if (count === 0) break;
        read += count;
      }
      if (isUse) this.#touch(name, mtimeMs);
      return bytes.subarray(0, read);
    } catch (error) {
      if (!isMissing(error)) this.#fault('read', error);
      return undefined;
    } finally {
      if (file !== undefined) this.#fs.closeSync(file);
    }
  }

  /** Others have no say about how long it is kept: the folder is for its owner alone. */
  #writeNew(folder: string, path: string, bytes: Uint8Array): void {
    try {
      this.#fs.writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if (!isMissing(error)) throw error;
      makeFolder(folder, 0o700);
      this.#fs.writeFileSync(path, bytes, { flag: 'wx', mode: 0o600 });
    }
  }

  /** Says that an entry is used. @param usedAt when that was said last */
  #touch(name: EntryName, usedAt: number): void {
    const now = Date.now();
    if (now - usedAt <= touchedAfterMs) return;
    try {
      this.#fs.utimesSync(this.#path(name), now / 1000, now / 1000);
    } catch (error) {
      if (!isMissing(error)) this.#fault('written', error);
    }
  }

  /**
   * Looks through the folder soon, when nobody has for an hour or much was written: while the process waits for
   * something, or at its end.
   */
  #planTrim(): void {
    const isMuch = this.#written > this.#bounds.bytes * trimmedEveryPart;
    if (this.#isTrimPlanned || (this.#hasWritten && !isMuch)) return;
    this.#hasWritten = true;
    if (!isMuch && Date.now() - this.#trimmedAt() < trimmedEveryMs) return;
    this.#isTrimPlanned = true;
    const timer = setTimeout(() => {
      if (this.#isTrimPlanned) void this.trim();
    }, trimDelayMs);
    timer.unref();
    atExit(this, () => {
      const trimming = this.#trimming(this.#bounds);
      while (!trimming.next().done);
    });
  }

  #trimmedAt(): number {
    return this.#status(`${this.#root}/trimmed`)?.mtimeMs ?? 0;
  }

  /** Pauses after every folder. Two that trim at once remove the same: the oldest. */
  *#trimming(bounds: StoreBounds): Generator<void, Trimmed, void> {
    this.#isTrimPlanned = false;
    trimsAtExit.delete(this);
    this.#written = 0;
    this.#stamp();
    const entries: StoredEntry[] = [];
    for (const shard of this.#shards()) {
      this.#sweep(shard);
      entries.push(...this.#entriesOf(shard));
      yield;
    }
    let [count, bytes] = [0, 0];
    for (const [i, entry] of surplus(entries, bounds).entries()) {
      if (i % 64 === 63) yield;
      // Somebody may have used it meanwhile.
      const now = this.#status(this.#path(entry));
      if (!now || now.mtimeMs > entry.usedAt) continue;
      this.remove(entry);
      count++;
      bytes += entry.bytes;
    }
    return { entries: count, bytes };
  }

  /** Says to other processes that this one is looking. */
  #stamp(): void {
    try {
      this.#fs.writeFileSync(`${this.#root}/trimmed`, '');
    } catch (error) {
      if (!isMissing(error)) this.#fault('written', error);
    }
  }

  /** Removes files whose writer has died: nobody writes for an hour. */
  #sweep({ path }: Shard): void {
    for (const name of this.#namesIn(path).filter((entry) => unfinishedPattern.test(entry))) {
      const status = this.#status(`${path}/${name}`);
      if (status && Date.now() - status.mtimeMs > trimmedEveryMs) this.#unlink(`${path}/${name}`);
    }
  }

  *#shards(): Generator<Shard> {
    for (const kind of entryKinds) {
      const names = this.#namesIn(`${this.#root}/${kind}`).filter((name) => shardPattern.test(name));
      for (const name of names) yield { kind, path: `${this.#root}/${kind}/${name}` };
    }
  }

  /** In the order of their names. */
  #entriesOf({ kind, path }: Shard): StoredEntry[] {
    return this.#namesIn(path).flatMap((hash) => {
      const isEntry = hashPattern.test(hash) && path.endsWith(hash.slice(0, 2));
      const status = isEntry ? this.#status(`${path}/${hash}`) : undefined;
      return status?.isFile() ? [{ kind, hash, bytes: status.size, usedAt: status.mtimeMs }] : [];
    });
  }

  /** The error of a file that is still there, or was not. */
  #unlink(path: string): unknown {
    try {
      this.#fs.unlinkSync(path);
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #status(path: string): import('node:fs').Stats | undefined {
    try {
      return this.#fs.statSync(path, { throwIfNoEntry: false });
    } catch {
      // Not to be looked at, so none of ours.
      return undefined;
    }
  }

  #namesIn(path: string): string[] {
    try {
      return this.#fs.readdirSync(path).sort();
    } catch (error) {
      if (!isMissing(error)) this.#fault('read', error);
      return [];
    }
  }

  #folder({ kind, hash }: EntryName): string {
    return `${this.#root}/${kind}/${hash.slice(0, 2)}`;
  }

  #path(name: EntryName): string {
    return `${this.#folder(name)}/${name.hash}`;
  }

  #fault(what: string, error: unknown): void {
    if (this.#hasFault) return;
    this.#hasFault = true;
    this.#onFault(`the cache in ${this.place} can not be ${what}: ${String(error)}`);
  }
}

interface Shard {
  readonly kind: EntryKind;
  readonly path: string;
}

const trimsAtExit = new Map<FileStore, () => void>();
let listensToExit = false;

/** What a store does when the process ends; all stores have one listener. */
function atExit(store: FileStore, trim: () => void): void {
  trimsAtExit.set(store, trim);
  if (listensToExit) return;
  listensToExit = true;
  nodeProcess()!.once('exit', () => {
    for (const each of trimsAtExit.values()) each();
  });
}

const isMissing = (error: unknown): boolean => (error as { readonly code?: unknown }).code === 'ENOENT';

const randomText = (): string => Math.floor(Math.random() * 2 ** 48).toString(16);

export function debugFault(text: string): void {
  if (isDebugging('cache')) debug('cache', text);
}
