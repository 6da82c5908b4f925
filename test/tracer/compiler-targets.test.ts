/** The compiler for each target, loaded as far as that needs, and what a result says beside its program. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseModule } from '../../ir/parser.ts';
import { coreWebgpuTier, plainTier } from '../../runtime/program.ts';
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
    const { program, originOf } = compile(request(plainTier));
    expect(program.steps).toHaveLength(2);
    expect(program.steps.map((_, step) => originOf(step))).toEqual(origins);
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
