/** `kiln bake` and `kiln inspect` as a user meets them: the files they write, what they print, how they end. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type BakeFilesOptions, bakeFiles } from '../../cli/bake.ts';
import { inspectFile } from '../../cli/inspect.ts';
import type { KilnError } from '../../index.ts';
import { load } from '../../runtime/index.ts';
import { engine } from '../../runtime/wasm/engine.ts';
import { rejectionOf } from '../support/errors.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(() => {
  mkdirSync(join(root, '.kiln'), { recursive: true });
  folder = mkdtempSync(join(root, '.kiln', 'bake-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const path = (...names: readonly string[]): string => join(folder, ...names);

function file(name: string, code: string): string {
  mkdirSync(dirname(path(name)), { recursive: true });
  writeFileSync(path(name), code.replaceAll("'kilnjs'", `'${'../'.repeat(name.split('/').length + 1)}index.ts'`));
  return path(name);
}

const model = (rate: number, weight = 2): string => `
import { compile, defineBake, dim, spec, specOf, tensor, type Tensor } from 'kilnjs';
const params = { w: tensor([[1, 2], [3, 4]]), b: [tensor([0.5, ${weight}])] };
const forward = (p: typeof params, x: Tensor) => x.matmul(p.w).add(p.b[0]);
export default defineBake({
  forward: { fn: forward, args: [specOf(params), spec([dim('B', { max: 32 }), 2])] },
  scaled: { fn: compile((x: Tensor, o: { by: number; mode: 'a' | 'b' }) => ({ y: x.mul(o.by), x }), { static: ['o'] }), args: [spec([3], 'int32'), { by: ${rate}, mode: 'a' }] },
}, { weights: { params } });
`;

const defaults = { check: false, types: true, retune: false, threads: 1, target: ['wasm', 'webgpu'] } as const;

/** Runs the command in this process. @returns what it prints */
async function bake(entries: readonly string[], options: Partial<BakeFilesOptions>): Promise<string> {
  const printed = vi
    .spyOn(console, 'log')
    .mockClear()
    .mockImplementation(() => undefined);
  await bakeFiles(entries, { ...defaults, output: path('model.kiln'), ...options });
  return printed.mock.calls.map(String).join('\n');
}

/** The error of a command, and all that it has printed before. */
async function fault(entries: readonly string[], options: Partial<BakeFilesOptions> = {}) {
  const printed = vi
    .spyOn(console, 'error')
    .mockClear()
    .mockImplementation(() => undefined);
  const error = await rejectionOf(() => bake(entries, options));
  return { error, printed: printed.mock.calls.map(String).join('\n') };
}

async function inspect(artefact: string, options: { readonly json?: boolean; readonly kernel?: string } = {}) {
  const printed = vi
    .spyOn(console, 'log')
    .mockClear()
    .mockImplementation(() => undefined);
  await inspectFile(artefact, { json: false, ...options });
  return printed.mock.calls.map(String).join('\n');
}

/** The command in a process of its own, in another folder. */
const kiln = (...args: readonly string[]): Promise<{ readonly code: number; readonly stderr: string }> =>
  new Promise((resolve) => {
    const node = ['--import', join(root, 'scripts/preload.mjs'), '--import', tsx, join(root, 'cli/main.ts'), ...args];
    execFile(process.execPath, node, { cwd: folder, encoding: 'utf8' }, (error, _, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stderr }),
    );
  });
const tsx = createRequire(import.meta.url).resolve('tsx');

describe('kiln bake', () => {
  test('writes the same bytes in every folder, from every process', async () => {
    const [one, two] = ['one/model.bake.mts', 'deep/er/other.mts'].map((name) => file(name, model(3)));
    const printed = await bake([one], { output: path('one/model.kiln') });
    expect(printed).toMatch(/one\/model\.kiln \(\S+ KiB\) {2}forward, scaled for wasm, webgpu: 4 kernels, 2 tensors/);
    const ended = await kiln('bake', two, '-o', 'deep/er/model.kiln');
    expect(ended).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(path('deep/er/model.kiln'))).toEqual(readFileSync(path('one/model.kiln')));
    expect(readFileSync(path('deep/er/model.kiln.d.ts'))).toEqual(readFileSync(path('one/model.kiln.d.ts')));
    expect(readdirSync(path('one')).sort()).toEqual(['model.bake.mts', 'model.kiln', 'model.kiln.d.ts']);
  });

  test('writes types that TypeScript checks calls by', async () => {
    await bake([file('types/model.mts', model(3))], { output: path('types/model.kiln') });
    file(
      'types/use.mts',
      `
import { load, tensor } from 'kilnjs/runtime';
import type { Functions, Weights } from './model.kiln.js';
const { functions, weights } = await load<Functions, Weights>('model.kiln');
const y = functions.forward(weights.params, tensor([1, 2], { shape: [1, 2] }));
const numbers: Float32Array = await y.data();
functions.forward({ w: weights.params.w, b: [new Float32Array(2)] }, y);
const both: { y: { readonly dtype: 'int32' } } = functions.scaled(new Int32Array(3), { by: 3, mode: 'a' });
// @ts-expect-error another number than it was baked with
functions.scaled(new Int32Array(3), { by: 4, mode: 'a' });
// @ts-expect-error another dtype
functions.scaled(new Float32Array(3), { by: 3, mode: 'a' });
// @ts-expect-error a list that is too long
functions.forward({ w: weights.params.w, b: [y, y] }, y);
// @ts-expect-error no such weight
weights.params.c;
export { both, numbers };
`,
    );
    const config = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noEmit: true, paths: { 'kilnjs/runtime': [join(root, 'runtime/index.ts')] } },
      include: ['*.mts'],
    };
    file('types/tsconfig.json', JSON.stringify(config));
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [tsc, '-p', path('types')], (_, stdout) => resolve(stdout));
    });
    expect(output).toBe('');
  });

  test('merges modules into one artefact, and signs it', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    writeFileSync(path('key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const other = file(
      'other.mts',
      `import { defineBake, spec, type Tensor } from 'kilnjs';
       export default defineBake({ also: { fn: (x: Tensor) => x.exp(), args: [spec([2])] } });`,
    );
    const first = file('first.mts', model(3));
    const [output, swapped] = [path('signed.kiln'), path('swapped.kiln')];
    await bake([first, other], { output, target: ['wasm'], sign: path('key.pem') });
    await bake([other, first], { output: swapped, target: ['wasm'], sign: path('key.pem') });
    expect(readFileSync(swapped)).toEqual(readFileSync(output));
    const loaded = await load(output, {
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    });
    expect(Object.keys(loaded.functions)).toEqual(['also', 'forward', 'scaled']);
    loaded.dispose();
    expect(await inspect(output)).toMatch(/, signed,/);
    expect(await bake([first, other], { output, target: ['wasm'], check: true })).toMatch(/is what .* bake to/);
  });

  test('--check says what is stale, and writes nothing', async () => {
    const [output, entry] = [path('stale.kiln'), file('stale.mts', model(3))];
    expect((await fault([entry], { output, check: true })).error.message).toMatch(/stale\.kiln is not there/);
    await bake([entry], { output });
    expect(await bake([entry], { output, check: true })).toMatch(/stale\.kiln is what .*stale\.mts bakes to/);
    const before = readFileSync(output);
    const edited = file('edited.mts', model(5, 7));
    const { error } = await fault([edited], { output, check: true, target: ['wasm'] });
    expect(error.code).toBe('stale_artefact');
    expect(error.given?.split(/\n\s+/)).toEqual([
      'forward: the target webgpu is gone',
      'scaled: its parameters, guards or results',
      'scaled: its code for wasm',
      'scaled: the target webgpu is gone',
      'the weight params.b.0: its numbers',
      `${output}.d.ts has other contents`,
    ]);
    expect(error.hint).toBe(`kiln bake ${edited} -o ${output} --target wasm`);
    expect(readFileSync(output)).toEqual(before);
    writeFileSync(output, before.subarray(0, 200));
    expect((await fault([entry], { output, check: true })).error.given).toMatch(/ends too early/);
    await bake([entry], { output });
    expect(readFileSync(output)).toEqual(before);
  });

  test('tells of all failures of all entries at the users’ lines, and writes nothing', async () => {
    const wrong = file(
      'wrong.mts',
      `import { defineBake, spec, type Tensor } from 'kilnjs';
const bad = (x: Tensor) => x.matmul(x);
export default defineBake({
  bad: { fn: bad, args: [spec([2, 3])] },
  thrown: { fn: (x: Tensor) => (x as unknown as { no(): Tensor }).no(), args: [spec([2])] },
});`,
    );
    const broken = file('broken.mts', `throw new RangeError('no data');`);
    const none = file('none.mts', 'export default 3;');
    const output = path('never/model.kiln');
    const { error, printed } = await fault([wrong, broken, none, 'nowhere.ts', file('fine.mts', model(1))], { output });
    expect(error.message).toMatch(/^\[bake_failed\] 5 faults, listed above; nothing was written/);
    expect(printed).toMatch(/\[bake_failed\] bad: \[shape_mismatch\][\s\S]*?at: {7}\S*wrong\.mts:2:\d+/);
    expect(printed).toMatch(/thrown: the function throws[\s\S]*?TypeError[\s\S]*?at: {7}\S*wrong\.mts:5:\d+/);
    expect(printed).toMatch(
      /broken\.mts: the module throws while it is loaded\n {2}given: {4}RangeError: no data\n {2}at: .*broken\.mts:1:/,
    );
    expect(printed).toMatch(/\[cli_usage\] \S*none\.mts declares nothing to bake/);
    expect(printed).toMatch(/there is no file nowhere\.ts/);
    expect(existsSync(path('never'))).toBe(false);
  });

  test('refuses keys and places that are none, before anything is written', async () => {
    const entry = file('places.mts', model(3));
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    writeFileSync(path('ec.pem'), key.export({ type: 'pkcs8', format: 'pem' }));
    const kinds = await fault([entry], { sign: path('ec.pem'), output: path('places.kiln') });
    expect(kinds.error.message).toMatch(/a key for ec[\s\S]*openssl genpkey -algorithm ed25519/);
    const text = await fault([entry], { sign: entry, output: path('places.kiln') });
    expect(text.error.message).toMatch(/\[invalid_argument\][\s\S]*a file that is no PEM/);
    const missing = await fault([entry], { sign: path('no.pem') });
    expect(missing.error.code).toBe('not_a_file');
    const place = await fault([entry], { output: folder });
    expect(place.error.message).toMatch(/\[not_a_file\][\s\S]*is a folder[\s\S]*-o .*model\.kiln/);
    const lost = await fault([entry], { output: entry });
    expect(lost.error.message).toMatch(/\[cli_usage\] \S*places\.mts is there, and is no artefact/);
    expect(readFileSync(entry, 'utf8')).toContain('defineBake');
    expect(existsSync(path('places.kiln'))).toBe(false);
  });

  test('--wasm-modules writes code that loads without compiling', async () => {
    const [entry, output, modules] = [file('edge.mts', model(3)), path('edge.kiln'), path('modules')];
    mkdirSync(modules);
    writeFileSync(join(modules, `${'0'.repeat(64)}.wasm`), 'of an earlier bake');
    expect(await bake([entry], { output, wasmModules: modules })).toMatch(/modules\/index\.js \(3 modules/);
    const names = readdirSync(modules);
    expect(names.filter((name) => name.endsWith('.wasm'))).toHaveLength(3);
    const code = readFileSync(join(modules, 'index.js'), 'utf8');
    const imported = [...code.matchAll(/import (\w+) from '\.\/(\S+)';/g)].map(([, name, from]) => {
      return [name, new (engine().Module)(readFileSync(join(modules, from)))] as const;
    });
    const byName = new Map(imported);
    const entries = [...code.matchAll(/\['(\w+)', (\w+)\]/g)].map(
      ([, hash, name]) => [hash, byName.get(name)!] as const,
    );
    expect(entries.map(([hash]) => hash)).toContain('driver');
    const loaded = await load(output, { modules: new Map(entries), device: 'wasm' });
    const forward = loaded.functions.forward as (p: unknown, x: unknown) => { data(): Promise<Float32Array> };
    const params = (loaded.weights as { readonly params: unknown }).params;
    const two = (loaded.functions.scaled as (x: Int32Array, o: unknown) => { y: { data(): Promise<Int32Array> } })(
      Int32Array.of(1, 2, 3),
      { by: 3, mode: 'a' },
    );
    expect(await two.y.data()).toEqual(Int32Array.of(3, 6, 9));
    expect(forward).toBeInstanceOf(Function);
    expect(params).toHaveProperty('w');
    loaded.dispose();
    const { error } = await fault([entry], { target: ['webgpu'], wasmModules: modules });
    expect(error.message).toMatch(/no WASM code for one thread[\s\S]*--target wasm/);
  });
});

describe('kiln inspect', () => {
  test('shows what is inside, as text, as JSON, and the code of a kernel', async () => {
    const output = path('inspect.kiln');
    await bake([file('inspect.mts', model(3))], { output });
    const text = await inspect(output);
    expect(text).toMatch(
      /inspect\.kiln {2}\S+ KiB, format 1\.0, baked by kilnjs [\d.]+, not signed, all \d+ hashes are right/,
    );
    expect(text).toMatch(
      /forward\(p: \{b: \[float32\[2\]\], w: float32\[2, 2\]\}, x: float32\[B, 2\]\) → float32\[B, 2\]/,
    );
    expect(text).toMatch(/B from 1 to 32; fast/);
    expect(text).toMatch(/only with o = \{ readonly by: 3; readonly mode: "a" \}/);
    expect(text).toMatch(/│ params\.w {3}│ float32\[2, 2\] │ {2}16 B │/);
    const json = JSON.parse(await inspect(output, { json: true })) as {
      readonly kernels: readonly { readonly hash: string; readonly target: string }[];
      readonly programs: readonly { readonly launches: number }[];
    };
    expect(json.programs.map(({ launches }) => launches)).toEqual([1, 1, 1, 1]);
    for (const [target, code] of [
      ['wasm', /^\(module[\s\S]*f32x4/],
      ['webgpu', /@compute/],
    ] as const) {
      const { hash } = json.kernels.find((kernel) => kernel.target === target)!;
      expect(await inspect(output, { kernel: hash.slice(0, 10) })).toMatch(code);
    }
    expect((await rejectionOf(() => inspect(output, { kernel: 'nothing' }))).message).toMatch(
      /there is no such kernel/,
    );
  });

  test('says what is wrong with a file', async () => {
    const output = path('inspect.kiln');
    const bytes = readFileSync(output);
    const damaged = Uint8Array.from(bytes);
    damaged[damaged.length - 1] ^= 1;
    const cases: readonly (readonly [string, Uint8Array, string])[] = [
      ['half', bytes.subarray(0, bytes.length >> 1), 'truncated_artefact'],
      ['damaged', damaged, 'corrupt_artefact'],
      ['text', new TextEncoder().encode('<!doctype html>'), 'not_an_artefact'],
    ];
    for (const [name, content, code] of cases) {
      writeFileSync(path(name), content);
      expect((await rejectionOf(() => inspect(path(name)))).code).toBe(code);
    }
    const errors: KilnError[] = [
      await rejectionOf(() => inspect(folder)),
      await rejectionOf(() => inspect(path('no'))),
    ];
    expect(errors.map(({ code, given }) => [code, given])).toEqual([
      ['not_a_file', 'a folder'],
      ['not_a_file', 'nothing there'],
    ]);
  });
});
