/** Where artefacts come from, and what is said of those that are none. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { defineBake, shutdown, spec, type Tensor, tensor } from '../../../index.ts';
import {
  preambleBytes,
  readHeader,
  readPreamble,
  signatureOffset,
  signedBytes,
} from '../../../runtime/artefact/container.ts';
import type { ArtefactContent } from '../../../runtime/artefact/records.ts';
import { writeContainer } from '../../../runtime/artefact/write-container.ts';
import {
  type ArtefactSource,
  type DeviceArray,
  type KilnError,
  type LoadOptions,
  load,
  memory,
} from '../../../runtime/index.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { engine } from '../../../runtime/wasm/engine.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';
import { rejectionOf } from '../../support/errors.ts';
import { bakeModel } from './support.ts';

let bytes: Uint8Array<ArrayBuffer>;
let folder: string;
let path: string;
let server: Server;
let origin: string;

beforeAll(async () => {
  bytes = await bakeModel(['wasm', 'webgpu']);
  folder = mkdtempSync(join(tmpdir(), 'kiln-sources-'));
  path = join(folder, 'model.kiln');
  writeFileSync(path, bytes);
  server = createServer((request, response) => {
    if (request.url === '/model.kiln') response.end(bytes);
    else if (request.url === '/half')
      response
        .writeHead(200, { 'Content-Length': bytes.length })
        .write(bytes.subarray(0, 9000), () => response.destroy());
    else response.writeHead(404).end('<!doctype html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The bytes in pieces of a length. */
function streamOf(given: Uint8Array, length: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= given.length) controller.close();
      else controller.enqueue(given.slice(at, at + length));
      at += length;
    },
  });
}

describe('an artefact is loaded from', () => {
  it.each<[string, () => ArtefactSource]>([
    ['a path', () => path],
    ['a file: address', () => pathToFileURL(path).href],
    ['a URL of a file', () => pathToFileURL(path)],
    ['an http address', () => `${origin}/model.kiln`],
    ['a URL', () => new URL(`${origin}/model.kiln`)],
    ['a data: address', () => `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`],
    ['the promise of a response', () => fetch(`${origin}/model.kiln`)],
    ['a response', () => new Response(bytes)],
    ['an ArrayBuffer', () => bytes.buffer],
    ['bytes that lie anywhere', () => new Uint8Array([1, 2, 3, ...bytes, 4]).subarray(3, 3 + bytes.length)],
    [
      'shared bytes',
      () => {
        const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
        shared.set(bytes);
        return shared;
      },
    ],
    [
      'a SharedArrayBuffer',
      () => {
        const shared = new SharedArrayBuffer(bytes.length);
        new Uint8Array(shared).set(bytes);
        return shared;
      },
    ],
    ['a Blob', () => new Blob([bytes])],
    ['a stream of small pieces', () => streamOf(bytes, 97)],
    ['a stream of one piece', () => streamOf(bytes, bytes.length)],
  ])('%s', async (_, source) => {
    using model = await load(source());
    expect(model.target).toBe('wasm');
    expect(Object.keys(model.functions)).toEqual(['forward', 'mode', 'scaled', 'step']);
  });
});

describe('a stream', () => {
  it('has its kernels compiled while the weights are on their way; what is not used is not hashed', async () => {
    const w = tensor(new Float32Array(64 * 512), { shape: [64, 512] });
    const f = (x: Tensor): Tensor => x.matmul(w);
    const definition = defineBake({ f: { fn: f, args: [spec([1, 64])] } });
    const baked = (await bakeArtefact(definition, { targets: ['wasm', 'webgpu'], threads: 1 })).bytes.slice();
    const { headerBytes } = readPreamble(baked);
    const { content, blobs, offsets } = readHeader(baked.slice(preambleBytes, preambleBytes + headerBytes));
    const { kernels, weights } = content as ArtefactContent;
    baked[offsets[kernels.find(({ target }) => target === 'webgpu')!.code]] ^= 1;
    await shutdown();
    // By one or the other: an engine that has relaxed SIMD behind a flag compiles on this thread.
    const compiling = [vi.spyOn(engine(), 'compile'), vi.spyOn(engine(), 'Module')];
    const lengths = kernels.map(({ code }) => blobs[code].bytes);
    const isCompiling = (): boolean =>
      compiling.some((spy) => spy.mock.calls.some(([code]) => lengths.includes(code.length)));
    const begin = offsets[weights!.blob];
    const parts = [baked.slice(0, begin), baked.slice(begin)];
    const source = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (parts.length === 1) await vi.waitFor(() => expect(isCompiling()).toBe(true), 20_000);
        const part = parts.shift();
        if (part) controller.enqueue(part);
        else controller.close();
      },
    });
    using model = await load<{ f(x: DeviceArray): DeviceArray<'float32'> }>(source);
    expect(model.functions.f(tensor(new Float32Array(64), { shape: [1, 64] })).size).toBe(512);
    for (const spy of compiling) spy.mockRestore();
  });
});

/** The artefact with other content, or other blobs. */
function changed(change: (content: Record<string, unknown>, blobs: Uint8Array[]) => void): Uint8Array {
  const { headerBytes } = readPreamble(bytes);
  const { content, blobs, offsets } = readHeader(bytes.slice(preambleBytes, preambleBytes + headerBytes));
  const parts = blobs.map((blob, i) => bytes.slice(offsets[i], offsets[i] + blob.bytes));
  change(content as Record<string, unknown>, parts);
  return writeContainer(content, parts);
}

const errorOf = async (source: ArtefactSource, options?: LoadOptions): Promise<KilnError> => {
  const error = await rejectionOf(() => load(source, options));
  expect(error.hint ?? error.expected).toBeTruthy();
  return error;
};

describe('what is no artefact', () => {
  it('is said to be none, with the reason', async () => {
    expect(await errorOf(folder)).toMatchObject({ code: 'not_a_file', given: `the folder ${folder}` });
    expect(await errorOf(join(folder, 'none.kiln'))).toMatchObject({
      code: 'not_a_file',
      given: expect.stringMatching(/ENOENT/),
    });
    expect(await errorOf(`${origin}/other`)).toMatchObject({
      code: 'not_a_file',
      given: expect.stringMatching(/HTTP status 404 Not Found from http/),
    });
    expect(await errorOf('http://127.0.0.1:1/model.kiln')).toMatchObject({
      code: 'not_a_file',
      given: expect.stringMatching(/127\.0\.0\.1:1/),
    });
    expect(await errorOf(`${origin}/half`)).toMatchObject({ code: 'truncated_artefact' });
    expect(await errorOf(new TextEncoder().encode('<!doctype html>'))).toMatchObject({ code: 'not_an_artefact' });
    expect(await errorOf(new Uint8Array(0))).toMatchObject({ code: 'not_an_artefact', given: 'nothing' });
    expect(await errorOf(writeContainer({ kind: 'program' }, []))).toMatchObject({ code: 'not_an_artefact' });
    for (const nothing of [7, null, {}, [1, 2], Readable.from([bytes])]) {
      expect(await errorOf(nothing as never)).toMatchObject({ code: 'invalid_argument' });
    }
    const response = new Response(bytes);
    await response.arrayBuffer();
    expect(await errorOf(response)).toMatchObject({ code: 'invalid_argument', hint: expect.stringMatching(/clone/) });
    expect(await errorOf(bytes, { devise: 'wasm' } as LoadOptions)).toMatchObject({
      code: 'invalid_argument',
      given: 'option devise',
    });
    for (const options of [null, 'webgpu']) {
      expect(await errorOf(bytes, options as never)).toMatchObject({
        code: 'invalid_argument',
        given: `${options} for the options`,
      });
    }
    expect(await errorOf(bytes, { device: 'abacus' })).toMatchObject({ code: 'unknown_device' });
  });

  it('half a file, wherever it ends', async () => {
    for (const length of [9, 111, 112, 5000, bytes.length - 1]) {
      expect((await errorOf(bytes.slice(0, length))).code).toBe('truncated_artefact');
      expect((await errorOf(streamOf(bytes.slice(0, length), 1000))).code).toBe('truncated_artefact');
    }
    expect((await errorOf(new Uint8Array([...bytes, 0]))).code).toBe('corrupt_artefact');
  });

  it('a damaged one, wherever the damage is that counts', async () => {
    const { headerBytes } = readPreamble(bytes);
    const { blobs, offsets } = readHeader(bytes.slice(preambleBytes, preambleBytes + headerBytes));
    for (const at of [20, preambleBytes, preambleBytes + headerBytes - 1, offsets.at(-1)! + blobs.at(-1)!.bytes - 1]) {
      const damaged = bytes.slice();
      damaged[at] ^= 1;
      expect((await errorOf(damaged)).code).toBe('corrupt_artefact');
    }
    const newer = bytes.slice();
    newer[8] = 9;
    expect(await errorOf(newer)).toMatchObject({
      code: 'unsupported_version',
      hint: expect.stringMatching(/update kilnjs/),
    });
  });

  it('points at the line that loads it, and keeps nothing', async () => {
    const { tensors } = memory();
    const error = await errorOf(bytes.slice(0, 5000));
    expect(String(error.location)).toMatch(/sources\.test\.ts:\d+:\d+$/);
    // Weights come last but one, so they have been made when the end is missing.
    const longer = changed((_, blobs) => {
      blobs.push(new Uint8Array(4));
    });
    using model = await load(longer);
    expect(memory().tensors).toBe(tensors + 5);
    model.dispose();
    await errorOf(longer.subarray(0, longer.length - 1));
    expect(memory().tensors).toBe(tensors);
  });
});

describe('an artefact of another machine', () => {
  it('is refused with what there is and what is needed', async () => {
    const only = (target: string, tier: object): Uint8Array =>
      changed(({ functions, programs }) => {
        for (const one of functions as { programs: { target: string; program: number }[] }[]) {
          one.programs = one.programs
            .filter((choice) => choice.target === 'wasm')
            .map((choice) => ({ ...choice, target }));
        }
        for (const program of programs as { tier: object }[]) program.tier = tier;
      });
    expect(await errorOf(only('webgpu', coreWebgpuTier), { device: 'wasm' })).toMatchObject({
      code: 'missing_tier',
      given: 'code for webgpu',
      hint: expect.stringMatching(/--target wasm/),
    });
    const threaded = only('wasm-threads', { target: 'wasm', threads: true, relaxedSimd: false });
    expect(await errorOf(threaded)).toMatchObject({ code: 'missing_tier', given: 'code for wasm-threads' });
    expect(
      await errorOf(
        changed(({ functions }) => {
          (functions as { programs: unknown[] }[])[0].programs = [];
        }),
      ),
    ).toMatchObject({ code: 'missing_tier', given: expect.stringMatching(/no target/) });
  });
});

describe('a signature', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const signed = (): Uint8Array => {
    const copy = bytes.slice();
    copy.set(sign(null, copy.subarray(0, signedBytes), privateKey), signatureOffset);
    return copy;
  };
  const spki = publicKey.export({ type: 'spki', format: 'der' });

  it('is checked with a key of any form', async () => {
    const key = await crypto.subtle.importKey('spki', spki, { name: 'Ed25519' }, false, ['verify']);
    const jwk = publicKey.export({ format: 'jwk' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
    for (const form of [pem, spki, spki.subarray(-32), jwk, key]) {
      expect((await load(signed(), { publicKey: form as never })).target).toBe('wasm');
    }
    expect((await load(signed())).target).toBe('wasm');
  });

  it('that is missing, wrong or of a key that is none has an error of its own', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string;
    expect(await errorOf(signed(), { publicKey: other })).toMatchObject({
      code: 'invalid_signature',
      given: expect.stringMatching(/another key/),
    });
    expect(await errorOf(bytes, { publicKey: spki })).toMatchObject({
      code: 'invalid_signature',
      given: expect.stringMatching(/not signed/),
    });
    const edited = changed((content) => {
      content.kiln = '9.9.9';
    });
    edited.set(signed().subarray(signatureOffset, preambleBytes), signatureOffset);
    expect(await errorOf(edited, { publicKey: spki })).toMatchObject({ code: 'invalid_signature' });
    for (const none of ['a key', new Uint8Array(7), { kty: 'OKP' }]) {
      expect(await errorOf(signed(), { publicKey: none })).toMatchObject({
        code: 'invalid_argument',
        hint: expect.stringMatching(/openssl/),
      });
    }
  });
});
