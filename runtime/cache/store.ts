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
export const entryKinds = ['kernel', 'program', 'trace'] as const;
export type EntryKind = (typeof entryKinds)[number];

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

export interface StoreBounds {
  readonly bytes: number;
  readonly entries: number;
}

/** What holds unless something else is said: 512 MB, and as many entries as a folder is listed quickly with. */
export const defaultBounds: StoreBounds = { bytes: 512e6, entries: 16_384 };

export interface Trimmed {
  readonly entries: number;
  readonly bytes: number;
}

/** A store does not say again for an hour that an entry was used. */
export const touchedAfterMs = 3_600_000;

/** How long after a write a store looks for what to remove. */
export const trimDelayMs = 5000;

/** What needs others goes before them. */
const order: readonly EntryKind[] = ['trace', 'program', 'kernel'];

/**
 * What to remove, the one that was used longest ago first. Once bounds are crossed a tenth more goes, so that this is
 * rare.
 */
export function surplus(entries: readonly StoredEntry[], bounds: StoreBounds): StoredEntry[] {
  let count = entries.length;
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (count <= bounds.entries && bytes <= bounds.bytes) return [];
  const byAge = [...entries].sort((a, b) => a.usedAt - b.usedAt || order.indexOf(a.kind) - order.indexOf(b.kind));
  const end = byAge.findIndex((entry) => {
    if (count <= 0.9 * bounds.entries && bytes <= 0.9 * bounds.bytes) return true;
    count--;
    bytes -= entry.bytes;
    return false;
  });
  return end < 0 ? byAge : byAge.slice(0, end);
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
  /** Several, faster than one by one. */
  readAll(names: readonly EntryName[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Keeps an entry, as a whole or not at all, in place of one that is there. Files are there when it returns. */
  write(name: EntryName, bytes: Uint8Array): void;
  /** Keeps an entry unless there is one of that name, which counts as used. */
  add(name: EntryName, bytes: () => Uint8Array): void;
  remove(name: EntryName): void;
  /** Begins what the first read would wait for; absent where that is nothing. */
  open?(): void;
  /** All entries, in the order of their names. */
  list(): Promise<readonly StoredEntry[]>;
  /** Resolves when what was written is there. */
  settle(): Promise<void>;
  /** Removes what was used longest ago until the rest is within bounds, and what writers have left behind. */
  trim(bounds?: Partial<StoreBounds>): Promise<Trimmed>;
}
