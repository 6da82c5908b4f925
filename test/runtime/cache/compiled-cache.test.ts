/** Programs, kernels and traces that are kept come back equal, in any process; nothing else ever comes back. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { entryName } from '../../../runtime/cache/entry.ts';
import { FileStore } from '../../../runtime/cache/file-store.ts';
import type { WasmProgram } from '../../../runtime/program.ts';
import { temporaryFolder } from './folders.ts';
import { randomProgram } from './programs.ts';

const version = 'some version';
const cacheAt = (folder: string, of = version): CompiledCache => new CompiledCache(new FileStore(folder), of);

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

describe('programs', () => {
  test('of random modules come back equal, with and without waiting', async () => {
    const folder = temporaryFolder();
    const programs = ['wasm', 'webgpu'] as const;
    const kept = programs.flatMap((target) => Array.from({ length: 12 }, (_, seed) => randomProgram(seed, target)));
    const writer = cacheAt(folder);
    for (const [i, program] of kept.entries()) writer.keepProgram(`key ${i}`, program);
    const reader = cacheAt(folder);
    for (const [i, program] of kept.entries()) {
      expect(reader.findProgramSync(`key ${i}`)).toEqual(program);
      expect(await reader.findProgram(`key ${i}`)).toEqual(program);
    }
    expect(reader.counts.hits.program).toBe(2 * kept.length);
    expect(reader.counts.misses.program).toBe(0);
    // Kernels that programs share are kept once.
    const hashes = new Set(kept.flatMap(({ kernels }) => kernels.map(({ hash }) => hash)));
    expect(
      readdirSync(join(folder, 'v1', 'kernel'), { recursive: true }).filter((name) => String(name).length > 60),
    ).toHaveLength(hashes.size);
    expect(console.warn).not.toHaveBeenCalled();
  });

  test('are found after the folder has moved, all of them', () => {
    const [folder, other] = [temporaryFolder(), `${temporaryFolder()}/somewhere else`];
    const programs = Array.from({ length: 5 }, (_, seed) => randomProgram(seed, 'wasm'));
    for (const [i, program] of programs.entries()) cacheAt(folder).keepProgram(`key ${i}`, program);
    cpSync(folder, other, { recursive: true });
    const moved = cacheAt(other);
    for (const [i, program] of programs.entries()) expect(moved.findProgramSync(`key ${i}`)).toEqual(program);
    expect(moved.counts.misses.program).toBe(0);
  });

  test('are not found under another key, by another version, or without one of their kernels', () => {
    const folder = temporaryFolder();
    const program = randomProgram(1, 'wasm');
    cacheAt(folder).keepProgram('key', program);
    expect(cacheAt(folder).findProgramSync('another key')).toBeUndefined();
    expect(cacheAt(folder, 'another version').findProgramSync('key')).toBeUndefined();
    const cache = cacheAt(folder);
    new FileStore(folder).remove(entryName('kernel', version, program.kernels[0].hash));
    expect(cache.findProgramSync('key')).toBeUndefined();
    cache.keepProgram('key', program);
    expect(cacheAt(folder).findProgramSync('key')).toEqual(program);
    expect(console.warn).not.toHaveBeenCalled();
  });
});

describe('kernels', () => {
  test('come back when a symbol occurs in nothing but the bytes that they touch', () => {
    const folder = temporaryFolder();
    const program = randomProgram(2, 'wasm') as WasmProgram;
    const [{ name, ...kernel }] = program.kernels;
    const touching = { ...kernel, bufferBytes: kernel.bufferBytes.map(() => '4*Only') };
    cacheAt(folder).keepProgram('key', { ...program, kernels: [{ name, ...touching }] });
    expect(cacheAt(folder).findKernelSync(kernel.hash)).toEqual(touching);
  });

  test('are found by their hash', async () => {
    const folder = temporaryFolder();
    const program = randomProgram(2, 'wasm');
    const [{ name: _, ...kernel }] = program.kernels;
    cacheAt(folder).keepProgram('key', program);
    const cache = cacheAt(folder);
    expect(cache.findKernelSync(kernel.hash)).toEqual(kernel);
    expect(await cache.findKernel(kernel.hash)).toEqual(kernel);
    expect(cache.findKernelSync('0'.repeat(64))).toBeUndefined();
    expect(cache.counts).toEqual({
      hits: { program: 0, kernel: 2, trace: 0 },
      misses: { program: 0, kernel: 1, trace: 0 },
      dropped: 0,
    });
  });
});

describe('traces', () => {
  const trace = { program: 'key', result: { kind: 'list', children: [{ kind: 'array' }] }, empty: [] };

  test('are plain data that comes back', async () => {
    const folder = temporaryFolder();
    cacheAt(folder).keepTrace('key', trace);
    expect(cacheAt(folder).findTraceSync('key')).toEqual(trace);
    expect(await cacheAt(folder).findTrace('key')).toEqual(trace);
    expect(cacheAt(folder).findTraceSync('other')).toBeUndefined();
  });

  test('can be dropped by whoever sees that they are none', () => {
    const cache = cacheAt(temporaryFolder());
    cache.keepTrace('key', trace);
    cache.dropTrace('key', 'no result');
    expect(cache.findTraceSync('key')).toBeUndefined();
    expect(cache.counts.dropped).toBe(1);
  });
});
