/**
 * SHA-256 without `base/hash.ts`, whose package a page would load: by Node where that is, else by WebCrypto, which pages
 * without https do not have; only those load the package.
 */
import { toHex } from '../artefact/container.ts';
import { subtleCrypto } from './web-crypto.ts';

interface NodeCrypto {
  createHash(name: 'sha256'): { update(data: Uint8Array): { digest(encoding: 'hex'): string } };
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:crypto'): NodeCrypto | undefined;
}

/** SHA-256 of bytes, in hex. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const { process } = globalThis as { process?: NodeProcess };
  const node = process?.getBuiltinModule?.('node:crypto');
  if (node) return node.createHash('sha256').update(bytes).digest('hex');
  const subtle = subtleCrypto();
  if (subtle) return toHex(new Uint8Array(await subtle.digest('SHA-256', bytes)));
  return toHex((await import('@noble/hashes/sha2.js')).sha256(bytes));
}
