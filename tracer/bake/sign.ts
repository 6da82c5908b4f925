/**
 * Signs artefacts with Ed25519: the signature is of the first bytes of the preamble, which hold the hash of the header,
 * which holds those of everything else. The same key and artefact give the same signature (RFC 8032).
 *
 *     openssl genpkey -algorithm ed25519 -out private.pem
 *     signArtefact(bytes, readFileSync('private.pem', 'utf8'))
 */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { KilnError } from '../../base/error.ts';
import { preambleBytes, signatureOffset, signedBytes } from '../../runtime/artefact/container.ts';

const howToMake = 'openssl genpkey -algorithm ed25519 -out private.pem';

/**
 * A signed copy.
 * @param pem a private key for Ed25519 in PKCS #8: `-----BEGIN PRIVATE KEY-----`
 * @throws KilnError `invalid_argument` for a key that is none
 */
export function signArtefact(bytes: Uint8Array, pem: string): Uint8Array<ArrayBuffer> {
  const signed = Uint8Array.from(bytes);
  signed.set(sign(null, signed.subarray(0, signedBytes), privateKey(pem)), signatureOffset);
  return signed;
}

/** The artefact without its signature. */
export function withoutSignature(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes).fill(0, signatureOffset, preambleBytes);
}

function privateKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new KilnError('invalid_argument', 'the key to sign with can not be read', {
      given: isEncrypted(pem) ? 'a private key that is locked with a passphrase' : pemKind(pem),
      expected: 'a private key for Ed25519 in PEM, which begins with -----BEGIN PRIVATE KEY-----',
      hint: isEncrypted(pem) ? 'openssl pkey -in locked.pem -out private.pem unlocks it' : howToMake,
      cause,
    });
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new KilnError('invalid_argument', 'the key to sign with is of another kind', {
    given: `a key for ${key.asymmetricKeyType}`,
    expected: 'a private key for Ed25519',
    hint: howToMake,
  });
}

const isEncrypted = (pem: string): boolean => /BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem);

const pemKind = (pem: string): string => {
  const [, kind] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem) ?? [];
  return kind ? `a file with -----BEGIN ${kind}-----` : 'a file that is no PEM';
};
