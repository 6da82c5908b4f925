/**
 * A container that lies in memory as a whole, every hash checked. Whoever reads it hashes: now, or beside other work.
 *
 *     const { header, blobs } = hashedNow(readWhole(bytes));
 */
import { hashOf } from '../../base/hash.ts';
import {
  corrupt,
  type Header,
  type Preamble,
  preambleBytes,
  readHeader,
  readPreamble,
  truncated,
} from './container.ts';

export interface WholeContainer {
  readonly preamble: Preamble;
  readonly header: Header;
  readonly blobs: readonly Uint8Array[];
}

/**
 * Yields bytes and takes their hash.
 * @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact`
 */
export function* readWhole(bytes: Uint8Array): Generator<Uint8Array, WholeContainer, string> {
  const preamble = readPreamble(bytes);
  const end = preambleBytes + preamble.headerBytes;
  if (bytes.length < end) throw truncated(bytes.length, `${end} bytes or more`);
  const headerText = bytes.subarray(preambleBytes, end);
  if ((yield headerText) !== preamble.headerHash) throw corrupt('a header that its hash does not match');
  const header = readHeader(headerText);
  if (bytes.length < header.totalBytes) throw truncated(bytes.length, `${header.totalBytes} bytes`);
  if (bytes.length > header.totalBytes) throw corrupt(`${bytes.length - header.totalBytes} bytes behind the end`);
  const blobs = header.blobs.map((blob, i) => bytes.subarray(header.offsets[i], header.offsets[i] + blob.bytes));
  for (const [i, blob] of blobs.entries()) {
    if ((yield blob) !== header.blobs[i].sha256) throw corrupt(`blob ${i}, which its hash does not match`);
  }
  return { preamble, header, blobs };
}

/** What a reading comes to that yields bytes and takes their hash. */
export function hashedNow<Result>(reading: Generator<Uint8Array, Result, string>): Result {
  let step = reading.next();
  while (!step.done) step = reading.next(hashOf(step.value));
  return step.value;
}
