/** The command line on WebGPU: `--device webgpu` waits for the adapter, and the code that is shown is WGSL. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let functions: string;

beforeAll(() => {
  mkdirSync(join(root, '.kiln'), { recursive: true });
  folder = mkdtempSync(join(root, '.kiln', 'cli-'));
  functions = join(folder, 'functions.mts');
  writeFileSync(
    functions,
    `import { spec, tensor, type Tensor } from '../../index.ts';
const w = tensor([[1, 2], [3, 4]]);
export default { layer: { fn: (x: Tensor) => x.matmul(w).tanh(), args: [spec([8, 2])] } };
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function kiln(environment: Record<string, string>, ...args: readonly string[]): Promise<string> {
  const node = ['--import', './scripts/preload.mjs', '--import', 'tsx', 'cli/main.ts', ...args];
  const { KILN_DEVICE: _, ...env } = process.env;
  const options = { cwd: root, env: { ...env, ...environment } };
  return (await promisify(execFile)(process.execPath, node, options)).stdout;
}

test('explain shows WGSL, and KILN_DUMP writes it', async () => {
  const dump = join(folder, 'dump');
  const output = await kiln({ KILN_DUMP: dump }, 'explain', functions, '--iterations', '2', '--device', 'webgpu');
  expect(output).toMatch(/one kernel: dot_general_tanh/);
  expect(output).toMatch(/its innermost loop as WGSL\n\s+for \(/);
  expect(output).toMatch(/compiled is/);
  const written = readdirSync(dump).filter((name) => name.endsWith('.wgsl'));
  const code = written.map((name) => readFileSync(join(dump, name), 'utf8')).join('');
  expect(code).toMatch(/^\/\/ kernel dot_general_tanh\n\/\/ {3}dot_general @.*functions\.mts:3/m);
});

test('report on KILN_DEVICE', async () => {
  const page = join(folder, 'page.html');
  const output = await kiln({ KILN_DEVICE: 'webgpu' }, 'report', functions, '--profile', '--output', page);
  expect(output).toMatch(/layer: \d+ ops in 1 launch,.* ms a run/);
  expect(readFileSync(page, 'utf8')).toMatch(/WGSL[\s\S]*@compute/);
});
