/** Which cache holds: flags, options of the session, the folder of each system, and nothing touched before it is used. */
import { existsSync } from 'node:fs';
import { join, posix, win32 } from 'node:path';
import * as fake from 'fake-indexeddb';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { BrowserStore } from '../../../runtime/cache/browser-store.ts';
import { cacheConfiguration, cacheFolder, configureCache, currentCache } from '../../../runtime/cache/current.ts';
import { FileStore } from '../../../runtime/cache/file-store.ts';
import { userFolder } from '../../../runtime/cache/folder.ts';
import { filesIn, temporaryFolder } from './folders.ts';

beforeEach(() => {
  vi.stubEnv('KILN_CACHE', '');
  vi.stubEnv('KILN_CACHE_DIR', '');
  return () => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    configureCache(undefined);
  };
});

describe('the cache of the session', () => {
  test('is in the folder that init asks for, else in KILN_CACHE_DIR, else in that of the user', () => {
    const [own, shared] = [temporaryFolder(), temporaryFolder()];
    expect(cacheFolder()).toBe(userFolder());
    vi.stubEnv('KILN_CACHE_DIR', shared);
    const fromFlag = currentCache('v')!;
    expect(fromFlag.store).toBeInstanceOf(FileStore);
    expect(fromFlag.store.place).toBe(shared);
    configureCache({ directory: own });
    expect(currentCache('v')?.store.place).toBe(own);
    configureCache(undefined);
    expect(currentCache('v')?.store.place).toBe(shared);
  });

  test('stays the same as long as nothing is said, and is another for another compiler or bound', () => {
    vi.stubEnv('KILN_CACHE_DIR', temporaryFolder());
    const first = currentCache('v');
    expect(currentCache('v')).toBe(first);
    expect(currentCache('w')).not.toBe(first);
    configureCache({ maxBytes: 1e6 });
    expect(currentCache('v')).not.toBe(first);
  });

  test('is none where somebody turns it off, or the compiler is not known', () => {
    vi.stubEnv('KILN_CACHE_DIR', temporaryFolder());
    expect(currentCache(undefined)).toBeUndefined();
    configureCache(false);
    expect(currentCache('v')).toBeUndefined();
    expect(cacheConfiguration()).toBe(false);
    vi.stubEnv('KILN_CACHE', 'off');
    configureCache({ maxBytes: 1e6 });
    expect(currentCache('v')).toBeUndefined();
    vi.stubEnv('KILN_CACHE', 'on');
    expect(currentCache('v')).toBeDefined();
  });

  test('touches nothing before something is kept', async () => {
    const folder = join(temporaryFolder(), 'none');
    configureCache({ directory: folder });
    const cache = currentCache('v')!;
    expect(cache.findProgramSync('key')).toBeUndefined();
    expect(await cache.findTrace('key')).toBeUndefined();
    expect(existsSync(folder)).toBe(false);
    cache.keepTrace('key', 1);
    expect(filesIn(folder)).toHaveLength(1);
  });

  test('is bounded as init says', async () => {
    const folder = temporaryFolder();
    configureCache({ directory: folder, maxEntries: 10 });
    const cache = currentCache('v')!;
    for (let i = 0; i < 11; i++) cache.keepTrace(String(i), i);
    expect(await cache.store.trim()).toMatchObject({ entries: 2 });
  });

  test('is IndexedDB where there are no files, and none where there is neither', () => {
    vi.stubGlobal('process', { env: {} });
    expect(currentCache('v')).toBeUndefined();
    vi.stubGlobal('indexedDB', fake.indexedDB);
    expect(currentCache('v')?.store).toBeInstanceOf(BrowserStore);
    expect(currentCache('v')?.isSync).toBe(false);
  });

  test.each<[string, unknown, RegExp]>([
    ['an unknown name', { folder: 'x' }, /option folder[\s\S]*directory, maxBytes, maxEntries/],
    ['no path', { directory: '' }, /the path of a folder/],
    ['a size that is none', { maxBytes: -1 }, /maxBytes: -1[\s\S]*positive integer/],
    ['a count that is none', { maxEntries: Number.NaN }, /maxEntries: NaN/],
    ['something else', true, /false, or an object of options/],
  ])('refuses %s', (_, options, message) => {
    expect(() => configureCache(options as undefined)).toThrow(message);
    expect(cacheConfiguration()).toEqual({});
  });
});

describe('the folder of a user', () => {
  type NodeProcess = NonNullable<Parameters<typeof userFolder>[0]>;

  /** A system with a home, or none. */
  function system(platform: string, home: string | undefined, env: NodeProcess['env'] = {}): NodeProcess {
    const homedir = (): string => {
      if (home === undefined) throw new Error('no such user');
      return home;
    };
    const modules = { 'node:fs': undefined, 'node:os': { homedir }, 'node:path': platform === 'win32' ? win32 : posix };
    return { platform, env, getBuiltinModule: (name) => modules[name] as never };
  }

  test.each<[string, NodeProcess, string | undefined]>([
    ['Linux', system('linux', '/home/a'), '/home/a/.cache/kiln'],
    ['XDG', system('linux', '/home/a', { XDG_CACHE_HOME: '/var/a' }), '/var/a/kiln'],
    ['XDG without a home', system('linux', undefined, { XDG_CACHE_HOME: '/var/a' }), '/var/a/kiln'],
    [
      'a relative XDG, which counts for nothing',
      system('linux', '/home/a', { XDG_CACHE_HOME: 'a' }),
      '/home/a/.cache/kiln',
    ],
    ['macOS', system('darwin', '/Users/a', { XDG_CACHE_HOME: '/var/a' }), '/Users/a/Library/Caches/kiln'],
    ['Windows', system('win32', 'C:\\a', { LOCALAPPDATA: 'D:\\b' }), 'D:\\b\\kiln\\Cache'],
    ['Windows without LOCALAPPDATA', system('win32', 'C:\\a'), 'C:\\a\\AppData\\Local\\kiln\\Cache'],
    ['a user without a home', system('linux', undefined), undefined],
    ['no Node', { platform: 'linux', env: {} }, undefined],
  ])('on %s', (_, process, expected) => {
    expect(userFolder(process)).toBe(expected);
  });
});
