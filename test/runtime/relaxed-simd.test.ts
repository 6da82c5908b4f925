import { version as nodeVersion } from 'node:process';
import v8 from 'node:v8';
import { Worker } from 'node:worker_threads';
import binaryen from 'binaryen';
import { build } from 'esbuild';
import { describe, expect, it, vi } from 'vitest';
import { mulAdd } from '../../codegen/wasm/math/fused.ts';
import { engine } from '../../runtime/wasm/engine.ts';
import { compileModule, compileModuleAside, hasRelaxedSimd } from '../../runtime/wasm/relaxed-simd.ts';
import { launchBrowser } from '../support/browser.ts';

/** `run(x)` is x * x + 1 by the fused instruction. */
function squarePlusOne(): Uint8Array<ArrayBuffer> {
  const module = new binaryen.Module();
  module.setFeatures(binaryen.Features.SIMD128 | binaryen.Features.RelaxedSIMD);
  const { f32, f32x4 } = module;
  const x = (): number => f32x4.splat(module.local.get(0, binaryen.f32));
  const sum = mulAdd({ binaryen, module, isFused: true }, 'f32x4', x(), x(), f32x4.splat(f32.const(1)));
  module.addFunction('run', binaryen.createType([binaryen.f32]), binaryen.f32, [], f32x4.extract_lane(sum, 0));
  module.addFunctionExport('run', 'run');
  const code = new Uint8Array(module.emitBinary());
  module.dispose();
  return code;
}

type Run = (x: number) => number;
const runOf = (module: ReturnType<typeof compileModule>): Run =>
  new (engine().Instance)(module, {}).exports.run as unknown as Run;

/** Enough calls for the engine to optimise a function, which it does long after it has compiled the module. */
function runHot(run: Run): number {
  let last = 0;
  for (let i = 0; i < 200_000; i++) last = run(3);
  return last;
}

describe('relaxed SIMD', () => {
  it('is found on every version of Node that the package runs on', () => {
    expect(Number(nodeVersion.slice(1, 3))).toBeGreaterThanOrEqual(20);
    expect(hasRelaxedSimd()).toBe(true);
  });

  it('compiles at once and aside, and goes on when the engine optimises', async () => {
    expect(runHot(runOf(compileModule(squarePlusOne())))).toBe(10);
    expect(runHot(runOf(await compileModuleAside(squarePlusOne())))).toBe(10);
  });

  it('leaves the flags of V8 as they were', async () => {
    const before = v8.cachedDataVersionTag();
    compileModule(squarePlusOne());
    await compileModuleAside(squarePlusOne());
    expect(() => compileModule(new Uint8Array([1, 2, 3]))).toThrow();
    expect(v8.cachedDataVersionTag()).toBe(before);
  });

  it('runs on other threads, to which the module is sent', async () => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { run } = new WebAssembly.Instance(workerData).exports;
      let last = 0;
      for (let i = 0; i < 200_000; i++) last = run(3);
      parentPort.postMessage(last);`;
    const worker = new Worker(source, { eval: true, workerData: compileModule(squarePlusOne()) });
    const answer = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
    expect(answer).toBe(10);
  });

  it('is off where KILN_RELAXED_SIMD says so', async () => {
    vi.resetModules();
    vi.stubEnv('KILN_RELAXED_SIMD', 'off');
    const fresh = await import('../../runtime/wasm/relaxed-simd.ts');
    expect(fresh.hasRelaxedSimd()).toBe(false);
    vi.unstubAllEnvs();
  });

  it('is off where the engine knows the instructions and computes wrong', async () => {
    vi.resetModules();
    const instance = vi.fn(function wrong() {
      return { exports: { probe: () => 0 } };
    });
    vi.stubGlobal('WebAssembly', { Module: engine().Module, Instance: instance });
    const fresh = await import('../../runtime/wasm/relaxed-simd.ts');
    expect(fresh.hasRelaxedSimd()).toBe(false);
    expect(instance).toHaveBeenCalledTimes(1);
    vi.unstubAllGlobals();
  });

  it('is found in Chromium', async () => {
    const entry = new URL('../../runtime/wasm/relaxed-simd.ts', import.meta.url).pathname;
    const bundle = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'probe',
    });
    const browser = await launchBrowser();
    const page = await browser.newPage();
    expect(await page.evaluate(`${bundle.outputFiles[0].text}; probe.hasRelaxedSimd()`)).toBe(true);
    await browser.close();
  });
});
