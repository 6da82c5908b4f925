/**
 * The same function and specs give a program of the same bytes: in another process, from another folder, at another
 * time of day and place, with or without other compiles before.
 */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('program-hash.mts', import.meta.url));
const tsx = import.meta.resolve('tsx');

interface Place {
  readonly cwd: string;
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Name and hash of each program and each kernel that a fresh process compiles. */
function hashesIn({ cwd, args = [], environment = {} }: Place): Promise<Record<string, string>> {
  const child = spawn(process.execPath, ['--import', tsx, script, ...args], {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Record<string, string>);
      else reject(new Error(`${script} ended with ${code}`));
    });
  });
}

test('programs are the same bytes in every process', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const environment = { TZ: 'Asia/Tokyo', LANG: 'tr_TR.UTF-8', KILN_VERIFY: '1' };
  const [here, elsewhere] = await Promise.all([
    hashesIn({ cwd: root }),
    hashesIn({ cwd: tmpdir(), args: ['warm'], environment }),
  ]);
  expect(elsewhere).toEqual(here);
  expect(Object.keys(here).filter((name) => !name.includes(' '))).toEqual([
    'languageModel',
    'strict',
    'symbolic',
    'random',
  ]);
  expect(Object.values(here).every((hash) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
});
