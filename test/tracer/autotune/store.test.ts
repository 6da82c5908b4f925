/** What was measured, in memory and in a file that nobody vouches for. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SearchResult } from '../../../tracer/autotune/search.ts';
import { clearSchedules, parseStore, storedSchedules, storeSchedules } from '../../../tracer/autotune/store.ts';

const machine = 'a'.repeat(64);
const keyOf = (number: number): string => number.toString(16).padStart(64, '0');
const found = (winner: string): SearchResult => ({ winner, tried: [{ schedule: winner, ms: 1 }], ms: 2 });

let folder = '';
const path = (): string => join(folder, 'kiln-autotune.json');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kiln-autotune-'));
  vi.stubEnv('KILN_CACHE', 'on');
  vi.stubEnv('KILN_CACHE_DIR', folder);
  clearSchedules();
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  clearSchedules();
});

describe('the store', () => {
  it('keeps schedules of a machine in memory, and in a file for others', () => {
    storeSchedules(machine, new Map([[keyOf(1), found('4x8x256x64x512')]]));
    expect(storedSchedules(machine).get(keyOf(1))).toMatchObject({ from: 'measured', search: { ms: 2 } });
    expect(storedSchedules('b'.repeat(64)).size).toBe(0);
    clearSchedules();
    expect([...storedSchedules(machine)]).toEqual([[keyOf(1), { schedule: '4x8x256x64x512', from: 'file' }]]);
    expect(readdirSync(folder)).toEqual(['kiln-autotune.json']);
  });

  it('adds to what others have written meanwhile', () => {
    storeSchedules(machine, new Map([[keyOf(1), found('4x8x256x64x512')]]));
    const other = { version: 1, schedules: { [`${machine} ${keyOf(2)}`]: '5x8x256x64x512' } };
    writeFileSync(path(), JSON.stringify(other));
    storeSchedules(machine, new Map([[keyOf(3), found('6x8x256x64x512')]]));
    clearSchedules();
    expect([...storedSchedules(machine).keys()].sort()).toEqual([1, 2, 3].map(keyOf));
  });

  it('stays bounded', () => {
    const many = Array.from({ length: 5000 }, (_, i) => [keyOf(i), found('4x8x256x64x512')] as const);
    storeSchedules(machine, new Map(many));
    const kept = parseStore(readFileSync(path(), 'utf8'));
    expect(kept).toHaveLength(4096);
    expect(kept.at(-1)?.[0]).toBe(`${machine} ${keyOf(4999)}`);
  });

  it('writes nothing while the cache is off', () => {
    vi.stubEnv('KILN_CACHE', 'off');
    storeSchedules(machine, new Map([[keyOf(1), found('4x8x256x64x512')]]));
    expect(storedSchedules(machine).size).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a file that is not right', () => {
  const entry = `${machine} ${keyOf(1)}`;
  it.each([
    ['cut off', '{ "version": 1, "schedules": { "'],
    ['nothing', 'null'],
    ['of another version', JSON.stringify({ version: 2, schedules: {} })],
    ['without schedules', JSON.stringify({ version: 1 })],
    ['with a key that is none', JSON.stringify({ version: 1, schedules: { x: '4x8x256x64x512' } })],
    ['with a schedule that is none', JSON.stringify({ version: 1, schedules: { [entry]: '4x8' } })],
    ['with tiles that no code is made for', JSON.stringify({ version: 1, schedules: { [entry]: '99x8x256x64x512' } })],
    ['with numbers beyond reason', JSON.stringify({ version: 1, schedules: { [entry]: '4x8x999999x64x512' } })],
    ['too long', ' '.repeat(1 << 21)],
  ])('%s is ignored with one notice', (_, text) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    writeFileSync(path(), text);
    expect(storedSchedules(machine).size).toBe(0);
    storeSchedules(machine, new Map([[keyOf(2), found('4x8x256x64x512')]]));
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0][0]).toContain('is ignored');
    clearSchedules();
    expect(storedSchedules(machine).size).toBe(1);
  });
});
