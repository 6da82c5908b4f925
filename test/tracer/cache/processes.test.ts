/**
 * What one process compiles, another finds: fresh processes over one folder. The second one loads no compiler, starts no
 * worker thread and gives the same bits.
 */
import { mkdtempSync, readdirSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CacheRun, runCacheChild } from '../../support/cache-process.ts';

const root = mkdtempSync(join(tmpdir(), 'kiln-processes-'));
let folder = join(root, 'first');
let cold: CacheRun;

const filesIn = (): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const allFromDisk = { compiles: 0, hits: { memory: 0, disk: 1 }, compileMs: 0 };

beforeAll(async () => {
  cold = await runCacheChild({}, { folder });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('a process', () => {
  it('compiles what it finds nowhere', () => {
    expect(cold).toMatchObject({ runs: 1, steps: 2, fromCache: false, kinds: [true, true, 'busy'] });
    expect(cold.workers + Number(cold.isCompilerLoaded)).toBeGreaterThan(0);
    for (const stats of Object.values(cold.stats)) expect(stats).toMatchObject({ compiles: 1, hits: { disk: 0 } });
  });

  it('that comes later loads no compiler, and does not run what is known by its key', async () => {
    const warm = await runCacheChild({}, { folder });
    expect(warm.results).toEqual(cold.results);
    expect(warm).toMatchObject({ runs: 0, steps: 0, workers: 0, isCompilerLoaded: false, fromCache: true });
    expect(warm.kinds).toEqual(cold.kinds);
    for (const [name, stats] of Object.entries(warm.stats)) expect(stats, name).toEqual(allFromDisk);
    expect(warm.errors).toBe('');
  });

  it('finds it where the folder has gone, and traces under another key to the same programs', async () => {
    renameSync(folder, join(root, 'moved'));
    folder = join(root, 'moved');
    const moved = await runCacheChild({ version: 'v2' }, { folder, environment: { KILN_DEBUG: 'cache' } });
    expect(moved.results).toEqual(cold.results);
    expect(moved).toMatchObject({ runs: 1, steps: 2, workers: 0, isCompilerLoaded: false });
    for (const [name, stats] of Object.entries(moved.stats)) expect(stats, name).toEqual(allFromDisk);
    expect(moved.errors).toMatch(/^\[kiln cache\] layer: met on disk \([0-9a-f]{12}, [\d.]+ ms\)$/m);
    expect(moved.errors).toMatch(/^\[kiln cache\] symbolic: not traced: the trace under 'symbolic' is known/m);
    expect(moved.errors).toMatch(
      /captured: the trace under 'captured' is not kept: it takes 1 tensors from around it$/m,
    );
  });

  it('compiles again what is damaged, with one notice', async () => {
    for (const file of filesIn()) truncateSync(file, 100);
    const healed = await runCacheChild({}, { folder });
    expect(healed.results).toEqual(cold.results);
    expect(healed.runs).toBe(1);
    expect(healed.errors.match(/kiln: an entry of the cache/g)).toHaveLength(1);
  });
});
