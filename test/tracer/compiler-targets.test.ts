/** The compiler for each target, loaded as far as that needs, and what a result says beside its program. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseModule } from '../../ir/parser.ts';
import { coreWebgpuTier, plainTier, tierName } from '../../runtime/program.ts';
import { type CompileRequest, compile, ready } from '../../tracer/compiler.ts';
import { CompilerThread, type NodeProcess } from '../../tracer/compiler-thread.ts';

/** Two kernels: tanh(x w), made in one file, and sums of its columns, made in another. */
const module = parseModule(`func @main(%x: f32[64,64], %w: f32[64,64]) -> (f32[64]) {
  %0: f32[64,64] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]} @model.ts:3:7
  %1: f32[64,64] = tanh %0 @model.ts:4:7
  %2: f32[64] = reduce %1 {kind=sum, axes=[0]} @loss.ts:9:5
  return %2
}
`);

const request = (tier: CompileRequest['tier']): CompileRequest => ({
  module,
  name: 'net',
  precision: 'fast',
  donated: [false, false],
  tier,
});

describe('each step knows what it computes, and the lines', () => {
  const origins = ['dot_general @model.ts:3:7, tanh @model.ts:4:7', 'reduce @loss.ts:9:5'];

  it('compiled here', async () => {
    await ready();
    await ready('webgpu');
    for (const tier of [plainTier, coreWebgpuTier]) {
      const { program, originOf } = compile(request(tier));
      expect(program.steps).toHaveLength(2);
      expect(program.steps.map((_, step) => originOf(step))).toEqual(origins);
    }
  });

  it('compiled by a worker', async () => {
    const threads = await import('node:worker_threads');
    const thread = new CompilerThread(threads, process as unknown as NodeProcess);
    const { program, originOf } = await thread.compile(request(plainTier));
    thread.end();
    expect(program.steps).toHaveLength(2);
    expect(program.steps.map((_, step) => originOf(step))).toEqual(origins);
  });
});

it('code is shown with what it came from, as comments of its language', async () => {
  const begins: Record<string, RegExp> = { wasm: /^\(module/m, webgpu: /^@compute/m };
  for (const tier of [plainTier, coreWebgpuTier]) {
    await ready(tier.target);
    const { report, page } = compile({ ...request(tier), report: { bindings: [], page: true } });
    const mark = tier.target === 'wasm' ? ';;' : '//';
    for (const line of [
      'kernel dot_general_tanh',
      '  dot_general @model.ts:3:7',
      '  tanh @model.ts:4:7',
      'kernel reduce_sum',
    ]) {
      expect(report?.code.split('\n')).toContain(`${mark} ${line}`);
    }
    expect(report?.code).toMatch(begins[tier.target]);
    expect(report?.tier).toBe(tierName(tier));
    expect(report?.program).toContain(`, ${tierName(tier)})`);
    expect(page?.target).toBe(tier.target);
    for (const kernel of page?.kernels ?? []) expect(kernel.code).toMatch(begins[tier.target]);
  }
});

it('temporaries of a report lie within what the program takes, and never in each other', async () => {
  for (const tier of [plainTier, coreWebgpuTier]) {
    await ready(tier.target);
    const ops = Array.from({ length: 6 }, (_, at) => {
      const product = `%${2 * at + 1}: f32[64,64] = dot_general %${2 * at}, %w {contract=[[1],[0]], batch=[[],[]]}`;
      return `${product}\n%${2 * at + 2}: f32[64,64] = tanh %${2 * at + 1}`;
    });
    const text = `func @main(%0: f32[64,64], %w: f32[64,64]) -> (f32[64,64]) {\n${ops.join('\n')}\nreturn %12\n}\n`;
    const { page } = compile({ ...request(tier), module: parseModule(text), report: { bindings: [], page: true } });
    const { temporaries, footprint } = page!.memory;
    expect(temporaries.length).toBeGreaterThan(1);
    for (const [at, a] of temporaries.entries()) {
      expect(a.offset + a.bytes).toBeLessThanOrEqual(footprint.arena);
      for (const b of temporaries.slice(at + 1)) {
        const meets = a.first <= b.last && b.first <= a.last;
        expect(meets && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes).toBe(false);
      }
    }
  }
});

it('every kernel of a program is shown, also where a launch in place needs code of its own', async () => {
  await ready('webgpu');
  const doubled = parseModule(`func @main(%x: f32[8], %y: f32[8]) -> (f32[8], f32[8], f32[8]) {
    %0: f32[8] = reverse %x {axes=[0]}
    %1: f32[8] = optimization_barrier %0
    %2: f32[8] = tanh %1
    %3: f32[8] = optimization_barrier %2
    %4: f32[8] = tanh %y
    return %3, %4, %0
  }
`);
  const { program, report, page } = compile({
    ...request(coreWebgpuTier),
    module: doubled,
    donated: [false, true],
    report: { bindings: [], page: true },
  });
  expect(program.kernels.length).toBeGreaterThanOrEqual(page?.kernels.length ?? 0);
  expect(report?.code.match(/^\/\/ kernel/gm)).toHaveLength(program.kernels.length);
});

it('a compile for WebGPU never loads Binaryen', async () => {
  const compiler = JSON.stringify(new URL('../../tracer/compiler-client.ts', import.meta.url).href);
  const parser = JSON.stringify(new URL('../../ir/parser.ts', import.meta.url).href);
  const code = `
    import { register } from 'node:module';
    const hook = 'export const resolve = (name, context, next) => { if (name === "binaryen") throw new Error("Binaryen"); return next(name, context); }';
    register('data:text/javascript,' + encodeURIComponent(hook));
    const { compileInBackground, isCompilerLoaded } = await import(${compiler});
    const { parseModule } = await import(${parser});
    const module = parseModule('func @main(%x: f32[4]) -> (f32[4]) { %0: f32[4] = reverse %x {axes=[0]}\\n return %0 }');
    const tier = ${JSON.stringify(coreWebgpuTier)};
    const { program } = await compileInBackground(() => ({ module, name: 'f', precision: 'fast', donated: [], tier }));
    console.log(program.kernels.length, isCompilerLoaded('webgpu'), isCompilerLoaded('wasm'));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    code,
  ]);
  expect(stdout.trim()).toBe('1 true false');
});
