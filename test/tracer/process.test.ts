/** A plain script in a fresh process: it prints values cold, without init, and it ends by itself. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const entry = new URL('../../index.ts', import.meta.url).href;
const client = new URL('../../tracer/compiler-client.ts', import.meta.url).href;
const tsx = import.meta.resolve('tsx');
/** Loaded before the hooks of tsx, which would rewrite its 15 MB. */
const binaryen = import.meta.resolve('binaryen');
const folder = mkdtempSync(join(tmpdir(), 'kiln-process-'));
let scripts = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a module in a process of its own until it ends. */
function run(source: string, preload: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const file = join(folder, `script-${scripts++}.mts`);
  writeFileSync(file, source.replace("'kilnjs'", JSON.stringify(entry)));
  const child = spawn(process.execPath, [...preload.flatMap((module) => ['--import', module]), '--import', tsx, file], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...environment },
  });
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

describe('a plain script', () => {
  it('prints values as its first act, reads and inspects, and ends', async () => {
    const { code, output, errors } = await run(
      `
      import { compile, grad, tensor } from 'kilnjs';
      import { inspect } from 'node:util';
      const x = tensor([1, 2, 3]);
      console.log(String(x.add(1)));
      console.log(inspect(x.mul(0.5)));
      console.log(String(compile((t) => t.mul(t))(x)), grad((t) => t.mul(t).sum())(x).arraySync());
      try { x.matmul(tensor([[1, 2]])); } catch (error) { console.log(error.code, error.location.frames[0].line); }
    `,
      [],
    );
    expect(errors).toBe('');
    expect(output.split('\n')).toEqual([
      '[2. 3. 4.]',
      expect.stringMatching(/0\.5.*1\..*1\.5/),
      '[1. 4. 9.] [ 2, 4, 6 ]',
      'shape_mismatch 8',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('compiles beside the hooks of tsx, which would rewrite Binaryen, also when waits and awaits mix', async () => {
    const { code, output, errors } = await run(
      `
      import { compile, shutdown, tensor } from 'kilnjs';
      import { isCompilerLoaded } from ${JSON.stringify(client)};
      const f = compile((t) => t.mul(2));
      const first = f(tensor([1, 2])).data();
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(tensor([1, 2, 3]).add(1).arraySync(), Array.from(await first));
      const last = tensor([5]).mul(3).data();
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log(f.explain(tensor([1, 2])).kernels, Array.from(await last));
      await shutdown();
      console.log(await tensor([1]).sub(1).array(), isCompilerLoaded());
      tensor([7]).div(2); // nobody reads it
    `,
      [],
    );
    expect(errors).toBe('');
    expect(output.split('\n')).toEqual(['[ 2, 3, 4 ] [ 2, 4 ]', '1 [ 15 ]', '[ 0 ] false', '']);
    expect(code).toBe(0);
  });

  it('may wait instead; flags show what happens and write the stages', async () => {
    const dump = join(folder, 'dump');
    const { code, output, errors } = await run(
      `
      import { compile, tensor } from 'kilnjs';
      const f = compile((t) => t.add(1).tanh(), { name: 'shown' });
      console.log(await f(tensor([0, 1])).data());
    `,
      [binaryen],
      { KILN_DUMP: dump, KILN_DEBUG: 'trace,fusion,kernels,passes,runtime' },
    );
    expect(output).toMatch(/Float32Array/);
    for (const topic of ['trace', 'fusion', 'kernels', 'passes', 'runtime']) {
      expect(errors).toMatch(new RegExp(`^\\[kiln ${topic}\\] `, 'm'));
    }
    const files = readdirSync(dump).sort();
    expect(files).toEqual(
      ['graph.ir', 'kernels.txt', 'optimized.ir', 'program.txt', 'wat'].map((name) => `shown-1.${name}`),
    );
    expect(readFileSync(join(dump, 'shown-1.graph.ir'), 'utf8')).toMatch(/tanh/);
    expect(code).toBe(0);
  });
});
