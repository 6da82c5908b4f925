/** The cache over IndexedDB, with a database in memory: the same entries, the same healing, and no error without one. */
import * as fake from 'fake-indexeddb';
import { openDB } from 'idb';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { BrowserStore, type BrowserStoreOptions, hasDatabase } from '../../../runtime/cache/browser-store.ts';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { entryName } from '../../../runtime/cache/entry.ts';
import type { EntryName } from '../../../runtime/cache/store.ts';
import { randomProgram } from './programs.ts';

const version = 'some version';
const named = (digits: string): EntryName => ({ kind: 'program', hash: digits.padEnd(64, '0') });
const bytesOf = (length: number, value = 7): Uint8Array => new Uint8Array(length).fill(value);

let factory: InstanceType<typeof fake.IDBFactory>;

beforeEach(() => {
  const { default: _, ...classes } = fake;
  for (const [name, value] of Object.entries(classes)) vi.stubGlobal(name, value);
  factory = new fake.IDBFactory();
  vi.stubGlobal('indexedDB', factory);
  vi.spyOn(console, 'warn').mockImplementation(() => {});
  return async () => {
    // What reads leave to be done later needs the classes.
    for (const store of opened.splice(0)) await store.settle();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  };
});

const opened: BrowserStore[] = [];

function storeOf(options: BrowserStoreOptions = {}): BrowserStore {
  const store = new BrowserStore(options);
  opened.push(store);
  return store;
}

describe('a store in IndexedDB', () => {
  test('gives back what was written, lists it, and removes it', async () => {
    const store = storeOf();
    expect(hasDatabase()).toBe(true);
    expect(await store.read(named('aa'))).toBeUndefined();
    store.write(named('ab'), bytesOf(0));
    store.write(named('aa'), bytesOf(10));
    store.write(named('aa'), bytesOf(20));
    // Later writes wait for earlier ones, as reads do.
    expect(await store.read(named('aa'))).toEqual(bytesOf(20));
    expect(await storeOf().list()).toEqual([
      { ...named('aa'), bytes: 20, usedAt: expect.any(Number) },
      { ...named('ab'), bytes: 0, usedAt: expect.any(Number) },
    ]);
    expect(await store.readAll([named('ac'), named('ab'), named('aa')])).toEqual([undefined, bytesOf(0), bytesOf(20)]);
    store.remove(named('aa'));
    expect(await store.list()).toHaveLength(1);
    expect(await store.read(named('aa'))).toBeUndefined();
  });

  test('can be opened ahead, once, and then reads without opening', async () => {
    const open = vi.spyOn(factory, 'open');
    const store = storeOf();
    store.open();
    store.open();
    await vi.waitFor(() => expect(open).toHaveBeenCalledTimes(1));
    expect(await store.read(named('aa'))).toBeUndefined();
    expect(open).toHaveBeenCalledTimes(1);
  });

  test('adds only what is not there, and makes no bytes otherwise', async () => {
    const store = storeOf();
    const make = vi.fn(() => bytesOf(1));
    store.add(named('aa'), make);
    await store.settle();
    store.add(named('aa'), make);
    await store.settle();
    expect(make).toHaveBeenCalledTimes(1);
  });

  test('removes what was used longest ago', async () => {
    const store = storeOf({ bounds: { bytes: 1000, entries: 100 } });
    vi.useFakeTimers({ toFake: ['Date'] });
    for (let i = 0; i < 12; i++) {
      vi.setSystemTime(i * 1000);
      store.write(named(i.toString(16)), bytesOf(100));
      await store.settle();
    }
    // Used soon after, which is not worth a write, and long after.
    await store.read(named('1'));
    await store.settle();
    vi.setSystemTime(5 * 3_600_000);
    await store.read(named('0'));
    expect(await store.trim()).toEqual({ entries: 3, bytes: 300 });
    vi.useRealTimers();
    expect((await store.list()).map(({ hash }) => hash[0]).join('')).toBe('0456789ab');
  });

  test('is shared by two that write at once', async () => {
    const [one, other] = [storeOf(), storeOf()];
    const trims: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      one.write(named(`${i}a`), bytesOf(10, i));
      other.write(named(`${i}a`), bytesOf(10, i));
      if (i % 3 === 0) trims.push(other.trim({ entries: 5 }));
    }
    await Promise.all([one.settle(), other.settle(), ...trims]);
    const entries = await one.list();
    for (const entry of entries) expect((await other.read(entry))!.length).toBe(10);
    expect(entries.length).toBeGreaterThan(0);
  });

  test('lets go of its database when somebody deletes it, and makes another', async () => {
    const store = storeOf();
    store.write(named('aa'), bytesOf(1));
    await store.settle();
    await new Promise<void>((resolve, reject) => {
      const deleting = factory.deleteDatabase('kiln-cache');
      deleting.onsuccess = () => resolve();
      deleting.onblocked = () => reject(new Error('it is still open'));
    });
    expect(await store.read(named('aa'))).toBeUndefined();
    store.write(named('aa'), bytesOf(2));
    expect(await store.read(named('aa'))).toEqual(bytesOf(2));
  });
});

describe('a cache in IndexedDB', () => {
  const cacheOf = (store = storeOf()): CompiledCache => new CompiledCache(store, version);
  const program = randomProgram(1, 'webgpu');

  test('gives back programs, for those who wait', async () => {
    const writer = cacheOf();
    writer.keepProgram('key', program);
    await writer.settle();
    const cache = cacheOf();
    expect(await cache.findProgram('key')).toEqual(program);
    expect((await cache.findKernel(program.kernels[0].hash))?.code).toEqual(program.kernels[0].code);
    expect(cache.findProgramSync('key')).toBeUndefined();
    expect(cache.counts.misses).toEqual({ program: 0, kernel: 0, trace: 0 });
  });

  test.each<[string, unknown]>([
    ['damaged bytes', bytesOf(200)],
    ['what is no bytes at all', { polluted: true }],
  ])('removes %s', async (_, value) => {
    const store = storeOf();
    const writer = cacheOf(store);
    writer.keepProgram('key', program);
    await writer.settle();
    const database = await openDB('kiln-cache', 1);
    await database.put('entries', value, `program/${entryName('program', version, 'key').hash}`);
    database.close();
    const cache = cacheOf(store);
    expect(await cache.findProgram('key')).toBeUndefined();
    expect(cache.counts.dropped).toBe(1);
    await store.settle();
    expect((await store.list()).filter(({ kind }) => kind === 'program')).toEqual([]);
    cache.keepProgram('key', program);
    expect(await cache.findProgram('key')).toEqual(program);
  });
});

describe('where there is no database to be had', () => {
  const failing: readonly (readonly [string, () => unknown])[] = [
    [
      'it refuses',
      () => {
        throw new DOMException('private', 'SecurityError');
      },
    ],
    ['it is of a newer version', () => new fake.IDBFactory().open('kiln-cache', -1)],
  ];

  test.each(failing)('because %s, nothing is found or kept, with one report', async (_, open) => {
    vi.stubGlobal('indexedDB', { open });
    const onFault = vi.fn();
    const store = storeOf({ onFault });
    store.write(named('aa'), bytesOf(1));
    store.remove(named('aa'));
    expect(await store.read(named('aa'))).toBeUndefined();
    expect(await store.list()).toEqual([]);
    expect(await store.trim()).toEqual({ entries: 0, bytes: 0 });
    expect(onFault).toHaveBeenCalledTimes(1);
    expect(onFault.mock.calls[0][0]).toMatch(/IndexedDB 'kiln-cache' can not be opened/);
  });

  test('because it never answers, those who wait go on after a while', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.stubGlobal('indexedDB', { open: () => new EventTarget() });
    vi.stubGlobal('IDBRequest', EventTarget);
    const onFault = vi.fn();
    const reading = storeOf({ onFault }).read(named('aa'));
    await vi.dynamicImportSettled();
    await vi.runAllTimersAsync();
    expect(await reading).toBeUndefined();
    expect(onFault.mock.calls[0][0]).toMatch(/does not open within/);
    vi.useRealTimers();
  });

  test('because its disk is full, the oldest go', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const onFault = vi.fn();
    const store = storeOf({ onFault });
    await store.settle();
    const put = vi.spyOn(fake.IDBObjectStore.prototype, 'put').mockImplementation(() => {
      throw new DOMException('full', 'QuotaExceededError');
    });
    store.write(named('aa'), bytesOf(1));
    await store.settle();
    put.mockRestore();
    vi.useRealTimers();
    expect(onFault.mock.calls[0][0]).toMatch(/can not be written: QuotaExceededError/);
    store.write(named('aa'), bytesOf(1));
    expect(await store.read(named('aa'))).toEqual(bytesOf(1));
  });
});
