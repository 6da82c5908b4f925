/** The command line as a user meets it: each command in a process of its own, what it prints and how it ends. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(() => {
  mkdirSync(join(root, '.kiln'), { recursive: true });
  folder = mkdtempSync(join(root, '.kiln', 'cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, code: string): string {
  const path = join(folder, name);
  writeFileSync(path, code.replaceAll("'kilnjs'", "'../../index.ts'"));
  return path;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const kiln = (...args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const node = ['--import', './scripts/preload.mjs', '--import', 'tsx', 'cli/main.ts', ...args];
    execFile(process.execPath, node, { cwd: root, encoding: 'utf8' }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });

const twoLayers = `
import { dim, softmax, spec, type Tensor } from 'kilnjs';
const hidden = (x: Tensor, w: Tensor) =>
  x.matmul(w).tanh();
export default {
  hidden: { fn: hidden, args: [spec([dim('B'), 16]), spec([16, 4])] },
  odds: { fn: (x: Tensor) => softmax(x), args: [spec([3, 5])] },
};
`;

describe('kiln', () => {
  test('explain follows a line from source to code and compares the modes', async () => {
    const { code, stdout, stderr } = await kiln('explain', file('layers.mts', twoLayers), '--iterations', '3');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/hidden: the journey of one line/);
    expect(stdout).toMatch(/layers\.mts:4\n\s+x\.matmul\(w\)\.tanh\(\);/);
    expect(stdout).toMatch(/= dot_general %\w+, %\w+ \{contract=\[\[1\],\[0\]\]/);
    expect(stdout).toMatch(/one kernel: dot_general_tanh/);
    expect(stdout).toMatch(/kernel dot_general_tanh\(read/);
    expect(stdout).toMatch(/\(loop[\s\S]*f32x4\.(?:mul|relaxed_madd)/);
    expect(stdout).toMatch(/eager[\s\S]*compiled[\s\S]*compiled is/);
    expect(stdout).toMatch(/odds: the journey/);
  });

  test('report writes a page for each function, with times where asked', async () => {
    const path = file('report.mts', twoLayers);
    const both = await kiln('report', path, '-o', join(folder, 'pages.html'));
    expect(both.stderr).toBe('');
    expect(both.stdout).toMatch(/pages-hidden\.html \(.* KiB\) {2}hidden: \d+ ops in 1 launch,[\s\S]*pages-odds\.html/);
    expect(readFileSync(join(folder, 'pages-hidden.html'), 'utf8')).toMatch(/x\.matmul\(w\)\.tanh\(\)/);
    const one = await kiln('report', path, '--entry', 'odds', '--profile', '--output', join(folder, 'odds.html'));
    expect(one.stdout).toMatch(/^\S*odds\.html[^\n]* ms a run\n$/);
    expect(readFileSync(join(folder, 'odds.html'), 'utf8')).toMatch(/median of 10 runs/);
  });

  test('explain takes one entry', async () => {
    const { stdout } = await kiln('explain', file('one.mts', twoLayers), '--entry', 'odds', '--iterations', '1');
    expect(stdout).toMatch(/odds: the journey/);
    expect(stdout).not.toMatch(/hidden/);
  });

  test('report says which entries there are, and that a page can not be written', async () => {
    const path = file('entries.mts', twoLayers);
    const [entry, target] = await Promise.all([
      kiln('report', path, '--entry', 'nothing'),
      kiln('report', path, '--entry', 'odds', '-o', join(folder, 'no', 'such', 'folder.html')),
    ]);
    expect(entry.stderr).toMatch(/\[cli_usage\][\s\S]*no entry 'nothing'[\s\S]*hidden, odds/);
    expect(target.stderr).toMatch(/\[cli_usage\][\s\S]*can not be written/);
    expect([entry.code, target.code]).toEqual([1, 1]);
  });

  test('bench prints its figures as JSON', async () => {
    const { code, stdout } = await kiln(
      'bench',
      file('json.mts', twoLayers),
      '--warmup',
      '1',
      '--iterations',
      '2',
      '--json',
    );
    expect(code).toBe(0);
    const reports = JSON.parse(stdout) as { name: string; rows: { mode: string; mean: number; batchSize: number }[] }[];
    expect(reports.map(({ name }) => name)).toEqual(['hidden', 'odds']);
    expect(reports[1].rows.map(({ mode, batchSize }) => [mode, batchSize])).toEqual([
      ['eager', 3],
      ['compiled', 3],
    ]);
    for (const { rows } of reports) for (const { mean } of rows) expect(mean).toBeGreaterThan(0);
  });

  test.each([
    ['a file that is not there', ['explain', 'nowhere.ts'], /there is no file nowhere\.ts/],
    ['a count that is none', ['bench', 'x.ts', '--iterations', 'many'], /a count is a positive integer[\s\S]*many/],
    ['an unknown command', ['frobnicate'], /unknown command 'frobnicate'/],
  ])('%s ends with a message and code 1', async (_, args, message) => {
    const { code, stdout, stderr } = await kiln(...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });

  test('a module without entries, and an entry without a function, say what is expected', async () => {
    const none = await kiln('bench', file('none.mts', 'export const x = 1;'));
    expect(none.stderr).toMatch(/\[cli_usage\][\s\S]*offers no functions[\s\S]*export default/);
    const wrong = await kiln('bench', file('wrong.mts', 'export default { step: { args: [] } };'));
    expect(wrong.stderr).toMatch(/\[cli_usage\][\s\S]*entry 'step'/);
    expect([none.code, wrong.code]).toEqual([1, 1]);
  });

  test('says its version', async () => {
    const { stdout, code } = await kiln('--version');
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(code).toBe(0);
  });
});
