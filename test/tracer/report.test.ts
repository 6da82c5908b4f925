/** The report page: what its data say, that the page is one safe file, and how it is asked for. */
import { describe, expect, it } from 'vitest';
import { loadBinaryen } from '../../codegen/wasm/load.ts';
import { generateProgram } from '../../codegen/wasm/program.ts';
import { compile, dim, KilnError, profile, report, spec, type Tensor, tensor, valueAndGrad } from '../../index.ts';
import { parseModule } from '../../ir/parser.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { plainTier } from '../../runtime/program.ts';
import { compilations } from '../../tracer/compiled-functions.ts';
import { collectReport } from '../../tracer/report/collect.ts';
import { drawPage } from '../../tracer/report/index.ts';
import { type MadeReport, makeReport, type ReportOptions } from '../../tracer/report.ts';

type AnyCompiled = object & ((...args: never[]) => unknown);

const made = (compiled: AnyCompiled, args: readonly unknown[], options?: ReportOptions): Promise<MadeReport> =>
  makeReport(compilations.get(compiled)!, args, options);

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KilnError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
};

const descend = (w: Tensor, x: Tensor, y: Tensor) => {
  const [loss, slope] = valueAndGrad((weights: Tensor) => x.matmul(weights).sub(y).square().mean())(w);
  return [loss, w.sub(slope.mul(0.02))] as const;
};
const specs = [spec([2, 1]), spec([3, 2]), spec([3, 1])] as const;

describe('the data of a report', () => {
  it('account for every launch, and agree with explain', async () => {
    const step = compile(descend);
    const { data } = await made(step, specs);
    const explanation = step.explain(...specs);
    expect(data.launches.length).toBe(explanation.kernels);
    expect(data.groups.flatMap(({ launches }) => launches).sort()).toEqual(data.launches.map((_, at) => at));
    expect(data.refusals.map(({ rule }) => rule)).toEqual(explanation.refusals.map(({ rule }) => rule));
    expect(data.memory.footprint).toEqual(explanation.memory);
    const total = (of: 'bytesAfter' | 'flops') => data.groups.reduce((sum, group) => sum + group[of], 0);
    expect(total('bytesAfter')).toBe(explanation.bytesMoved);
    expect(total('flops')).toBe(explanation.flops);
    expect(data.traced.flatMap(({ ops }) => ops).length).toBe(explanation.ops);
  });

  it('name ops, values and the lines they come from', async () => {
    const { data } = await made(compile(descend), specs);
    const main = data.optimized.at(-1)!;
    const contraction = main.ops.find(({ opcode }) => opcode === 'dot_general')!;
    expect(contraction.text).toMatch(/^%\d+: f32\[3,1\] = dot_general %x, %w \{contract=/);
    expect(data.places[contraction.place!]).toMatchObject({
      file: 'test/tracer/report.test.ts',
      text: 'const [loss, slope] = valueAndGrad((weights: Tensor) => x.matmul(weights).sub(y).square().mean())(w);',
    });
    const factor = main.ops.find(({ scalar }) => scalar === '0.02');
    expect(factor?.opcode).toBe('constant');
  });

  it('say which values each block of the arena holds', async () => {
    const chain = (x: Tensor, w: Tensor) => x.matmul(w).tanh().matmul(w).tanh().matmul(w);
    const { data } = await made(compile(chain), [spec([32, 32]), spec([32, 32])]);
    const { temporaries } = data.memory;
    expect(temporaries.length).toBeGreaterThan(0);
    for (const { bytes, first, last, holds } of temporaries) {
      expect(holds.length).toBeGreaterThan(0);
      for (const { launch, function: func, value } of holds) {
        expect(launch).toBeGreaterThanOrEqual(first);
        expect(launch).toBeLessThanOrEqual(last);
        expect(data.optimized[func].values[value].bytes).toBeLessThanOrEqual(bytes);
      }
    }
  });

  it('count symbolic sizes at those of the arguments, or at their lower bounds', async () => {
    const double = compile((x: Tensor) => x.mul(2), { dynamic: [[dim('B', { min: 2 })]] });
    expect((await made(double, [tensor([1, 2, 3, 4])])).data.sizes).toEqual([['B', 4]]);
    expect((await made(double, [spec([dim('B', { min: 2 })])])).data.sizes).toEqual([['B', 2]]);
  });
});

describe('functions that are called', () => {
  const module = parseModule(`
func @block(%x: f32[32,32], %w: f32[32,32]) -> (f32[32,32]) {
  %0: f32[32,32] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]}
  %1: f32[32,32] = tanh %0
  %2: f32[32,32] = dot_general %1, %w {contract=[[1],[0]], batch=[[],[]]}
  return %2
}

func @main(%x: f32[32,32], %w: f32[32,32]) -> (f32[32,32]) {
  %0: f32[32,32] = call %x, %w {function=@block}
  %1: f32[32,32] = negate %0
  %2: f32[32,32] = call %1, %x {function=@block}
  return %2
}
`);

  it('have their groups and their drawing once, with every launch', async () => {
    const lowered = lowerModule(module, { name: 'blocks', donated: [false, false], precision: 'fast' });
    const { program, texts } = generateProgram(await loadBinaryen(), lowered, { precision: 'fast', tier: plainTier });
    const stages = { module, optimized: module, lowered, program, texts };
    const data = collectReport(stages, { precision: 'fast', bindings: new Map() });
    const inBlock = data.groups.filter((group) => data.optimized[group.function].name === 'block');
    expect(inBlock.map(({ launches }) => launches)).toEqual([
      [0, 3],
      [1, 4],
    ]);
    const page = await drawPage(data);
    expect(page).toContain('@block, optimised and fused: 3 ops, called 2 times');
    expect(page.match(/<figure /g)?.length).toBe(4);
  });
});

describe('the page', () => {
  it('shows very large functions as boxes, and says so', async () => {
    const { data } = await made(compile(descend), specs);
    const main = data.optimized.at(-1)!;
    const many = { ...main, ops: Array.from({ length: 3001 }, (_, at) => main.ops[at % main.ops.length]) };
    const page = await drawPage({ ...data, optimized: [many] });
    expect(page).toContain('Functions of more than 3,000 ops are drawn as boxes');
    expect(await compile(descend).report(...specs)).not.toContain('more than 3,000 ops');
  });

  it('is the same bytes for the same function and arguments', async () => {
    const pages = await Promise.all([1, 2].map(() => compile(descend).report(...specs)));
    expect(pages[0]).toBe(pages[1]);
    expect(pages[0]).not.toContain(process.cwd());
  });

  it('asks for nothing from outside, and allows only its own style and script', async () => {
    const page = await compile(descend).report(...specs);
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("default-src 'none'; style-src 'sha256-");
    expect(page).not.toMatch(/<(link|img|iframe|object|embed|base)\b/);
    expect(page).not.toMatch(/\b(?:src|href)="(?!#)/);
    expect(page).not.toMatch(/\sstyle="|\son\w+="/);
    const addresses = [...page.matchAll(/https?:\/\/[^"'\s<)]+/g)].map(([address]) => address);
    expect([...new Set(addresses)]).toEqual(['http://www.w3.org/2000/svg']);
  });

  it('escapes names', async () => {
    const name = `<script>alert("x")</script>&'"`;
    const page = await compile((x: Tensor) => x.add(1), { name }).report(spec([2]));
    expect(page).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;&quot;');
    expect(page).not.toContain('<script>alert');
  });

  it('shows functions that have nothing to compute', async () => {
    const page = await compile((x: Tensor) => x).report(spec([2]));
    expect(page).toContain('Nothing was left unfused');
  });
});

describe('report()', () => {
  it('is what compiled.report gives', async () => {
    const step = compile(descend);
    expect(await report(step, specs)).toBe(await step.report(...specs));
  });

  it('times each launch, and leaves donated arguments alone', async () => {
    const step = compile(descend, { name: 'timed', donate: [0] });
    const w = tensor([[0], [0]]);
    const args = [
      w,
      tensor([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      tensor([[2], [4], [6]]),
    ] as const;
    const { timings, data, html } = await made(step, args, { profile: true, runs: 3 });
    expect(timings?.runs).toBe(3);
    expect(timings?.launches.length).toBe(data.launches.length);
    for (const milliseconds of timings?.launches ?? []) expect(milliseconds).toBeGreaterThan(0);
    expect(html).toContain('median of 3 runs');
    expect(w.arraySync()).toEqual([[0], [0]]);
  });

  it('shows the times of a profile', async () => {
    const step = compile(descend, { name: 'profiled' });
    const args = [tensor([[0], [0]]), tensor([[1, 2]]), tensor([[2]])] as const;
    await step(...args)[0].ready();
    const profiled = await profile(() => step(...args)[0].item());
    expect((await made(step, args, { profile: profiled })).timings?.runs).toBe(1);
    expect(await codeOf(report(compile(descend, { name: 'other' }), args, { profile: profiled }))).toBe(
      'invalid_argument',
    );
  });

  it('rejects what it can not use', async () => {
    const step = compile(descend);
    expect(await codeOf(report(descend as never, specs as never))).toBe('invalid_argument');
    expect(await codeOf(report(step, specs, { profile: true, runs: 0 }))).toBe('invalid_argument');
    expect(await codeOf(report(step, specs, { profil: true } as object))).toBe('invalid_argument');
    expect(await codeOf(report(step, specs, { profile: true }))).toBe('invalid_argument');
    expect(await codeOf(report(step, specs, { profile: 'yes' as never }))).toBe('invalid_argument');
    expect(await codeOf(step.report(spec([3, 3]), spec([3, 2]), spec([3, 1])))).toBe('shape_mismatch');
  });

  it('of a method says to compile a function that calls it', async () => {
    class Model {
      w = tensor([1]);
      @compile
      forward(x: Tensor): Tensor {
        return x.mul(this.w);
      }
    }
    const model = new Model();
    const { forward } = Model.prototype as unknown as { forward: { report(x: unknown): Promise<string> } };
    await expect(forward.report(spec([1]))).rejects.toThrow(/report does not know which object[\s\S]*\.report\(x\)/);
    expect(await compile((x: Tensor) => model.forward(x)).report(spec([1]))).toContain('multiply');
  });
});
