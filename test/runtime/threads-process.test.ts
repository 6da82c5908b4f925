/** A process with worker threads ends when it has nothing more to do, and at once when it is told to. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = new URL('../..', import.meta.url);
const file = (path: string): string => JSON.stringify(new URL(path, root).href);

/** Runs launches on three threads, then does something else. */
const script = (then: string): string => `
  import { costModel } from ${file('runtime/wasm/cost.ts')};
  import { WasmDevice } from ${file('runtime/wasm/device.ts')};
  import * as programs from ${file('test/runtime/support.ts')};
  Object.assign(costModel, { leastMicroseconds: 0, grainMicroseconds: 0, wakeMicroseconds: 0 });
  const n = 40_000;
  const program = programs.additionProgram(n, { kernels: [programs.addition(n, programs.shared)], tier: programs.sharedTier });
  const device = new WasmDevice({ threads: 3 });
  await device.warmup(program);
  const x = programs.upload(device, new Array(n).fill(1));
  const launch = () => device.run(programs.compiledSource(program), [x, x], programs.vector(n))[0];
  for (let i = 0; i < 500; i++) launch().dispose();
  console.log(programs.valuesOf(device, launch())[n - 1]);
  ${then}
`;

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function run(then: string): Promise<Ended> {
  const args = ['--import', './scripts/preload.mjs', '--import', 'tsx', '--input-type=module', '-e', script(then)];
  const child = spawn(process.execPath, args, { cwd: fileURLToPath(root), timeout: 50_000 });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output, errors })));
}

describe('a process with worker threads', () => {
  it.each([
    ['has nothing more to do', '', 0],
    ['calls process.exit', 'process.exit(3);', 3],
    ['calls process.exit between launches', 'setTimeout(() => process.exit(4), 20); setInterval(launch, 0);', 4],
    ['has shut the device down', 'device.shutdown();', 0],
  ])('ends when it %s', async (_, then, code) => {
    expect(await run(then)).toEqual({ code, output: '2\n', errors: '' });
  });

  it('ends with an error that nobody catches', async () => {
    const { code, errors } = await run("throw new Error('a fault of the script');");
    expect(code).toBe(1);
    expect(errors).toMatch(/a fault of the script/);
  });
});
