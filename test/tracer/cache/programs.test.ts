/** Programs and kernels that are met in the cache: what is shared, what is not looked for, what a program from there lacks. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import threads from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { add, compile, grad, init, mul, profile, relu, shutdown, spec, type Tensor, tensor } from '../../../index.ts';
import { WasmDevice } from '../../../runtime/wasm/device.ts';
import { CompilerThread, type NodeProcess } from '../../../tracer/compiler-thread.ts';
import { sourcesNamed } from '../../../tracer/program-cache.ts';
import { cacheSettings } from '../../../tracer/session-cache.ts';
import { closeCache, delayCache, entriesIn, openCache, restart } from '../../support/session-cache.ts';

let folder = '';

beforeEach(() => {
  folder = openCache();
});

afterEach(() => {
  vi.restoreAllMocks();
  closeCache(folder);
});

const counted = (rows: number, columns: number): Tensor => {
  const data = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
  return tensor(data, { shape: [rows, columns] });
};

/** What KILN_DEBUG=cache prints meanwhile. */
function debugged(run: () => unknown): string {
  vi.stubEnv('KILN_DEBUG', 'cache');
  const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  run();
  vi.stubEnv('KILN_DEBUG', '');
  const text = printed.mock.calls.map(([line]) => String(line)).join('\n');
  printed.mockRestore();
  return text;
}

const layer = (x: Tensor, w: Tensor): Tensor => relu(x.matmul(w));
const sameKernel = (x: Tensor, w: Tensor) => [relu(x.matmul(w)), x.exp()] as const;

describe('a program', () => {
  it('is shared by functions of all names, and by eager operations and gradients', () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const bits = compile(layer, { name: 'one' })(x, w).dataSync();
    const slope = grad((t: Tensor) => t.matmul(w).tanh().sum())(x).dataSync();
    const sum = add(x, x).dataSync();
    const kept = entriesIn(folder, 'program');
    restart();
    const other = compile(layer, { name: 'other' });
    expect(other(x, w).dataSync()).toEqual(bits);
    expect(other.stats()).toMatchObject({ compiles: 0, hits: { memory: 0, disk: 1 }, compileMs: 0 });
    expect(sourcesNamed('other')[0].program?.name).toBe('other');
    expect(grad((t: Tensor) => t.matmul(w).tanh().sum())(x).dataSync()).toEqual(slope);
    expect(compile((a: Tensor, b: Tensor) => a.add(b))(x, x).dataSync()).toEqual(sum);
    expect(entriesIn(folder, 'program')).toEqual(kept);
  });

  it('is not kept of the gradient of a function of which nothing is kept', () => {
    const loss = compile((t: Tensor) => t.mul(t).sum(), { cache: false });
    expect(grad(loss)(counted(1, 2)).dataSync()).toHaveLength(2);
    expect(entriesIn(folder, 'program')).toEqual([]);
  });

  it('counts once as new: later it is met in memory', () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    compile(layer)(x, w).dataSync();
    restart();
    const [first, second] = [compile(layer), compile(layer)];
    for (const each of [first, second]) each(x, w).dataSync();
    expect(first.stats().hits).toEqual({ memory: 0, disk: 1 });
    expect(second.stats().hits).toEqual({ memory: 1, disk: 0 });
  });

  it('is found where the cache must be waited for; who does not wait compiles', async () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const bits = await compile(layer)(x, w).data();
    restart();
    delayCache();
    const waits = compile(layer);
    expect(await waits(x, w).data()).toEqual(bits);
    expect(waits.stats()).toMatchObject({ compiles: 0, hits: { disk: 1 } });
    restart();
    const now = compile(layer);
    expect(now(x, w).dataSync()).toEqual(bits);
    expect(now.stats()).toMatchObject({ compiles: 1, hits: { disk: 0 } });
  });

  it('is compiled where a flag wants to see that', () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    compile(layer)(x, w).dataSync();
    restart();
    vi.stubEnv('KILN_DUMP', join(folder, 'dump'));
    const text = debugged(() => compile(layer, { name: 'dumped' })(x, w).dataSync());
    expect(text.match(/dumped: not looked for on disk: KILN_DUMP writes the stages of its compile/g)).toHaveLength(1);
    expect(readdirSync(join(folder, 'dump')).length).toBeGreaterThan(0);
  });

  it('has no lines of its own: they are found out for messages and profiles', async () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const explain = (): string => String(compile(layer).explain(x, w));
    compile(layer, { name: 'lines' })(x, w).dataSync();
    restart();
    const lines = compile(layer, { name: 'lines' });
    const { text } = await profile(() => lines(x, w).data());
    expect(lines.stats().hits.disk).toBe(1);
    expect(text).toMatch(/dot_general @.*programs\.test\.ts:\d+/);
    const [source] = sourcesNamed('lines');
    expect(await source.origin(0)).toMatch(/dot_general @.*programs\.test\.ts:\d+:\d+/);
    expect(source.origin(0)).toMatch(/programs\.test\.ts/);
    expect(explain()).toMatch(/programs\.test\.ts/);
  });

  it('without a trace knows neither lines nor ops, and says so by silence', async () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const make = () => compile(layer, { name: 'keyed', cache: 'keyed' });
    make()(x, w).dataSync();
    restart();
    const { text } = await profile(() => make()(x, w).data());
    expect(text).toMatch(/keyed\/dot_general/);
    expect(await sourcesNamed('keyed')[0].origin(0)).toBeUndefined();
    // A function of the same graph that is traced knows them.
    const { text: traced } = await profile(() => compile(layer, { name: 'keyed' })(x, w).data());
    expect(traced).toMatch(/dot_general @.*programs\.test\.ts:\d+/);
  });

  it('lies where init says, until shutdown', async () => {
    const place = join(folder, 'elsewhere');
    await init({ cache: { directory: place, maxBytes: 1e6 } });
    mul(counted(2, 3), 3).dataSync();
    expect(existsSync(join(place, 'v1', 'program'))).toBe(true);
    await init({ cache: false });
    expect(cacheSettings()).toBeUndefined();
    await init({ cache: true });
    expect(cacheSettings()).toEqual({ directory: folder });
    await init({ cache: { directory: place } });
    await shutdown();
    expect(cacheSettings()).toEqual({ directory: folder });
  });
});

describe('kernels', () => {
  it('are generated once for all programs that have them', () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    const first = debugged(() => compile(layer)(x, w).dataSync());
    expect(first).toMatch(/layer: new: compiled in [\d.]+ ms, 1 kernels generated, 0 met on disk, kept as/);
    const bits = compile(sameKernel, { cache: false })(x, w).map((each) => each.dataSync());
    restart();
    const made: Tensor[] = [];
    const second = debugged(() => {
      made.push(...compile(sameKernel)(x, w));
      made[0].dataSync();
    });
    expect(second).toMatch(/sameKernel: new: compiled in [\d.]+ ms, 1 kernels generated, 1 met on disk, kept as/);
    expect(made.map((each) => each.dataSync())).toEqual(bits);
  });

  it('are fetched before code is generated where the cache must be waited for', async () => {
    const [x, w] = [counted(64, 128), counted(128, 100)];
    const packed = (t: Tensor) => relu(t.matmul(w));
    for (const fn of [(t: Tensor) => layer(t, w).mul(2), packed]) compile(fn)(x).dataSync();
    const bits = compile((t: Tensor) => [packed(t), t.exp()] as const, { cache: false })(x).map((y) => y.dataSync());
    restart();
    delayCache();
    const both = compile((t: Tensor) => [packed(t), t.exp()] as const, { name: 'both' });
    vi.stubEnv('KILN_DEBUG', 'cache');
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const results = both(x);
    expect([await results[0].data(), await results[1].data()]).toEqual(bits);
    expect(printed.mock.calls.join('\n')).toMatch(
      /both: new: compiled in [\d.]+ ms, 1 kernels generated, 2 met on disk/,
    );
    expect(both.stats()).toMatchObject({ compiles: 1, hits: { disk: 0 } });
  });

  it('are found by the thread that compiles, too', async () => {
    const [x, w] = [counted(4, 6), counted(6, 5)];
    compile(layer)(x, w).dataSync();
    restart();
    // Its program is not kept, and neither are its kernels.
    compile(sameKernel, { name: 'aside', cache: false })(x, w);
    const [source] = sourcesNamed('aside');
    const request = { ...source.requestFor(undefined)!, cache: cacheSettings()! };
    const thread = new CompilerThread(threads, process as unknown as NodeProcess);
    const { kernels, program } = await thread.compile(request);
    thread.end();
    expect(kernels).toEqual({ generated: 1, found: 1 });
    expect(program.kernels).toHaveLength(2);
  });

  it('of contractions with packed weights keep what is packed', () => {
    const w = counted(128, 100);
    const x = counted(64, 128);
    const kept = (name: string) => compile((t: Tensor) => t.matmul(w), { name });
    const bits = kept('one')(x).dataSync();
    restart();
    expect(kept('two')(x).dataSync()).toEqual(bits);
    const [source] = sourcesNamed('two');
    expect(source.isFromCache).toBe(true);
    // The program is gone, its kernels are not.
    for (const file of entriesIn(folder, 'program')) rmSync(file);
    restart();
    const text = debugged(() => expect(kept('one')(x).dataSync()).toEqual(bits));
    expect(text).toMatch(/one: new: compiled in [\d.]+ ms, 0 kernels generated, 2 met on disk/);
    expect(sourcesNamed('one')[0].program).toEqual(source.program && { ...source.program, name: 'one' });
  });
});

describe('a tuned program', () => {
  it('is met without any measurement', async () => {
    const trial = vi.spyOn(WasmDevice.prototype, 'trial');
    const [x, w] = [counted(70, 90), counted(90, 65)];
    const tuned = () => compile(layer, { precision: 'strict', autotune: { budgetMs: 2000 } });
    const bits = await tuned()(x, w).data();
    expect(trial).toHaveBeenCalledOnce();
    expect(readdirSync(folder)).toContain('kiln-autotune.json');
    restart();
    const again = tuned();
    expect(await again(x, w).data()).toEqual(bits);
    expect(trial).toHaveBeenCalledOnce();
    expect(again.stats()).toMatchObject({ compiles: 0, hits: { disk: 1 } });
    // An untuned one, or one with more time, is another.
    for (const options of [{}, { autotune: { budgetMs: 2001 } }]) {
      const other = compile(layer, { precision: 'strict', ...options });
      await other.warmup(spec([70, 90]), spec([90, 65]));
      expect(other.stats().compiles).toBe(1);
    }
    expect(trial).toHaveBeenCalledOnce();
  });

  it('is not kept as long as there was no time to measure all of it', async () => {
    const [x, w] = [counted(70, 90), counted(90, 65)];
    const tuned = compile(layer, { precision: 'strict', autotune: { budgetMs: 1e-6 } });
    await tuned(x, w).data();
    expect(entriesIn(folder, 'program')).toEqual([]);
    // Without a kernel that has a choice there is nothing to wait for.
    await compile((t: Tensor) => t.exp(), { autotune: { budgetMs: 1e-6 } })(x).data();
    expect(entriesIn(folder, 'program')).toHaveLength(1);
  });
});
