/** SHA-256 by whatever there is: Node, WebCrypto, or on pages without https a package. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { hashOf } from '../../../base/hash.ts';
import { sha256Of } from '../../../runtime/load/digest.ts';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('the hash of bytes', () => {
  it('is the same in Node, in a page, and in a page without https', async () => {
    const samples = [0, 1, 55, 64, 1000].map((length) => Uint8Array.from({ length }, (_, i) => i * 7));
    const expected = samples.map(hashOf);
    expect(await Promise.all(samples.map(sha256Of))).toEqual(expected);
    vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never);
    const subtle = vi.spyOn(crypto.subtle, 'digest');
    expect(await Promise.all(samples.map(sha256Of))).toEqual(expected);
    expect(subtle).toHaveBeenCalledTimes(samples.length);
    vi.stubGlobal('crypto', {});
    expect(await Promise.all(samples.map(sha256Of))).toEqual(expected);
    expect(subtle).toHaveBeenCalledTimes(samples.length);
  });
});
