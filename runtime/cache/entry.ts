/**
 * Entries of the cache: containers (`artefact/container.ts`) that say in their header what they are and for what they
 * were asked. The name of an entry follows from that, so one that lies under another's name shows.
 *
 *     const bytes = writeEntry({ kind: 'trace', version, key, trace: { … } }, []);
 *     readEntry(entryName('trace', version, key), bytes).content.trace
 *
 * An entry has exactly one form: of a signature, of another minor version, or of anything between the blobs there is
 * none, so that whatever byte changes, the entry is refused.
 */
import { KilnError } from '../../base/error.ts';
import { hashOf } from '../../base/hash.ts';
import { corrupt, formatVersion, preambleBytes, toHex } from '../artefact/container.ts';
import type { KernelRecord, ProgramRecord } from '../artefact/records.ts';
import { hashedNow, readWhole } from '../artefact/whole-container.ts';
import { writeContainer } from '../artefact/write-container.ts';
import { subtleCrypto } from '../load/web-crypto.ts';
import type { EntryKind, EntryName } from './store.ts';

interface EntryOf<Kind extends EntryKind> {
  readonly kind: Kind;
  /** That of the compiler which has made it. */
  readonly version: string;
  /** Of a kernel, its hash; else what the tracer asks for. */
  readonly key: string;
}

export interface ProgramEntry extends EntryOf<'program'> {
  readonly program: ProgramRecord;
}

export interface KernelEntry extends EntryOf<'kernel'> {
  readonly kernel: KernelRecord;
}

export interface TraceEntry extends EntryOf<'trace'> {
  /** Plain data of the tracer. */
  readonly trace: unknown;
}

export type EntryContent = ProgramEntry | KernelEntry | TraceEntry;

/** An entry whose bytes and name are right; what the tracer or a device makes of it is not checked. */
export interface Entry {
  readonly content: EntryContent;
  readonly blobs: readonly Uint8Array[];
}

/** What is asked for, and the name that follows from it. */
export interface AskedEntry extends EntryName {
  readonly version: string;
  readonly key: string;
}

/** The code of a kernel, too, depends on the compiler that has made it. */
export const entryName = (kind: EntryKind, version: string, key: string): AskedEntry => ({
  kind,
  hash: hashOf(`kiln ${kind} ${version}\n${key}`),
  version,
  key,
});

export const writeEntry = (content: EntryContent, blobs: readonly Uint8Array[]): Uint8Array =>
  writeContainer(content, blobs);

/** A container whose every byte is accounted for. */
export interface Contained {
  /** Not checked. */
  readonly content: unknown;
  readonly blobs: readonly Uint8Array[];
}

/** @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact` */
export const readContained = (bytes: Uint8Array): Contained => hashedNow(verified(bytes));

/** @throws KilnError as `readContained` does, and `corrupt_artefact` for an entry of another name */
export function readEntry(name: EntryName, bytes: Uint8Array): Entry {
  const { content, blobs } = readContained(bytes);
  return { content: contentOf(content, name), blobs };
}

/** The same beside other work, where hashing can be that. */
export async function readEntryAside(name: EntryName, bytes: Uint8Array): Promise<Entry> {
  const reading = verified(bytes);
  let step = reading.next();
  while (!step.done) step = reading.next(await hashAside(step.value));
  const { content, blobs } = step.value;
  return { content: contentOf(content, name), blobs };
}

/** Yields bytes and takes their hash. Entries say nothing beside what is under a hash. */
function* verified(bytes: Uint8Array): Generator<Uint8Array, Contained, string> {
  const { preamble, header, blobs } = yield* readWhole(bytes);
  const { minor, signature } = preamble;
  if (minor !== formatVersion.minor) throw corrupt(`a cache entry of format ${formatVersion.major}.${minor}`);
  if (signature.some((byte) => byte !== 0)) throw corrupt('a cache entry with a signature');
  let end = preambleBytes + preamble.headerBytes;
  header.offsets.forEach((begin, i) => {
    if (bytes.subarray(end, begin).some((byte) => byte !== 0)) throw corrupt(`bytes before blob ${i}`);
    end = begin + header.blobs[i].bytes;
  });
  return { content: header.content, blobs };
}

/** What the header holds, if it is what the name asks for. Its records are not checked. */
function contentOf(content: unknown, name: EntryName | AskedEntry): EntryContent {
  if (typeof content !== 'object' || content === null) throw corrupt('a header without a record');
  const { kind } = name;
  const fields = content as { readonly [name: string]: unknown };
  if (fields.kind !== kind || typeof fields.version !== 'string' || typeof fields.key !== 'string') {
    throw corrupt(`another entry than a ${kind}`);
  }
  const asked = 'key' in name ? name : entryName(kind, fields.version, fields.key);
  if (asked.hash !== name.hash || asked.key !== fields.key || asked.version !== fields.version) {
    throw corrupt('the entry of another name');
  }
  const isThere = kind === 'trace' ? fields.trace !== undefined : typeof fields[kind] === 'object' && fields[kind];
  if (!isThere) throw corrupt(`no ${kind} in it`);
  return fields as unknown as EntryContent;
}

/** By WebCrypto where that is at hand: JavaScript that has just been loaded hashes slowly. */
async function hashAside(bytes: Uint8Array): Promise<string> {
  const { process } = globalThis as { readonly process?: { readonly getBuiltinModule?: unknown } };
  const subtle = subtleCrypto();
  if (process?.getBuiltinModule || !subtle) return hashOf(bytes);
  return toHex(new Uint8Array(await subtle.digest('SHA-256', bytes)));
}

/** Why an entry is none, in a few words. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof KilnError)) return String(error);
  return error.code === 'invalid_program' ? error.summary : (error.given ?? error.summary);
}
