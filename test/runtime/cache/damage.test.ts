/** Entries that are not what was written: each is a miss, is removed, and is replaced by what is compiled then. */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { canonicalJson, writeContainer } from '../../../runtime/artefact/write-container.ts';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { entryName, readEntry, readEntryAside } from '../../../runtime/cache/entry.ts';
import { FileStore } from '../../../runtime/cache/file-store.ts';
import type { EntryKind, EntryName } from '../../../runtime/cache/store.ts';
import { validateProgram } from '../../../runtime/validate.ts';
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

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The same data with one value, somewhere inside, replaced or left out. */
function mutated(data: Json, random: () => number, replacement: Json): Json {
  if (typeof data !== 'object' || data === null || random() < 0.05) return replacement;
  if (Array.isArray(data)) {
    if (data.length === 0) return [replacement];
    const at = Math.floor(random() * data.length);
    if (random() < 0.1) return data.toSpliced(at, 1);
    return data.with(at, mutated(data[at], random, replacement));
  }
  const fields = Object.entries(data as { readonly [name: string]: Json });
  if (fields.length === 0) return replacement;
  const at = Math.floor(random() * fields.length);
  if (random() < 0.1) return Object.fromEntries(fields.toSpliced(at, 1));
  return Object.fromEntries(fields.with(at, [fields[at][0], mutated(fields[at][1], random, replacement)]));
}

describe('an entry whose hashes are right but whose record was edited', () => {
  const values: readonly Json[] = [null, -1, 1e300, 0.5, 'x', '__proto__', [], {}, [[]], true, 1, '-B', 'B*B'];

  test.each<[EntryKind, EntryName]>([
    ['program', programName],
    ['kernel', kernelName],
  ])('of a %s gives a program that is one, or none, and never fails', async (_, name) => {
    const folder = filledFolder();
    const { content, blobs } = readEntry(name, new Uint8Array(readFileSync(pathOf(folder, name))));
    const whole = JSON.parse(canonicalJson(content)) as Json;
    let dropped = 0;
    const edits = fc.tuple(
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      fc.constantFrom(...values),
    );
    for (const [stream, value] of fc.sample(edits, 300)) {
      const edited = mutated(whole, () => stream.next().value, value);
      const store = new FileStore(folder);
      store.write(name, writeContainer(edited, blobs));
      const cache = new CompiledCache(store, version);
      const found = cache.findProgramSync('key');
      if (found) expect(() => validateProgram(found)).not.toThrow();
      dropped += cache.counts.dropped;
      if (cache.counts.dropped > 0 && name === kernelName) cache.keepKernel(program.kernels[0]);
      else cache.keepProgram('key', program);
    }
    expect(dropped).toBeGreaterThan(100);
    expect(({} as { readonly polluted?: unknown }).polluted).toBeUndefined();
    expect(await cacheAt(folder).findProgram('key')).toEqual(program);
  });
});
