/**
 * Where compiled things are kept from process to process: files in Node, IndexedDB in a browser. An entry is a
 * container (`artefact/container.ts`) under the hash of everything that shapes it, so an entry never changes, and two
 * processes that write one write the same.
 */

/**
 * - `program`: by the module, the options, the compiler's version and the tier.
 * - `kernel`: the code of one kernel, which programs share, by its own hash.
 * - `trace`: what a function came to under an explicit key: which program, and how its results are put together.
 */
export type EntryKind = 'program' | 'kernel' | 'trace';

export interface EntryName {
  readonly kind: EntryKind;
  /** SHA-256 in hex. */
  readonly hash: string;
}

export interface StoredEntry extends EntryName {
  readonly bytes: number;
  /** When it was last written or read, in milliseconds since 1970; about. */
  readonly usedAt: number;
}

/**
 * Nothing here throws for a store that is full, read-only or gone: a read finds nothing, a write does nothing, and
 * `onFault` is told once.
 */
export interface EntryStore {
  /** Where it is, for people. */
  readonly place: string;
  /** Reads now; absent where the store can only be waited for. */
  readSync?(name: EntryName): Uint8Array | undefined;
  read(name: EntryName): Promise<Uint8Array | undefined>;
  /** Keeps an entry, as a whole or not at all. Files are there when it returns. */
  write(name: EntryName, bytes: Uint8Array): void;
  remove(name: EntryName): void;
  /** All entries, in the order of their names. */
  list(): Promise<readonly StoredEntry[]>;
  /** Resolves when what was written is there. */
  settle(): Promise<void>;
}
