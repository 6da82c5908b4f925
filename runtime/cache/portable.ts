/**
 * Entries in one file, to be carried to another machine: a container whose blobs are the entries, in the order of their
 * names. The same entries give the same bytes.
 *
 *     { "kind": "cache", "entries": [{ "kind": "kernel", "hash": "3f9a…" }] }
 */
import { KilnError } from '../../base/error.ts';
import { corrupt } from '../artefact/container.ts';
import { writeContainer } from '../artefact/write-container.ts';
import { readContained } from './entry.ts';
import { examine } from './examine.ts';
import { type EntryKind, type EntryName, entryKinds } from './store.ts';

/** An entry with its bytes. */
export interface CarriedEntry {
  readonly name: EntryName;
  readonly bytes: Uint8Array;
}

const compareNames = (a: EntryName, b: EntryName): number =>
  a.kind === b.kind ? (a.hash < b.hash ? -1 : 1) : a.kind < b.kind ? -1 : 1;

export function packEntries(entries: readonly CarriedEntry[]): Uint8Array {
  const ordered = [...entries].sort((a, b) => compareNames(a.name, b.name));
  return writeContainer(
    { kind: 'cache', entries: ordered.map(({ name: { kind, hash } }) => ({ kind, hash })) },
    ordered.map(({ bytes }) => bytes),
  );
}

export interface Unpacked {
  readonly good: readonly CarriedEntry[];
  /** Entries that are none, and why. */
  readonly damaged: readonly { readonly name: EntryName; readonly reason: string }[];
}

/**
 * The entries of a file, each looked at as if it had lain in the cache. A program without its kernels is good: they may
 * be there already.
 * @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact`
 */
export function unpackEntries(bytes: Uint8Array): Unpacked {
  const { content, blobs } = readContained(bytes);
  const names = namesIn(content);
  if (names.length !== blobs.length) throw corrupt(`${names.length} names for ${blobs.length} entries`);
  const byHash = new Map(names.map(({ kind, hash }, i) => [`${kind}/${hash}`, blobs[i]]));
  const examined = names.map((name, i) => ({
    name,
    bytes: blobs[i],
    result: examine(name, blobs[i], ({ kind, hash }) => byHash.get(`${kind}/${hash}`)),
  }));
  return {
    good: examined.filter(({ result }) => result.state !== 'damaged'),
    damaged: examined.flatMap(({ name, result }) =>
      result.state === 'damaged' ? [{ name, reason: result.reason }] : [],
    ),
  };
}

function namesIn(content: unknown): EntryName[] {
  const { kind, entries } = (content ?? {}) as { readonly kind?: unknown; readonly entries?: unknown };
  if (kind !== 'cache') {
    throw new KilnError('not_an_artefact', 'this file holds no entries of a cache', {
      given:
        typeof kind === 'string'
          ? `a container of kind ${JSON.stringify(kind.slice(0, 40))}`
          : 'a container of no kind',
      expected: 'what `kiln cache export` has written',
    });
  }
  if (!Array.isArray(entries)) throw corrupt('no list of entries');
  return (entries as readonly unknown[]).map((entry) => {
    const { kind: of, hash } = (entry ?? {}) as { readonly kind?: unknown; readonly hash?: unknown };
    if (!entryKinds.includes(of as EntryKind) || typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
      throw corrupt('an entry without a name');
    }
    return { kind: of as EntryKind, hash };
  });
}
