/** `kiln cache`: what it lists, removes, checks, and carries from folder to folder, and how it ends. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { addCacheCommands } from '../../cli/cache.ts';
import { formatAge, parseAge, parseSize } from '../../cli/quantities.ts';
import { CompiledCache } from '../../runtime/cache/compiled-cache.ts';
import { entryName } from '../../runtime/cache/entry.ts';
import { FileStore } from '../../runtime/cache/file-store.ts';
import { filesIn, pathOf, temporaryFolder } from '../runtime/cache/folders.ts';
import { randomProgram } from '../runtime/cache/programs.ts';

const version = 'some version';
const programs = [randomProgram(1, 'wasm'), randomProgram(2, 'webgpu')];
const program = entryName('program', version, 'key 0');
const kernel = entryName('kernel', version, programs[0].kernels[0].hash);
const kernelCount = new Set(programs.flatMap(({ kernels }) => kernels.map(({ hash }) => hash))).size;

/** A cache with two programs and a trace. */
function filledFolder(): string {
  const folder = temporaryFolder();
  const cache = new CompiledCache(new FileStore(folder), version);
  for (const [i, each] of programs.entries()) cache.keepProgram(`key ${i}`, each);
  cache.keepTrace('key', { name: 'step' });
  return folder;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command on a folder, in this process. */
async function cache(folder: string, ...args: readonly string[]): Promise<Ended> {
  const printed = { log: '', error: '' };
  for (const stream of ['log', 'error'] as const) {
    vi.spyOn(console, stream).mockImplementation((text) => {
      printed[stream] += `${text}\n`;
    });
  }
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    const kiln = new Command('kiln').exitOverride();
    addCacheCommands(kiln);
    await kiln.parseAsync(['cache', ...args, '--directory', folder], { from: 'user' });
    return { code: Number(process.exitCode), stdout: printed.log, stderr: printed.error };
  } finally {
    process.exitCode = before;
    vi.restoreAllMocks();
  }
}

afterEach(() => void vi.restoreAllMocks());

describe('kiln cache', () => {
  test('is there on the command line, and looks at KILN_CACHE_DIR', async () => {
    const folder = filledFolder();
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const node = ['--import', './scripts/preload.mjs', '--import', 'tsx', 'cli/main.ts', 'cache', 'ls'];
    const env = { ...process.env, KILN_CACHE_DIR: folder };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, node, { cwd: root, env });
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n').at(-1)).toBe((await cache(folder, 'ls')).stdout.trimEnd().split('\n').at(-1));
  });

  test('ls names programs, kernels and traces, with sizes, ages and a total', async () => {
    const folder = filledFolder();
    const hourAgo = new Date(Date.now() - 5_400_000);
    utimesSync(pathOf(folder, program), hourAgo, hourAgo);
    const { stdout, code } = await cache(folder, 'ls');
    expect(code).toBe(0);
    expect(stdout).toMatch(/kind.*name.*for.*size.*last used.*hash/);
    expect(stdout).toMatch(/trace +│ step +│ +│ +\d+ B │ +just now/);
    expect(stdout).toMatch(new RegExp(`kernel +│ ${programs[0].kernels[0].name} +│ wasm`));
    expect(stdout).toMatch(new RegExp(`program +│ random 1 +│ wasm +│ .*B │ +1 h │ ${program.hash.slice(0, 12)}`));
    expect(stdout).toMatch(/program +│ random 2 +│ webgpu\+8-buffers/);
    // The last used first.
    expect(stdout.indexOf('random 2')).toBeLessThan(stdout.indexOf('random 1'));
    expect(stdout).toContain(`${kernelCount} kernels, 2 programs, 1 trace; `);
    const one = await cache(folder, 'ls', '--kind', 'trace');
    expect(one.stdout).not.toContain('random');
    await expect(cache(folder, 'ls', '--kind', 'thing')).rejects.toThrow(
      /no kind 'thing'[\s\S]*kernel, program, trace/,
    );
  });

  test('ls and verify of a folder that is not there find nothing, and do not make it', async () => {
    const folder = join(temporaryFolder(), 'none');
    expect((await cache(folder, 'ls')).stdout).toMatch(/^0 kernels, 0 programs, 0 traces; 0 B in /);
    expect(await cache(folder, 'verify')).toEqual({ code: 0, stdout: '0 entries checked, 0 damaged\n', stderr: '' });
    expect(existsSync(folder)).toBe(false);
  });

  test('ls and verify leave no trace of use', async () => {
    const folder = filledFolder();
    const old = new Date(Date.now() - 86_400_000);
    for (const path of filesIn(folder)) utimesSync(path, old, old);
    await cache(folder, 'ls');
    await cache(folder, 'verify');
    for (const { usedAt } of await new FileStore(folder).list()) expect(usedAt).toBeCloseTo(old.getTime(), -2);
  });

  test('prune removes by age, by size, and everything', async () => {
    const folder = filledFolder();
    const count = kernelCount + 3;
    expect((await cache(folder, 'prune')).stdout).toMatch(
      new RegExp(`^removed 0 entries \\(0 B\\); kept ${count} entries`),
    );
    const old = new Date(Date.now() - 3 * 86_400_000);
    utimesSync(pathOf(folder, program), old, old);
    expect((await cache(folder, 'prune', '--older-than', '2d')).stdout).toMatch(/^removed 1 entry /);
    expect(existsSync(pathOf(folder, program))).toBe(false);
    await cache(folder, 'prune', '--max-size', '3kb');
    const kept = await new FileStore(folder).list();
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(3000);
    const schedules = join(folder, 'kiln-autotune.json');
    writeFileSync(schedules, '{}');
    await cache(folder, 'prune');
    expect(existsSync(schedules)).toBe(true);
    expect((await cache(folder, 'prune', '--all')).stdout).toMatch(/kept 0 entries \(0 B\)\n$/);
    expect((await new FileStore(folder).list()).length).toBe(0);
    expect(existsSync(schedules)).toBe(false);
  });

  test('verify names and removes what is damaged, and ends with 1', async () => {
    const folder = filledFolder();
    expect(await cache(folder, 'verify')).toEqual({
      code: 0,
      stdout: `${kernelCount + 3} entries checked, 0 damaged\n`,
      stderr: '',
    });
    writeFileSync(pathOf(folder, kernel), 'x');
    expect((await cache(folder, 'ls')).stdout).toMatch(/kernel +│ \(damaged\)/);
    const first = await cache(folder, 'verify');
    expect(first.code).toBe(1);
    expect(first.stderr).toBe(`removed kernel ${kernel.hash}: bytes that begin with 78\n`);
    expect(first.stdout).toMatch(/ 1 damaged, 1 program removed whose kernels are gone\n$/);
    expect(existsSync(pathOf(folder, kernel)) || existsSync(pathOf(folder, program))).toBe(false);
    expect((await cache(folder, 'verify')).code).toBe(0);
  });

  test('export and import carry a cache to another folder, by the same bytes for the same entries', async () => {
    const [folder, other, files] = [filledFolder(), temporaryFolder(), temporaryFolder()];
    const [first, second] = [join(files, 'first.bin'), join(files, 'second.bin')];
    expect((await cache(folder, 'export', first)).stdout).toContain(`${kernelCount + 3} entries`);
    expect((await cache(other, 'import', first)).code).toBe(0);
    await cache(other, 'export', second);
    expect(readFileSync(second)).toEqual(readFileSync(first));
    const moved = new CompiledCache(new FileStore(other), version);
    expect(programs.map((_, i) => moved.findProgramSync(`key ${i}`))).toEqual(programs);
    expect(filesIn(files)).toEqual([first, second]);
  });

  test('export leaves out what is damaged; import of a file that is none takes nothing', async () => {
    const [folder, other, files] = [filledFolder(), temporaryFolder(), temporaryFolder()];
    const file = join(files, 'cache.bin');
    writeFileSync(pathOf(folder, kernel), 'x');
    expect((await cache(folder, 'export', file)).stderr).toMatch(/^left out kernel [0-9a-f]{64}: it is damaged/);
    const bytes = readFileSync(file);
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [bytes.subarray(0, bytes.length - 1), /truncated_artefact/],
      [Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)), /corrupt_artefact/],
      [readFileSync(pathOf(folder, program)), /not_an_artefact.*holds no entries of a cache/],
      [new TextEncoder().encode('{}'), /not_an_artefact/],
    ];
    for (const [content, message] of cases) {
      writeFileSync(file, content);
      await expect(cache(other, 'import', file)).rejects.toThrow(message);
    }
    await expect(cache(other, 'import', files)).rejects.toThrow(/not_a_file.*is no file that can be read\n.*folder/);
    await expect(cache(other, 'export', join(file, 'below'))).rejects.toThrow(/can not be written/);
    expect(filesIn(other)).toEqual([]);
  });

  test('a place that can not be written says so', async () => {
    const [folder, files] = [filledFolder(), temporaryFolder()];
    const file = join(files, 'cache.bin');
    await cache(folder, 'export', file);
    await expect(cache(join(file, 'below'), 'import', file)).rejects.toThrow(
      /cli_usage.*can not be written: .*ENOTDIR/,
    );
  });
});

test('sizes and ages are read and written as people do', () => {
  expect(['65536', '100MB', '1.5 GiB', '2kb'].map(parseSize)).toEqual([65_536, 1e8, 1.5 * 2 ** 30, 2000]);
  expect(['90s', '45m', '12h', '30d', '2w'].map(parseAge)).toEqual([9e4, 27e5, 432e5, 2592e6, 12096e5]);
  for (const text of ['', 'x', '-1', '1e9', '3 parsecs', '5constructor']) {
    expect(() => parseSize(text)).toThrow(/cli_usage.*is not understood/);
    expect(() => parseAge(text)).toThrow(/such as 30d/);
  }
  const ages = [0, 59e3, 61e3, 3 * 36e5, 47 * 36e5, 50 * 36e5].map(formatAge);
  expect(ages).toEqual(['just now', 'just now', '1 min', '3 h', '47 h', '2 days']);
});
