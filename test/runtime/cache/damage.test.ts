/**
 * Entries that are not what was written: each is a miss, is removed, and is replaced by what is compiled then. Records
 * that were edited under right hashes are for `test/runtime/artefact/cache-fuzz.test.ts`.
 */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { entryName, readEntry, readEntryAside } from '../../../runtime/cache/entry.ts';
import { FileStore } from '../../../runtime/cache/file-store.ts';
import type { EntryKind, EntryName } from '../../../runtime/cache/store.ts';
import { filesIn, pathOf, temporaryFolder } from './folders.ts';
import { randomProgram } from './programs.ts';

const version = 'some version';
const cacheAt = (folder: string): CompiledCache => new CompiledCache(new FileStore(folder), version);

const program = randomProgram(1, 'wasm');
const programName = entryName('program', version, 'key');
const kernelName = entryName('kernel', version, program.kernels[0].hash);

/** A cache with one program. */
function filledFolder(): string {
  const folder = temporaryFolder();
  cacheAt(folder).keepProgram('key', program);
  return folder;
}

function expectHealing(folder: string, name: EntryName): void {
  const cache = cacheAt(folder);
  expect(cache.findProgramSync('key')).toBeUndefined();
  expect(cache.counts.dropped).toBe(1);
  expect(existsSync(pathOf(folder, name))).toBe(false);
  // What compiling gives instead.
  cache.keepProgram('key', program);
  expect(cacheAt(folder).findProgramSync('key')).toEqual(program);
}

beforeEach(() => {
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

describe('an entry', () => {
  test.each<[EntryKind, EntryName]>([
    ['program', programName],
    ['kernel', kernelName],
  ])('of a %s is refused with any bit changed, any length, and anything behind it', async (_, name) => {
    const folder = filledFolder();
    const bytes = new Uint8Array(readFileSync(pathOf(folder, name)));
    expect(() => readEntry(name, bytes)).not.toThrow();
    let accepted = 0;
    const refused = (given: Uint8Array): void => {
      try {
        readEntry(name, given);
        accepted++;
      } catch (error) {
        expect(error).toMatchObject({ name: 'KilnError' });
      }
    };
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] ^= 1 << (at % 8);
      refused(changed);
      refused(bytes.subarray(0, at));
    }
    refused(Uint8Array.from([...bytes, 0]));
    expect(accepted).toBe(0);
    await expect(readEntryAside(name, bytes.subarray(1))).rejects.toThrow(/not_an_artefact/);
  });

  test.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['is empty', () => new Uint8Array(0)],
    ['is half a file', (bytes) => bytes.subarray(0, bytes.length / 2)],
    ['has another byte at its end', (bytes) => bytes.fill(bytes.at(-1)! ^ 1, bytes.length - 1)],
    ['is an error page', () => Buffer.from('<!doctype html>')],
    ['is of a newer format', (bytes) => bytes.fill(2, 8, 9)],
  ])('that %s is removed and compiled again', (_, damage) => {
    for (const name of [programName, kernelName]) {
      const folder = filledFolder();
      const path = pathOf(folder, name);
      writeFileSync(path, damage(readFileSync(path)));
      expectHealing(folder, name);
    }
  });

  test('of another name is removed and compiled again', () => {
    const folder = filledFolder();
    cacheAt(folder).keepProgram('other', randomProgram(3, 'wasm'));
    const other = entryName('program', version, 'other');
    cpSync(pathOf(folder, other), pathOf(folder, programName));
    expectHealing(folder, programName);
    expect(cacheAt(folder).findProgramSync('other')).toBeDefined();
  });

  test('that is damaged is no trace either, waited for or not', async () => {
    const folder = temporaryFolder();
    const name = entryName('trace', version, 'key');
    for (const find of [
      (cache: CompiledCache) => cache.findTraceSync('key'),
      (cache: CompiledCache) => cache.findTrace('key'),
    ]) {
      cacheAt(folder).keepTrace('key', [1]);
      writeFileSync(pathOf(folder, name), 'x');
      expect(await find(cacheAt(folder))).toBeUndefined();
      expect(filesIn(folder)).toEqual([]);
    }
  });

  test('that is damaged has one notice in a process', async () => {
    vi.resetModules();
    const fresh = await import('../../../runtime/cache/compiled-cache.ts');
    const folder = filledFolder();
    for (const path of filesIn(folder)) writeFileSync(path, 'x');
    const cache = new fresh.CompiledCache(new FileStore(folder), version);
    for (const { hash } of program.kernels) cache.findKernelSync(hash);
    expect(cache.findProgramSync('key')).toBeUndefined();
    expect(cache.counts.dropped).toBe(new Set(program.kernels.map(({ hash }) => hash)).size + 1);
    const { calls } = vi.mocked(console.warn).mock;
    expect(calls).toHaveLength(1);
    expect(calls[0][0]).toContain(folder);
    expect(calls[0][0]).toMatch(/damaged: kernel [0-9a-f]{16} is removed and compiled again: .*kiln cache verify/);
  });
});
