/**
 * SHA-256, now: by Node's own code where that is at hand, else by `@noble/hashes`. It is not for the loader, which
 * asks WebCrypto instead.
 *
 *     hashOf('f32[8,4]')     // '6b1c…', 64 hexadecimal digits
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

interface NodeCrypto {
  createHash(name: 'sha256'): NodeHash;
}

interface NodeHash {
  update(data: string | Uint8Array): NodeHash;
  digest(encoding: 'hex'): string;
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:crypto'): NodeCrypto | undefined;
}

/** Node takes a few milliseconds to load it, which who starts from the cache has no time for later. */
const crypto = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:crypto');

/** SHA-256 of bytes, or of a text as UTF-8, in hex. */
export function hashOf(data: string | Uint8Array): string {
  if (crypto) return crypto.createHash('sha256').update(data).digest('hex');
  return bytesToHex(sha256(typeof data === 'string' ? utf8ToBytes(data) : data));
}
