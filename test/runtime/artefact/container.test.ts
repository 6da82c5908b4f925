/** Containers: what is written is read, and what is not exactly that is refused by its own code. */
import { describe, expect, it } from 'vitest';
import { hashOf } from '../../../base/hash.ts';
import { preambleBytes, readHeader, readPreamble } from '../../../runtime/artefact/container.ts';
import { canonicalJson, writeContainer } from '../../../runtime/artefact/write-container.ts';

const content = { name: 'step', sizes: [1, 'B*2'], empty: {} };
const blobs = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.from({ length: 40 }, (_, i) => i)];

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'no error';
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
};

describe('a container', () => {
  it('gives back what was put in, every byte under a hash', () => {
    const bytes = writeContainer(content, blobs);
    const { headerBytes, headerHash, signature } = readPreamble(bytes);
    const header = bytes.subarray(preambleBytes, preambleBytes + headerBytes);
    expect(hashOf(header)).toBe(headerHash);
    expect(signature).toEqual(new Uint8Array(64));
    const read = readHeader(header);
    expect(read.content).toEqual(content);
    expect(read.totalBytes).toBe(bytes.length);
    read.blobs.forEach(({ bytes: length, sha256 }, i) => {
      expect(read.offsets[i] % 16).toBe(0);
      const blob = bytes.subarray(read.offsets[i], read.offsets[i] + length);
      expect(blob).toEqual(blobs[i]);
      expect(hashOf(blob)).toBe(sha256);
    });
  });

  it('does not depend on the order of fields', () => {
    expect(canonicalJson({ b: 1, a: [null, { d: 1, c: 2 }] })).toBe('{"a":[null,{"c":2,"d":1}],"b":1}');
    expect(writeContainer({ b: 1, a: 2 }, blobs)).toEqual(writeContainer({ a: 2, b: 1 }, blobs));
  });

  it('of another kind, version or length has an error of its own', () => {
    const bytes = writeContainer(content, blobs);
    expect(codeOf(() => readPreamble(new Uint8Array(0)))).toBe('not_an_artefact');
    expect(codeOf(() => readPreamble(new TextEncoder().encode('<!doctype html>')))).toBe('not_an_artefact');
    expect(codeOf(() => readPreamble(bytes.subarray(0, 5)))).toBe('truncated_artefact');
    const newer = bytes.slice();
    newer[8] = 2;
    expect(codeOf(() => readPreamble(newer))).toBe('unsupported_version');
    const long = bytes.slice();
    long[15] = 0xff;
    expect(codeOf(() => readPreamble(long))).toBe('corrupt_artefact');
    for (const text of ['', '[]', '{"blobs":[{"bytes":-1}]}', '{"blobs":[{"bytes":1e300,"sha256":""}]}', 'null']) {
      expect(codeOf(() => readHeader(new TextEncoder().encode(text)))).toBe('corrupt_artefact');
    }
  });

  it('with a header that no engine should parse is refused before one does', () => {
    const megabytes = 8 << 20;
    for (const text of ['[', '{"a":', '[[],', '[]', '{},']) {
      const header = new TextEncoder().encode(`{"blobs":[${text.repeat(megabytes / text.length)}`);
      const start = performance.now();
      expect(
        codeOf(() => readHeader(header)),
        text,
      ).toBe('corrupt_artefact');
      expect(performance.now() - start, text).toBeLessThan(10_000);
    }
    const long = { texts: Array.from({ length: 100_000 }, (_, i) => [`a text of some length, number ${i}`, { i }]) };
    const bytes = writeContainer(long, []);
    const { headerBytes } = readPreamble(bytes);
    expect(headerBytes).toBeGreaterThan(1 << 20);
    expect(readHeader(bytes.subarray(preambleBytes)).content).toEqual(long);
  });

  it('that nobody would read is not written', () => {
    expect(codeOf(() => writeContainer({ text: 'x'.repeat((64 << 20) + 1) }, []))).toBe('bake_failed');
  });
});
