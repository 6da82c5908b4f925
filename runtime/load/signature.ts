/**
 * Whether an artefact is signed with a key: Ed25519 over the first bytes of its preamble, which hold the hash of the
 * header, which holds those of all blobs.
 */
import { KilnError } from '../../base/error.ts';
import type { Preamble } from '../artefact/container.ts';
import { subtleCrypto } from './web-crypto.ts';

/**
 * A public key for Ed25519: text in PEM (`-----BEGIN PUBLIC KEY-----`), the 32 bytes of the key or those of its SPKI
 * form, a JWK, or a `CryptoKey`.
 */
export type PublicKey =
  | string
  | Uint8Array
  | { readonly kty?: string; readonly crv?: string; readonly x?: string }
  | { readonly algorithm: { readonly name: string }; readonly usages: readonly string[] };

const algorithm = { name: 'Ed25519' };

/** The length of a raw key. */
const rawBytes = 32;

/**
 * @throws KilnError (as a rejection) `invalid_signature`, also where there is none or nothing can check it;
 *   `invalid_argument` for what is no key
 */
export async function checkSignature({ signature, signed }: Preamble, publicKey: unknown): Promise<void> {
  const subtle = subtleCrypto();
  if (!subtle) {
    throw refused('a page without WebCrypto', 'serve the page by https, or from localhost');
  }
  const key = await importKey(subtle, publicKey);
  if (signature.every((byte) => byte === 0)) {
    throw refused('an artefact that is not signed', 'bake it with --sign and the private key');
  }
  const isRight = await subtle.verify(algorithm, key, signature, signed).catch((cause: unknown) => {
    // A `CryptoKey` for something else.
    throw noKey(cause);
  });
  if (isRight) return;
  throw refused('a signature by another key, or of other bytes', 'get it from whoever signs it, or use their key');
}

const refused = (given: string, hint: string): KilnError =>
  new KilnError('invalid_signature', 'load: the artefact is not signed with the key that is asked for', {
    given,
    expected: 'an Ed25519 signature by the owner of `publicKey`',
    hint,
  });

async function importKey(subtle: NonNullable<ReturnType<typeof subtleCrypto>>, key: unknown): Promise<object> {
  const imported = (format: 'raw' | 'spki' | 'jwk', data: object): Promise<object> =>
    subtle.importKey(format, data, algorithm, false, ['verify']);
  try {
    if (typeof key === 'string') return await imported('spki', bytesOfPem(key));
    if (typeof key !== 'object' || key === null) throw new TypeError(String(key));
    if (ArrayBuffer.isView(key)) return await imported(key.byteLength === rawBytes ? 'raw' : 'spki', key);
    return 'algorithm' in key ? key : await imported('jwk', key);
  } catch (cause) {
    if ((cause as { readonly name?: string } | undefined)?.name === 'NotSupportedError') {
      throw refused('an engine whose WebCrypto has no Ed25519', 'update the browser or Node');
    }
    throw noKey(cause);
  }
}

const noKey = (cause: unknown): KilnError =>
  new KilnError('invalid_argument', 'load: publicKey is no public key for Ed25519', {
    given: cause instanceof Error ? cause.message : String(cause),
    expected: 'PEM text, 32 bytes, a JWK or a CryptoKey',
    hint: 'openssl pkey -in private.pem -pubout writes it',
    cause,
  });

function bytesOfPem(text: string): Uint8Array {
  const [, body = ''] = /-----BEGIN PUBLIC KEY-----([\s\S]*?)-----END PUBLIC KEY-----/.exec(text) ?? [];
  if (!body) throw new TypeError('text without -----BEGIN PUBLIC KEY-----');
  return Uint8Array.from(atob(body.replace(/\s/g, '')), (letter) => letter.charCodeAt(0));
}
