/**
 * The container of everything compiled that is kept: baked artefacts and entries of the cache. A header in JSON says
 * what is in it, blobs hold the bytes. Every byte is under a hash: the preamble has that of the header, the header
 * those of the blobs.
 *
 *       0  8 bytes   89 'KILN' 0d 0a 1a: what text transfers damage shows at once
 *       8  u16 u16   major and minor version of the format
 *      12  u32       length of the header in bytes
 *      16  32 bytes  SHA-256 of the header
 *      48  64 bytes  Ed25519 signature of the first 48 bytes, or zeros
 *     112  the header, UTF-8: { "blobs": [{ "bytes": 8, "sha256": "…" }], "content": … }
 *          the blobs in order, each at a multiple of 16, zeros between
 *
 * Numbers are little-endian. Offsets follow from lengths, so blobs can neither overlap nor lie outside, and a container
 * has one length. Whoever reads one trusts nothing: lengths are bounded before anything is taken.
 */
import { KilnError } from '../../base/error.ts';
import { corrupt, truncated } from './damage.ts';

export { corrupt, truncated };

/** The format that this release writes. It reads every minor version of its major one. */
export const formatVersion = { major: 1, minor: 0 } as const;

export const preambleBytes = 112;
/** What the signature is of. */
export const signedBytes = 48;
export const signatureOffset = 48;
const blobAlignment = 16;
export const magic: readonly number[] = [0x89, 0x4b, 0x49, 0x4c, 0x4e, 0x0d, 0x0a, 0x1a];

/** The longest header that is read; that of a program of 10,000 kernels is a tenth of it. */
export const mostHeaderBytes = 64 << 20;
/** A header as long as this is looked over before it is parsed. */
const longHeaderBytes = 1 << 20;
/** Lists and records of a header, and how deep they lie: an engine takes minutes and gigabytes for a long one of brackets. */
const mostParts = 1 << 21;
const mostDepth = 2000;
/** The most blobs of one container. */
const mostBlobs = 1 << 20;
/** The most bytes of a container, which a buffer of any engine can hold. */
export const mostBytes = 2 ** 32;

export interface Blob {
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

export interface Preamble {
  readonly major: number;
  readonly minor: number;
  readonly headerBytes: number;
  /** SHA-256 of the header, in hex. */
  readonly headerHash: string;
  /** Zeros where nothing is signed. */
  readonly signature: Uint8Array;
  /** What a signature is of. */
  readonly signed: Uint8Array;
}

export interface Header {
  readonly blobs: readonly Blob[];
  /** Where each blob begins, counted from the start of the container. */
  readonly offsets: readonly number[];
  /** Bytes of the whole container. */
  readonly totalBytes: number;
  /** What the container says it holds; not checked. */
  readonly content: unknown;
}

/** @throws KilnError `not_an_artefact`, `truncated_artefact`, `unsupported_version`, `corrupt_artefact` */
export function readPreamble(bytes: Uint8Array): Preamble {
  const known = Math.min(bytes.length, magic.length);
  if (bytes.length === 0 || magic.slice(0, known).some((byte, i) => bytes[i] !== byte)) {
    throw new KilnError('not_an_artefact', 'these bytes are no Kiln artefact', {
      given: bytes.length === 0 ? 'nothing' : `bytes that begin with ${toHex(bytes.subarray(0, 8))}`,
      expected: 'what `kiln bake` has written, byte by byte',
      hint: 'a server that answers with an error page, or a transfer as text, gives such bytes',
    });
  }
  if (bytes.length < preambleBytes) throw truncated(bytes.length, 'a preamble');
  const view = new DataView(bytes.buffer, bytes.byteOffset, preambleBytes);
  const [major, minor] = [view.getUint16(8, true), view.getUint16(10, true)];
  if (major !== formatVersion.major) {
    const isNewer = major > formatVersion.major;
    throw new KilnError('unsupported_version', `the artefact is of ${isNewer ? 'a newer' : 'another'} format`, {
      given: `format ${major}.${minor}`,
      expected: `format ${formatVersion.major}`,
      hint: isNewer ? 'update kilnjs where it is loaded' : 'bake it again with this version',
    });
  }
  const headerBytes = view.getUint32(12, true);
  if (headerBytes > mostHeaderBytes) throw corrupt(`a header of ${headerBytes} bytes`);
  return {
    major,
    minor,
    headerBytes,
    headerHash: toHex(bytes.subarray(16, 48)),
    signature: bytes.slice(signatureOffset, preambleBytes),
    signed: bytes.slice(0, signedBytes),
  };
}

/**
 * What a header says, checked but for its content.
 * @param bytes of a header whose hash is right
 * @throws KilnError `corrupt_artefact`
 */
export function readHeader(bytes: Uint8Array): Header {
  const { blobs, content } = parseObject(bytes);
  if (!Array.isArray(blobs) || blobs.length > mostBlobs) throw corrupt('no list of blobs');
  const offsets: number[] = [];
  let end = preambleBytes + bytes.length;
  for (const blob of blobs as readonly unknown[]) {
    if (!isBlob(blob)) throw corrupt('a blob without length or hash');
    const offset = aligned(end);
    offsets.push(offset);
    end = offset + blob.bytes;
    if (end > mostBytes) throw corrupt('blobs beyond all bounds');
  }
  return { blobs: blobs as readonly Blob[], offsets, totalBytes: end, content };
}

/** Brackets within texts count too; those of a compiler have none. */
function assertParsable(bytes: Uint8Array): void {
  let [parts, depth] = [0, 0];
  for (let i = 0; i < bytes.length && parts <= mostParts && depth <= mostDepth; i++) {
    // With or without this bit, `{` and `}` are `[` and `]`.
    const byte = bytes[i] & ~0x20;
    if (byte === 0x5b) {
      parts += 1;
      depth += 1;
    } else if (byte === 0x5d) depth -= 1;
  }
  if (parts > mostParts || depth > mostDepth) throw corrupt('a header with more in it than anybody writes');
}

function parseObject(bytes: Uint8Array): { readonly blobs?: unknown; readonly content?: unknown } {
  if (bytes.length > longHeaderBytes) assertParsable(bytes);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw corrupt('a header that is no JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw corrupt('a header that is no object');
  return parsed;
}

const isBlob = (value: unknown): value is Blob => {
  if (typeof value !== 'object' || value === null) return false;
  const { bytes, sha256 } = value as { readonly bytes?: unknown; readonly sha256?: unknown };
  return (
    Number.isSafeInteger(bytes) && (bytes as number) >= 0 && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)
  );
};

export const aligned = (offset: number): number => Math.ceil(offset / blobAlignment) * blobAlignment;

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
