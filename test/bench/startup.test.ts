/** The benchmark of starts: what it tells of its figures, and when it refuses to tell anything. */
import { expect, it } from 'vitest';
import { assertSame, type Run } from '../../bench/startup/child-process.ts';
import { watchFirstLaunch } from '../../bench/startup/first-launch.ts';
import { assertLoaded, type Measured } from '../../bench/startup/node.ts';
import { withFigures } from '../../bench/startup/record.ts';
import { modes } from '../../bench/startup/start.ts';
import { startupResult } from '../../bench/startup/tables.ts';
import { compile, shutdown, tensor } from '../../index.ts';

const run = (launch: number, hits: number, compiles = 0): Run => ({
  imports: 50,
  upload: 1,
  launch,
  result: launch + 5,
  total: launch + 100,
  digest: 'same',
  hits,
  compiles,
});

const measured: Measured = {
  cold: { workload: 'mlp', runs: [run(400, 0, 1)], bytes: 500_000 },
  warm: { workload: 'mlp', runs: [run(9, 1), run(12, 1), run(10.5, 1)], bytes: 500_000 },
  keyed: { workload: 'mlp', runs: [run(30, 1)], bytes: 500_000 },
  baked: { workload: 'mlp', runs: [run(8, 0)], bytes: 500_000 },
};

it('holds medians against 10 ms and the time of the bytes, and against a twentieth of a cold start', () => {
  const { rows, tables } = startupResult([{ name: 'Node', measured: [measured] }]);
  // 500 kB at 500 MB/s are another millisecond.
  expect(rows.map(({ figure, target, met }) => [figure, target, met])).toEqual([
    ['10.5 ms', 'at most 11 ms', true],
    ['38.10x', 'at least 20x', true],
    ['30.0 ms', 'at most 11 ms', false],
    ['13.33x', 'at least 20x', false],
    ['8.00 ms', 'at most 11 ms', true],
    ['50.00x', 'at least 20x', true],
    ['100 %', '100 %', true],
  ]);
  expect(tables?.[0].rows).toHaveLength(modes.length);
});

it('refuses other results, programs that were compiled, and scripts that have no business there', () => {
  const cold = run(400, 0, 1);
  expect(() => assertSame('mlp', 'warm', run(9, 1), cold)).not.toThrow();
  expect(() => assertSame('mlp', 'warm', { ...run(9, 1), digest: 'other' }, cold)).toThrow(/other results/);
  expect(() => assertSame('mlp', 'keyed', run(9, 1, 1), cold)).toThrow(/1 programs were compiled/);
  expect(() => assertSame('mlp', 'warm', run(9, 0), cold)).toThrow(/nothing came from the cache/);
  const dist = 'file:///app/dist';
  expect(() => assertLoaded('mlp', 'warm', [`${dist}/index.js`, `${dist}/tracer/compiler-client.js`])).not.toThrow();
  expect(() => assertLoaded('mlp', 'warm', [`${dist}/tracer/compiler.js`])).toThrow(/compiler\.js/);
  expect(() => assertLoaded('mlp', 'baked', [`${dist}/runtime/node.js`])).not.toThrow();
  expect(() => assertLoaded('mlp', 'baked', [`${dist}/tracer/trace.js`])).toThrow(/trace\.js/);
  expect(() => assertLoaded('mlp', 'baked', [])).toThrow(/no script/);
});

it('sees the first launch of a device from outside', async () => {
  await shutdown();
  const { WebAssembly: engine } = globalThis as unknown as { readonly WebAssembly: { Instance: unknown } };
  const { Instance } = engine;
  try {
    const launch = watchFirstLaunch();
    const double = compile((x: ReturnType<typeof tensor>) => x.add(x));
    const x = tensor([1, 2]);
    await double.warmup(x);
    expect(launch.at).toBeUndefined();
    expect(await double(x).array()).toEqual([2, 4]);
    expect(launch.at).toBeTypeOf('number');
  } finally {
    engine.Instance = Instance;
    await shutdown();
  }
});

it('puts figures between the marks of a page, and nowhere else', () => {
  const marks = ['<!-- measured: written by `npm run bench:startup -- --write` -->', '<!-- end -->'];
  const page = `# Starts\n\n${marks[0]}\nfigures of before\n${marks[1]}\nlast\n`;
  const recorded = { machine: '2 cores', ...startupResult([{ name: 'Node', measured: [measured] }]) };
  const written = withFigures(page, recorded);
  expect(written).toMatch(/^# Starts\n\n<!-- measured.*-->\n\n## From the imports/);
  expect(written).toContain('2 cores');
  expect(written).not.toContain('of before');
  expect(written.endsWith(`${marks[1]}\nlast\n`)).toBe(true);
  expect(withFigures(written, recorded)).toBe(written);
  expect(() => withFigures('# Starts', recorded)).toThrow(/no place/);
});
