/** A run of the side-by-side benchmark: one wrong result ends it, before anything of that row is timed. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WrongResult } from '../../bench/peers/compare.ts';
import type { HostSpec } from '../../bench/peers/hosts.ts';
import { rows } from '../../bench/peers/rows.ts';
import { defaultTiming, type Host, measureUnit } from '../../bench/peers/schedule.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tiny = rows.filter(({ name }) => name === 'tiny call');

/** A host that gives `a * b + a`, with `error` on top, and says what it was asked. */
function fakeHost(id: string, error: number, asked: string[]): Host {
  const spec: HostSpec = { id, peer: 'tfjs', threads: 1, modes: [''], command: '', args: [], env: {} };
  return {
    spec,
    async prepare(_key, _mode, _work, inputs) {
      asked.push(`${id} prepare`);
      const { readFileSync } = await import('node:fs');
      const [a, b] = inputs.map(({ file }) => new Float32Array(Uint8Array.from(readFileSync(file)).buffer));
      return { firstMs: 1, outputs: [], read: () => [a.map((value, i) => value * b[i] + value + error)] };
    },
    run(_key, count) {
      asked.push(`${id} run`);
      return Promise.resolve(100 * count);
    },
    release: () => Promise.resolve(),
  };
}

describe('a unit', () => {
  test('is timed in turn once all results are right', async () => {
    const asked: string[] = [];
    const hosts = [fakeHost('one', 0, asked), fakeHost('other', 1e-7, asked)];
    const { figures } = await measureUnit(tiny, hosts, { ...defaultTiming, minRounds: 2, budgetMs: 1 });
    expect(figures.map(({ p50, rounds }) => [p50, rounds])).toEqual([
      [100, 2],
      [100, 2],
    ]);
    expect(asked.slice(0, 2)).toEqual(['one prepare', 'other prepare']);
    expect(asked.slice(-4)).toEqual(['one run', 'other run', 'other run', 'one run']);
  });

  test('is not timed at all when one is wrong', async () => {
    const asked: string[] = [];
    const hosts = [fakeHost('one', 0, asked), fakeHost('other', 1e-3, asked)];
    await expect(measureUnit(tiny, hosts, defaultTiming)).rejects.toThrow(WrongResult);
    expect(asked).toEqual(['one prepare', 'other prepare']);
  });
});

describe('the command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-peers-test-'));
  const interpreter = join(folder, 'python');

  // In the place of Python: a runtime whose results are all zero.
  beforeAll(() => {
    writeFileSync(
      interpreter,
      `#!${process.execPath}
const fs = require('node:fs');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { op, folder } = JSON.parse(line);
  const file = folder + '/wrong';
  if (op === 'prepare') fs.writeFileSync(file, new Uint8Array(16));
  const answers = { hello: { name: 'wrong 1.0', features: [] }, prepare: { firstMs: 1, outputs: [{ file, dtype: 'float32' }] } };
  fs.writeSync(3, JSON.stringify(answers[op] ?? { ms: 1 }) + '\\n');
});
`,
    );
    chmodSync(interpreter, 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('ends with exit code 1, the row and who was wrong', async () => {
    const options = [
      '--rows',
      'tiny',
      '--peers',
      'kiln,torch',
      '--threads',
      '1',
      '--simd',
      'plain',
      '--python',
      interpreter,
    ];
    const data = join(folder, 'data.json');
    const args = [
      '--import',
      './scripts/preload.mjs',
      '--import',
      'tsx',
      'bench/peers/run.ts',
      ...options,
      '--data',
      data,
    ];
    const run = promisify(execFile)(process.execPath, args, { cwd: root });
    await expect(run).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /WrongResult: tiny call: torch, 1 thread is wrong: element 0 is 0, in double precision/,
      ),
    });
  });
});
