/** An artefact that lies in memory as a whole, with every hash checked: for the tools. Loaders read as bytes arrive. */
import { hashOf } from '../../base/hash.ts';
import {
  corrupt,
  type Header,
  type Preamble,
  preambleBytes,
  readHeader,
  readPreamble,
  truncated,
} from '../../runtime/artefact/container.ts';
import { readArtefact } from '../../runtime/artefact/read-artefact.ts';
import type { ArtefactContent } from '../../runtime/artefact/records.ts';

export interface OpenArtefact {
  readonly preamble: Preamble;
  readonly header: Header;
  readonly content: ArtefactContent;
  readonly blobs: readonly Uint8Array[];
}

/** @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact` */
export function openArtefact(bytes: Uint8Array): OpenArtefact {
  const preamble = readPreamble(bytes);
  const headerText = bytes.subarray(preambleBytes, preambleBytes + preamble.headerBytes);
  if (headerText.length < preamble.headerBytes) {
    throw truncated(bytes.length, `a header of ${preamble.headerBytes} bytes`);
  }
  if (hashOf(headerText) !== preamble.headerHash) throw corrupt('a header that is not what its hash says');
  const header = readHeader(headerText);
  if (bytes.length < header.totalBytes) throw truncated(bytes.length, `${header.totalBytes} bytes`);
  if (bytes.length > header.totalBytes) throw corrupt(`${bytes.length - header.totalBytes} bytes too many`);
  const blobs = header.blobs.map((blob, i) => bytes.subarray(header.offsets[i], header.offsets[i] + blob.bytes));
  for (const [i, blob] of blobs.entries()) {
    if (hashOf(blob) !== header.blobs[i].sha256) throw corrupt(`blob ${i}, which is not what its hash says`);
  }
  const content = readArtefact(header.content, blobs.length);
  assertSchedules(content.schedules);
  return { preamble, header, content, blobs };
}

/** What no loader looks at. */
function assertSchedules(schedules: unknown): void {
  const isPair = (entry: unknown): boolean =>
    Array.isArray(entry) && entry.length === 2 && entry.every((part) => typeof part === 'string');
  if (schedules !== undefined && !(Array.isArray(schedules) && schedules.every(isPair))) {
    throw corrupt('schedules that are none');
  }
}
