/** The part of WebCrypto that the loader uses, without the types of the DOM. */

interface SubtleCrypto {
  digest(name: 'SHA-256', data: Uint8Array): Promise<ArrayBuffer>;
  importKey(
    format: 'raw' | 'spki' | 'jwk',
    key: object,
    algorithm: { readonly name: string },
    extractable: boolean,
    usages: readonly string[],
  ): Promise<object>;
  verify(algorithm: { readonly name: string }, key: object, signature: Uint8Array, data: Uint8Array): Promise<boolean>;
}

/** It is not there on pages without https. */
export const subtleCrypto = (): SubtleCrypto | undefined =>
  (globalThis as unknown as { readonly crypto?: { readonly subtle?: SubtleCrypto } }).crypto?.subtle;
