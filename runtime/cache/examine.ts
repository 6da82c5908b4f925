/**
 * What an entry is worth, looked at without using it: for `kiln cache verify`, and for what comes from elsewhere.
 *
 *     examine(name, bytes, (kernel) => store.peek(kernel))     // { state: 'damaged', reason: 'blob 0, which …' }
 */
import { checkedKernel, checkedProgram, kernelHashes } from './checked.ts';
import { type Entry, entryName, readEntry, reasonOf } from './entry.ts';
import type { EntryName } from './store.ts';

export type Examined =
  | { readonly state: 'good'; readonly entry: Entry }
  /** Right, but of no use: a program some of whose kernels are gone. */
  | { readonly state: 'incomplete'; readonly entry: Entry }
  | { readonly state: 'damaged'; readonly reason: string };

/** @param read gives the bytes of other entries, the kernels of a program */
export function examine(
  name: EntryName,
  bytes: Uint8Array,
  read: (name: EntryName) => Uint8Array | undefined,
): Examined {
  try {
    const entry = readEntry(name, bytes);
    if (name.kind === 'kernel') checkedKernel(entry);
    if (name.kind !== 'program') return { state: 'good', entry };
    const kernels = kernelsFor(entry, read);
    if (!kernels) return { state: 'incomplete', entry };
    checkedProgram(entry, kernels);
    return { state: 'good', entry };
  } catch (error) {
    return { state: 'damaged', reason: reasonOf(error) };
  }
}

/** Entries of all kernels of a program; `undefined` when one is missing or damaged itself. */
function kernelsFor(
  entry: Entry,
  read: (name: EntryName) => Uint8Array | undefined,
): ReadonlyMap<string, Entry> | undefined {
  const kernels = new Map<string, Entry>();
  for (const hash of kernelHashes(entry)) {
    const name = entryName('kernel', entry.content.version, hash);
    const bytes = read(name);
    const kernel = bytes && examine(name, bytes, read);
    if (kernel?.state !== 'good') return undefined;
    kernels.set(hash, kernel.entry);
  }
  return kernels;
}
