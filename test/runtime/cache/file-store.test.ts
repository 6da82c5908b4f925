/** Files of the cache: whole or not there, shared by processes, bounded, and harmless where nothing can be written. */
import { execFile, execFileSync } from 'node:child_process';
import fs, { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FileStore } from '../../../runtime/cache/file-store.ts';
import { type EntryName, surplus } from '../../../runtime/cache/store.ts';
import { filesIn, pathOf, temporaryFolder } from './folders.ts';

afterEach(() => void vi.restoreAllMocks());

const named = (digits: string, kind: EntryName['kind'] = 'program'): EntryName => ({
  kind,
  hash: digits.padEnd(64, '0'),
});
const bytesOf = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);

/** Says that an entry was last used so many hours ago. */
function makeOlder(folder: string, name: EntryName, hours: number): void {
  const time = new Date(Date.now() - hours * 3_600_000);
  utimesSync(pathOf(folder, name), time, time);
}

describe('a store of files', () => {
  test('gives back what was written, lists it, and removes it', async () => {
    const folder = join(temporaryFolder(), 'new', 'folder');
    const store = new FileStore(folder);
    expect(store.readSync(named('aa'))).toBeUndefined();
    expect(await store.list()).toEqual([]);
    store.write(named('aa'), bytesOf(10));
    store.write(named('ab', 'kernel'), bytesOf(0));
    store.write(named('aa'), bytesOf(20));
    expect(store.readSync(named('aa'))).toEqual(bytesOf(20));
    expect(await store.read(named('ab', 'kernel'))).toEqual(bytesOf(0));
    expect(await store.readAll([named('ac'), named('aa')])).toEqual([undefined, bytesOf(20)]);
    expect(await store.list()).toEqual([
      { ...named('ab', 'kernel'), bytes: 0, usedAt: expect.any(Number) },
      { ...named('aa'), bytes: 20, usedAt: expect.any(Number) },
    ]);
    store.remove(named('aa'));
    store.remove(named('aa'));
    expect(store.readSync(named('aa'))).toBeUndefined();
    expect(filesIn(folder)).toEqual([pathOf(folder, named('ab', 'kernel'))]);
  });

  test('adds only what is not there, and makes no bytes otherwise', () => {
    const store = new FileStore(temporaryFolder());
    const make = vi.fn(() => bytesOf(1));
    store.add(named('aa'), make);
    store.add(named('aa'), make);
    expect(make).toHaveBeenCalledTimes(1);
  });

  test('is for its owner alone', () => {
    const folder = join(temporaryFolder(), 'new');
    new FileStore(folder).write(named('aa'), bytesOf(1));
    if (process.platform === 'win32') return expect(existsSync(folder)).toBe(true);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(pathOf(folder, named('aa'))).mode & 0o777).toBe(0o600);
  });

  test('knows what was used, at most an hour behind', () => {
    const folder = temporaryFolder();
    const store = new FileStore(folder);
    store.write(named('aa'), bytesOf(1));
    const age = (): number => Date.now() - statSync(pathOf(folder, named('aa'))).mtimeMs;
    makeOlder(folder, named('aa'), 0.5);
    store.readSync(named('aa'));
    expect(age()).toBeGreaterThan(1_000_000);
    makeOlder(folder, named('aa'), 2);
    store.peek(named('aa'));
    expect(age()).toBeGreaterThan(7_000_000);
    store.readSync(named('aa'));
    expect(age()).toBeLessThan(60_000);
  });

  test('lets alone what is not its own', async () => {
    const folder = temporaryFolder();
    const strange = [
      join(folder, 'kiln-autotune.json'),
      pathOf(folder, { kind: 'program', hash: 'readme' }),
      join(folder, 'v1', 'program', 'aa', `${'b'.repeat(64)}`),
      join(folder, 'v2', 'program', 'aa', 'a'.repeat(64)),
    ];
    for (const path of strange) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'x');
    }
    const store = new FileStore(folder);
    expect(await store.list()).toEqual([]);
    await store.trim({ bytes: 0 });
    for (const path of strange) expect(readFileSync(path, 'utf8')).toBe('x');
  });
});

describe('trimming', () => {
  test('removes what was used longest ago, until a tenth below the bounds', async () => {
    const folder = temporaryFolder();
    const store = new FileStore(folder, { bounds: { bytes: 1000, entries: 100 } });
    const names = Array.from({ length: 12 }, (_, i) =>
      named(i.toString(16).padStart(2, '0'), i % 2 ? 'kernel' : 'trace'),
    );
    for (const [i, name] of names.entries()) {
      store.write(name, bytesOf(100));
      makeOlder(folder, name, 100 - ((i * 5) % 12));
    }
    const byAge = [...names].sort((a, b) => statSync(pathOf(folder, a)).mtimeMs - statSync(pathOf(folder, b)).mtimeMs);
    // One that is used stays, however old it was.
    store.readSync(byAge[0]);
    expect(await store.trim()).toEqual({ entries: 3, bytes: 300 });
    const gone = names.filter((name) => !existsSync(pathOf(folder, name)));
    expect(new Set(gone)).toEqual(new Set(byAge.slice(1, 4)));
    expect(await store.trim()).toEqual({ entries: 0, bytes: 0 });
    expect(await store.trim({ entries: 5 })).toEqual({ entries: 5, bytes: 500 });
  });

  test('sweeps up after writers that have died, not after those that write', async () => {
    const folder = temporaryFolder();
    const store = new FileStore(folder);
    store.write(named('aa'), bytesOf(1));
    const unfinished = (id: string): string => join(folder, 'v1/program/aa', `.${named('aa').hash}.1.${id}.new`);
    for (const id of ['a', 'b']) writeFileSync(unfinished(id), 'x');
    const old = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(unfinished('a'), old, old);
    await store.trim();
    expect(['a', 'b'].map((id) => existsSync(unfinished(id)))).toEqual([false, true]);
  });

  test('is planned once an hour, or when much was written', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const folder = temporaryFolder();
    const bounds = { bytes: 1600, entries: 100 };
    const stamp = join(folder, 'v1/trimmed');
    const write = (store: FileStore, i: number): void => store.write(named(i.toString(16)), bytesOf(101));
    const first = new FileStore(folder, { bounds });
    write(first, 1);
    await vi.runAllTimersAsync();
    expect(existsSync(stamp)).toBe(true);
    const old = new Date(Date.now() - 1_800_000);
    utimesSync(stamp, old, old);
    const second = new FileStore(folder, { bounds });
    write(second, 2);
    // Much by now: a second entry is more than the sixteenth part.
    write(second, 3);
    await vi.runAllTimersAsync();
    expect(Date.now() - statSync(stamp).mtimeMs).toBeLessThan(60_000);
    vi.useRealTimers();
  });

  test('keeps within bounds whatever sizes there are', () => {
    const entries = Array.from({ length: 50 }, (_, i) => ({
      ...named(`${i}`),
      bytes: (i * 37) % 91,
      usedAt: (i * 17) % 50,
    }));
    for (const bounds of [
      { bytes: 0, entries: 9 },
      { bytes: 500, entries: 99 },
      { bytes: 9999, entries: 20 },
      { bytes: 9999, entries: 99 },
    ]) {
      const gone = surplus(entries, bounds);
      const rest = entries.filter((entry) => !gone.includes(entry));
      expect(rest.length).toBeLessThanOrEqual(bounds.entries);
      expect(rest.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(bounds.bytes);
      for (const kept of rest) for (const { usedAt } of gone) expect(usedAt).toBeLessThanOrEqual(kept.usedAt);
    }
    expect(surplus(entries, { bytes: 9999, entries: 99 })).toEqual([]);
  });
});

describe('where nothing can be written', () => {
  test('a place below a file is no error: one report, nothing found, nothing kept', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, 'x');
    const onFault = vi.fn();
    const store = new FileStore(join(file, 'cache'), { onFault });
    store.write(named('aa'), bytesOf(1));
    store.add(named('ab'), () => bytesOf(1));
    store.remove(named('aa'));
    expect(store.readSync(named('aa'))).toBeUndefined();
    expect(await store.list()).toEqual([]);
    expect(await store.trim()).toEqual({ entries: 0, bytes: 0 });
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(onFault.mock.calls[0][0]).toMatch(/cache in .*file.cache can not be written: .*ENOTDIR/);
  });

  test('a place where folders can not be made keeps nobody waiting', (context) => {
    if (!existsSync('/proc/self')) context.skip('there is no /proc here');
    const onFault = vi.fn();
    new FileStore('/proc/none/cache', { onFault }).write(named('aa'), bytesOf(1));
    expect(onFault.mock.calls).toEqual([[expect.stringMatching(/can not be written: .*(ENOENT|EACCES|EPERM)/)]]);
  });

  test.each(['ENOSPC', 'EROFS', 'EACCES', 'EDQUOT'])('%s leaves what was there, and nothing half done', (code) => {
    const folder = temporaryFolder();
    const onFault = vi.fn();
    const store = new FileStore(folder, { onFault });
    store.write(named('aa'), bytesOf(1));
    const { writeFileSync: write } = fs;
    vi.spyOn(fs, 'writeFileSync').mockImplementation((path, data, options) => {
      // A full disk takes some of it.
      if (code === 'ENOSPC') write(path, (data as Uint8Array).subarray(0, 3), options);
      throw Object.assign(new Error(code), { code });
    });
    store.write(named('aa'), bytesOf(10));
    store.write(named('ab'), bytesOf(10));
    vi.restoreAllMocks();
    expect(store.readSync(named('aa'))).toEqual(bytesOf(1));
    expect(filesIn(folder)).toEqual([pathOf(folder, named('aa'))]);
    expect(onFault).toHaveBeenCalledTimes(1);
    store.write(named('ab'), bytesOf(10));
    expect(store.readSync(named('ab'))).toEqual(bytesOf(10));
  });

  test('an entry that can not be renamed, touched or read is as if it were not there', () => {
    const folder = temporaryFolder();
    const onFault = vi.fn();
    const store = new FileStore(folder, { onFault });
    const refuse = (name: 'renameSync' | 'utimesSync' | 'openSync'): void =>
      void vi.spyOn(fs, name).mockImplementation(() => {
        throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
      });
    refuse('renameSync');
    store.write(named('aa'), bytesOf(1));
    expect(filesIn(folder)).toEqual([]);
    vi.restoreAllMocks();
    store.write(named('aa'), bytesOf(1));
    makeOlder(folder, named('aa'), 2);
    refuse('utimesSync');
    expect(store.readSync(named('aa'))).toEqual(bytesOf(1));
    refuse('openSync');
    expect(store.readSync(named('aa'))).toBeUndefined();
    expect(onFault).toHaveBeenCalledTimes(1);
  });

  test('an entry beyond the bound is neither kept nor read', () => {
    const folder = temporaryFolder();
    const store = new FileStore(folder, { bounds: { bytes: 100, entries: 9 } });
    store.write(named('aa'), bytesOf(101));
    expect(filesIn(folder)).toEqual([]);
    new FileStore(folder).write(named('aa'), bytesOf(101));
    expect(store.readSync(named('aa'))).toBeUndefined();
  });

  test('a folder or a pipe in the place of an entry is no entry, and keeps nobody waiting', () => {
    const folder = temporaryFolder();
    const store = new FileStore(folder);
    mkdirSync(pathOf(folder, named('aa')), { recursive: true });
    if (process.platform !== 'win32') execFileSync('mkfifo', [pathOf(folder, named('aab'))]);
    for (const name of [named('aa'), named('aab')]) {
      expect(store.readSync(name) ?? bytesOf(0)).toEqual(bytesOf(0));
      store.remove(name);
      store.write(name, bytesOf(1));
    }
    if (process.platform !== 'win32') expect(store.readSync(named('aab'))).toEqual(bytesOf(1));
  });
});

test('many processes write, read and trim one folder, and none reads anything torn', async () => {
  const folder = temporaryFolder();
  const script = fileURLToPath(new URL('share-folder.mts', import.meta.url));
  const run = async (seed: number): Promise<{ reads: number; found: number; dropped: number; faults: string[] }> => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, folder, String(seed)]);
    return JSON.parse(stdout);
  };
  const ended = await Promise.all([1, 2, 3, 4].map(run));
  for (const { reads, found, dropped, faults } of ended) {
    expect({ dropped, faults }).toEqual({ dropped: 0, faults: [] });
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThan(reads);
  }
  expect(filesIn(folder).filter((path) => path.endsWith('.new'))).toEqual([]);
  const entries = await new FileStore(folder).list();
  expect(entries.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(3_000_000);
});
