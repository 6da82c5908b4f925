/**
 * Reads a container (`runtime/artefact/container.ts`) piece by piece: preamble, header, then the blobs that are wanted,
 * each checked against its hash when it has come. Others are passed over.
 */
import {
  type Blob,
  corrupt,
  type Header,
  type Preamble,
  preambleBytes,
  readHeader,
  readPreamble,
  truncated,
} from '../artefact/container.ts';
import { sha256Of } from './digest.ts';
import type { ByteSource } from './source.ts';

export interface OpenContainer {
  readonly preamble: Preamble;
  readonly header: Header;
}

/** @throws KilnError (as a rejection) as `readPreamble` and `readHeader`; `truncated_artefact`, `corrupt_artefact` */
export async function openContainer(source: ByteSource): Promise<OpenContainer> {
  const preamble = readPreamble(await source.read(0, preambleBytes));
  const end = preambleBytes + preamble.headerBytes;
  const bytes = await source.read(preambleBytes, end);
  if (bytes.length < preamble.headerBytes) throw truncated(preambleBytes + bytes.length, `a header up to byte ${end}`);
  if ((await sha256Of(bytes)) !== preamble.headerHash) throw corrupt('a header that is not the one that was written');
  return { preamble, header: readHeader(bytes) };
}

/** Blobs closer together than this are read at once. */
const leastGap = 64 << 10;

/**
 * Reads blobs, in their order, and then up to the end.
 * @param wanted their numbers
 * @param use is given each as soon as it has come and been checked
 * @throws KilnError (as a rejection) `truncated_artefact`, `corrupt_artefact`, and what `use` throws
 */
export async function readBlobs(
  source: ByteSource,
  { blobs, offsets, totalBytes }: Header,
  wanted: ReadonlySet<number>,
  use: (index: number, bytes: Uint8Array) => void,
): Promise<void> {
  const endOf = (index: number): number => offsets[index] + blobs[index].bytes;
  const order = [...wanted].sort((a, b) => a - b);
  for (let first = 0; first < order.length; ) {
    const begin = offsets[order[first]];
    let after = first + 1;
    while (
      after < order.length &&
      offsets[order[after]] - endOf(order[after - 1]) < leastGap &&
      endOf(order[after]) - begin <= source.mostAtOnce
    ) {
      after += 1;
    }
    const end = endOf(order[after - 1]);
    const bytes = await source.read(begin, end);
    if (begin + bytes.length < end) throw truncated(begin + bytes.length, `${totalBytes} bytes`);
    const group = order.slice(first, after).map((index) => {
      return { index, blob: bytes.subarray(offsets[index] - begin, endOf(index) - begin) };
    });
    // All at once: a browser hashes beside this thread.
    await Promise.all(group.map(({ index, blob }) => checkBlob(index, blobs[index], blob)));
    for (const { index, blob } of group) use(index, blob);
    first = after;
  }
  const length = await source.length(totalBytes);
  if (length < totalBytes) throw truncated(length, `${totalBytes} bytes`);
  if (length > totalBytes) throw corrupt(`something behind the ${totalBytes} bytes that its header tells of`);
}

async function checkBlob(index: number, { sha256 }: Blob, bytes: Uint8Array): Promise<void> {
  if ((await sha256Of(bytes)) !== sha256) throw corrupt(`blob ${index}, whose bytes are not those that were written`);
}
