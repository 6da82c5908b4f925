/**
 * Signatures: fixed vectors, and what each byte of a signed artefact does. The key is that of test 3 in section 7.1 of
 * RFC 8032.
 */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { preambleBytes, signatureOffset, signedBytes } from '../../../runtime/artefact/container.ts';
import { type LoadOptions, load } from '../../../runtime/index.ts';
import { signArtefact, withoutSignature } from '../../../tracer/bake/sign.ts';
import { rejectionOf } from '../../support/errors.ts';

const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));

const privateKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3
-----END PRIVATE KEY-----
`;
const publicKey = fromHex('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025');

/** An artefact without functions, of format 1.0, and its signature. */
const unsigned = fromHex(`
  894b494c4e0d0a1a 0100 0000 63000000
  225b845c297e36c9e1b59482238023f9220d1b3886c0d7cdd3e681a6562146f0
  ${'00'.repeat(64)}
  ${Buffer.from(
    '{"blobs":[],"content":{"functions":[],"kernels":[],"kiln":"1.0.0","kind":"artefact","programs":[]}}',
  ).toString('hex')}`);
const signature = fromHex(`
  37f85b8b552b394fdd6fa10f12f7093fbaf128bd0cb5c6fc675cea75079db80e
  1f9dba8f86f9c99240868216ef600a4615eaac1dd24a136f616d9ac71afc5d03`);

const refusalOf = async (bytes: Uint8Array, options: object): Promise<string> =>
  (await rejectionOf(() => load(bytes, options as LoadOptions))).code;

describe('the fixed vector', () => {
  it('is what signing gives', () => {
    const signed = signArtefact(unsigned, privateKey);
    expect(signed.subarray(signatureOffset, preambleBytes)).toEqual(signature);
    expect(withoutSignature(signed)).toEqual(unsigned);
    expect(unsigned.subarray(signatureOffset, preambleBytes)).toEqual(new Uint8Array(64));
  });

  it('loads with its key, and without one', async () => {
    const signed = signArtefact(unsigned, privateKey);
    expect((await load(signed, { publicKey })).functions).toEqual({});
    expect((await load(signed)).functions).toEqual({});
    expect((await load(unsigned)).functions).toEqual({});
  });
});

describe('an artefact for a key', () => {
  const signed = signArtefact(unsigned, privateKey);

  it('is refused without a signature, with that of another key, or with zeros for one', async () => {
    const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    expect(await refusalOf(unsigned, { publicKey })).toBe('invalid_signature');
    expect(await refusalOf(signArtefact(unsigned, other), { publicKey })).toBe('invalid_signature');
    expect(await refusalOf(withoutSignature(signed), { publicKey })).toBe('invalid_signature');
  });

  it('is refused when any byte has changed, but not for what it is refused anyway', async () => {
    for (let at = 0; at < signed.length; at++) {
      const changed = signed.slice();
      changed[at] ^= 1;
      const code = await refusalOf(changed, { publicKey });
      const expected =
        at < 8
          ? 'not_an_artefact'
          : at < 10
            ? 'unsupported_version'
            : at < 12
              ? // The minor version, which nothing but the signature covers.
                'invalid_signature'
              : at < signedBytes
                ? /corrupt_artefact|truncated_artefact/
                : at < preambleBytes
                  ? 'invalid_signature'
                  : 'corrupt_artefact';
      expect(code, `byte ${at}`).toMatch(expected);
    }
  });

  it('is not loaded when the key is none, or not there', async () => {
    const foreign = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
    const secret = await crypto.subtle.importKey(
      'pkcs8',
      Buffer.from(privateKey.split('\n')[1], 'base64'),
      { name: 'Ed25519' },
      false,
      ['sign'],
    );
    for (const none of [undefined, null, 7, '', privateKey, new Uint8Array(31), {}, foreign.publicKey, secret]) {
      expect(await refusalOf(signed, { publicKey: none }), String(none)).toBe('invalid_argument');
    }
  });
});
