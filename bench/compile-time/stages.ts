/**
 * One compile taken apart: milliseconds of tracing, of the passes, of lowering and of code generation. The stages are
 * those of `tracer/compiler.ts`. Time is by the clock, as whoever waits for the compile sees it: the fastest of several
 * runs, which other processes disturb least. (CPU time would count what V8 collects and optimises on other threads.)
 */
import { loadBinaryen } from '../../codegen/wasm/load.ts';
import { generateProgram } from '../../codegen/wasm/program.ts';
import { mainOf } from '../../ir/types.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { plainTier } from '../../runtime/program.ts';
import type { Model } from '../models/index.ts';
import { traceModel } from '../models/trace.ts';

export interface StageTimes {
  /** Ops traced. */
  readonly ops: number;
  readonly trace: number;
  /** Passes over the whole graph, until repeated parts of it have become functions. */
  readonly outline: number;
  /** The other passes. */
  readonly simplify: number;
  /** Fusion, lowering and the memory plan. */
  readonly lower: number;
  readonly code: number;
  readonly launches: number;
  readonly kernels: number;
  readonly codeBytes: number;
}

export async function compileInStages(model: Model): Promise<StageTimes> {
  const binaryen = await loadBinaryen();
  const start = performance.now();
  const module = traceModel(model);
  const traced = performance.now();
  const ends: { readonly pass: string; readonly end: number }[] = [];
  const optimized = runPasses(module, optimizePipeline, {
    precision: 'fast',
    verify: false,
    constantBudget: 1 << 16,
    trace: ({ pass }) => ends.push({ pass, end: performance.now() }),
  });
  const simplified = performance.now();
  const donated = mainOf(module).graph.parameters.map(() => false);
  const lowered = lowerModule(optimized, { name: model.name, donated, precision: 'fast' });
  const made = performance.now();
  const { program } = generateProgram(binaryen, lowered, { precision: 'fast', tier: plainTier });
  const end = performance.now();
  const outlined = ends.find(({ pass }) => pass.startsWith('outline'));
  const outline = (outlined?.end ?? traced) - traced;
  return {
    ops: module.functions.reduce((sum, { graph }) => sum + graph.ops.length, 0),
    trace: traced - start,
    outline,
    simplify: simplified - traced - outline,
    lower: made - simplified,
    code: end - made,
    launches: program.steps.length,
    kernels: program.kernels.length,
    codeBytes: program.kernels.reduce((sum, { code }) => sum + code.length, 0),
  };
}

/** From trace to finished code. */
export const totalOf = ({ trace, outline, simplify, lower, code }: StageTimes): number =>
  trace + outline + simplify + lower + code;
