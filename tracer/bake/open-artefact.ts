/** An artefact that lies in memory as a whole, with every hash checked: for the tools. Loaders read as bytes arrive. */
import { KilnError } from '../../base/error.ts';
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
  return { preamble, header, content: contentOf(header.content), blobs };
}

function contentOf(content: unknown): ArtefactContent {
  const { kind } = (content ?? {}) as { readonly kind?: unknown };
  if (kind !== 'artefact') {
    throw new KilnError('not_an_artefact', 'this is no baked artefact', {
      given: `a container of something else (${String(kind)}), such as an entry of the cache`,
      expected: 'what `kiln bake` has written',
    });
  }
  return content as ArtefactContent;
}
