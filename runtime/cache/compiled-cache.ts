/**
 * What was compiled, kept from process to process: programs, the kernels they share, and traces, over a place that
 * keeps bytes (`store.ts`).
 *
 *     const cache = new CompiledCache(new FileStore(folder), compilerVersion);
 *     cache.keepProgram(key, program);
 *     cache.findProgramSync(key)       // the same program, in this process or another; undefined where there is none
 *
 * A store is somebody else's word. An entry that is damaged, foreign, or no program is removed, with one notice for
 * the process, and is a miss: whoever asked compiles, and keeps what that gives.
 */
import { debug, isDebugging } from '../../base/flags.ts';
import { recordKernel, recordProgram } from '../artefact/program-record.ts';
import type { Program, ProgramKernel } from '../program.ts';
import { assertKernel, checkedKernel, checkedProgram, kernelHashes, type NamelessKernel } from './checked.ts';
import { noticeDamage } from './damage-notice.ts';
import {
  type AskedEntry,
  type Entry,
  type EntryContent,
  entryName,
  type KernelEntry,
  readEntry,
  readEntryAside,
  reasonOf,
  type TraceEntry,
  writeEntry,
} from './entry.ts';
import type { EntryKind, EntryName, EntryStore } from './store.ts';

export type { NamelessKernel };

/** What was asked for and found or not, in this process. Kernels that come with a program found are not counted. */
export interface CacheCounts {
  readonly hits: Record<EntryKind, number>;
  readonly misses: Record<EntryKind, number>;
  /** Entries that were there and are not what they should be. */
  dropped: number;
}

export class CompiledCache {
  readonly store: EntryStore;
  readonly version: string;
  readonly counts: CacheCounts = {
    hits: { program: 0, kernel: 0, trace: 0 },
    misses: { program: 0, kernel: 0, trace: 0 },
    dropped: 0,
  };
  /** Hashes of kernels that the store has had while this process ran. */
  readonly #stored = new Set<string>();

  /** @param version of the compiler: another one finds nothing of this one's */
  constructor(store: EntryStore, version: string) {
    this.store = store;
    this.version = version;
  }

  /** Whether the store answers at once; where it does not, the functions that end in `Sync` find nothing. */
  get isSync(): boolean {
    return this.store.readSync !== undefined;
  }

  /** @param key of everything that shapes the program, but for the version of the compiler */
  findProgramSync(key: string): Program | undefined {
    if (!this.isSync) return undefined;
    const name = this.#name('program', key);
    const entry = this.#readSync(name);
    if (!entry) return this.#count<Program>('program', undefined);
    const kernels = kernelHashes(entry).map((hash) => this.#kernelEntrySync(hash));
    return this.#count('program', this.#programOf(name, entry, kernels));
  }

  async findProgram(key: string): Promise<Program | undefined> {
    const name = this.#name('program', key);
    const entry = await this.#read(name);
    if (!entry) return this.#count<Program>('program', undefined);
    const kernels = await this.#kernelEntries(kernelHashes(entry));
    return this.#count('program', this.#programOf(name, entry, kernels));
  }

  /**
   * Keeps a program, and those of its kernels that are not kept yet. The kernels come last, so that of what was used
   * longest ago a program is removed before what it needs.
   */
  keepProgram(key: string, program: Program): void {
    const blobs: Uint8Array[] = [];
    const record = recordProgram(program, (bytes) => blobs.push(bytes) - 1);
    this.#write({ kind: 'program', version: this.version, key, program: record }, blobs);
    for (const kernel of program.kernels) this.#addKernel(kernel);
  }

  findKernelSync(hash: string): NamelessKernel | undefined {
    return this.isSync ? this.#count('kernel', this.#kernelOf(this.#kernelEntrySync(hash))) : undefined;
  }

  async findKernel(hash: string): Promise<NamelessKernel | undefined> {
    return this.#count('kernel', this.#kernelOf((await this.#kernelEntries([hash]))[0]));
  }

  /** What `keepTrace` was given; whether it is a trace, the tracer sees, and calls `dropTrace` where it is none. */
  findTraceSync(key: string): unknown {
    if (!this.isSync) return undefined;
    const entry = this.#readSync(this.#name('trace', key));
    return this.#count('trace', entry && (entry.content as TraceEntry).trace);
  }

  async findTrace(key: string): Promise<unknown> {
    const entry = await this.#read(this.#name('trace', key));
    return this.#count('trace', entry && (entry.content as TraceEntry).trace);
  }

  /** @param trace plain data: numbers, texts, booleans, null, and lists and records of such */
  keepTrace(key: string, trace: unknown): void {
    this.#write({ kind: 'trace', version: this.version, key, trace }, []);
  }

  /** Removes a trace that was found and is none. */
  dropTrace(key: string, reason: string): void {
    this.#drop(this.#name('trace', key), reason);
  }

  /** Resolves when what was kept is there. */
  settle(): Promise<void> {
    return this.store.settle();
  }

  #name(kind: EntryKind, key: string): AskedEntry {
    return entryName(kind, this.version, key);
  }

  #count<T>(kind: EntryKind, found: T | undefined): T | undefined {
    this.counts[found === undefined ? 'misses' : 'hits'][kind]++;
    return found;
  }

  #readSync(name: AskedEntry): Entry | undefined {
    const bytes = this.store.readSync?.(name);
    if (!bytes) return undefined;
    try {
      return readEntry(name, bytes);
    } catch (error) {
      return this.#drop(name, reasonOf(error));
    }
  }

  async #read(name: AskedEntry): Promise<Entry | undefined> {
    return this.#opened(name, await this.store.read(name));
  }

  async #opened(name: AskedEntry, bytes: Uint8Array | undefined): Promise<Entry | undefined> {
    if (!bytes) return undefined;
    try {
      return await readEntryAside(name, bytes);
    } catch (error) {
      return this.#drop(name, reasonOf(error));
    }
  }

  #kernelEntrySync(hash: string): Entry | undefined {
    const name = this.#name('kernel', hash);
    return this.#noted(hash, name, this.#readSync(name));
  }

  async #kernelEntries(hashes: readonly string[]): Promise<(Entry | undefined)[]> {
    const names = hashes.map((hash) => this.#name('kernel', hash));
    const all = await this.store.readAll(names);
    return Promise.all(names.map(async (name, i) => this.#noted(hashes[i], name, await this.#opened(name, all[i]))));
  }

  /** The entry of a kernel, if it is that of one; remembers whether the store has it. */
  #noted(hash: string, name: EntryName, entry: Entry | undefined): Entry | undefined {
    this.#stored.delete(hash);
    if (!entry) return undefined;
    try {
      assertKernel(entry);
      this.#stored.add(hash);
      return entry;
    } catch (error) {
      return this.#drop(name, reasonOf(error));
    }
  }

  #kernelOf(entry: Entry | undefined): NamelessKernel | undefined {
    if (!entry) return undefined;
    const { key } = entry.content as KernelEntry;
    try {
      return checkedKernel(entry);
    } catch (error) {
      this.#stored.delete(key);
      return this.#drop(this.#name('kernel', key), reasonOf(error));
    }
  }

  /**
   * A program whose kernels are not all there is none: it is compiled again, which keeps those that are missing. Kernels
   * are checked with their program, and one by one only where that fails.
   */
  #programOf(name: EntryName, entry: Entry, kernels: readonly (Entry | undefined)[]): Program | undefined {
    const found = kernels.filter((kernel) => kernel !== undefined);
    if (found.length < kernels.length) return undefined;
    try {
      return checkedProgram(entry, new Map(found.map((kernel) => [kernel.content.key, kernel])));
    } catch (error) {
      const areKernelsRight = found.filter((kernel) => this.#kernelOf(kernel)).length === found.length;
      return areKernelsRight ? this.#drop(name, reasonOf(error)) : undefined;
    }
  }

  /** Keeps a kernel that is not there. */
  #addKernel(kernel: ProgramKernel): void {
    const { hash } = kernel;
    if (this.#stored.has(hash)) return;
    this.store.add(this.#name('kernel', hash), () => {
      const blobs: Uint8Array[] = [];
      const record = recordKernel(kernel, (bytes) => blobs.push(bytes) - 1);
      return writeEntry({ kind: 'kernel', version: this.version, key: hash, kernel: record }, blobs);
    });
    this.#stored.add(hash);
  }

  #write(content: EntryContent, blobs: readonly Uint8Array[]): void {
    this.store.write(this.#name(content.kind, content.key), writeEntry(content, blobs));
  }

  #drop(name: EntryName, reason: string): undefined {
    this.counts.dropped++;
    this.store.remove(name);
    const text = `${name.kind} ${name.hash.slice(0, 16)} is removed and compiled again: ${reason}`;
    if (isDebugging('cache')) debug('cache', text);
    noticeDamage(
      `kiln: an entry of the cache in ${this.store.place} was damaged: ${text}. ` +
        'Further ones will not be reported; `kiln cache verify` looks at all.',
    );
  }
}
