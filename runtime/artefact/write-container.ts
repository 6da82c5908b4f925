/**
 * Writes containers (`container.ts`): the same content and blobs give the same bytes.
 *
 *     const bytes = writeContainer({ programs: [] }, [code, weights]);
 */
import { internalError, KilnError } from '../../base/error.ts';
import { hashOf } from '../../base/hash.ts';
import { aligned, formatVersion, magic, mostBytes, mostHeaderBytes, preambleBytes } from './container.ts';

/**
 * @param content plain data: numbers, texts, booleans, null, and lists and records of such
 * @throws KilnError `bake_failed` for more than anybody reads
 */
export function writeContainer(content: unknown, blobs: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const entries = blobs.map((blob) => ({ bytes: blob.length, sha256: hashOf(blob) }));
  const header = new TextEncoder().encode(canonicalJson({ blobs: entries, content }));
  let end = preambleBytes + header.length;
  const offsets = blobs.map((blob) => {
    const offset = aligned(end);
    end = offset + blob.length;
    return offset;
  });
  if (header.length > mostHeaderBytes || end > mostBytes) throw tooLarge(header.length, end);
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint16(8, formatVersion.major, true);
  view.setUint16(10, formatVersion.minor, true);
  view.setUint32(12, header.length, true);
  hashOf(header)
    .match(/../g)!
    .forEach((pair, i) => {
      bytes[16 + i] = Number.parseInt(pair, 16);
    });
  bytes.set(header, preambleBytes);
  blobs.forEach((blob, i) => {
    bytes.set(blob, offsets[i]);
  });
  return bytes;
}

/** JSON whose records have their fields in the order of their names; fields that are `undefined` are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw internalError(`${value} has no place in JSON`);
  return JSON.stringify(value);
}

const tooLarge = (header: number, total: number): KilnError =>
  new KilnError('bake_failed', 'this is too large for one artefact', {
    given: `${total} bytes, ${header} of them for functions, programs and kernels`,
    expected: `at most ${mostBytes} bytes, and ${mostHeaderBytes} for those`,
    hint: 'bake it in parts, or leave weights out and pass them to the functions',
  });
