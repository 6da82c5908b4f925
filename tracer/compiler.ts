/**
 * The compiler: from a module to a program, as a pure function of plain data. It is loaded by dynamic import on the
 * first miss (`compiler-client.ts`) and runs in the caller's thread or in a worker alike.
 *
 *     await ready();
 *     const { program } = compile({ module, name: 'step', precision: 'fast', donated: [false, false], tier });
 */

import { evaluateDim } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import { debug, flag, isDebugging, isFlagOn } from '../base/flags.ts';
import type { KernelStore } from '../codegen/common/kernel-cache.ts';
import type { TunedKernel } from '../codegen/wasm/program.ts';
import type { Tunable } from '../codegen/wasm/tunables.ts';
import { printKernel } from '../ir/kernel-print.ts';
import type { Lowered } from '../ir/lowered.ts';
import { printModule } from '../ir/printer.ts';
import type { Module } from '../ir/types.ts';
import { type Feature, nothing, type Without } from '../passes/features.ts';
import { type FusionTarget, wasmTarget, webgpuTarget } from '../passes/fuse/target.ts';
import { lowerModule } from '../passes/lower-module.ts';
import { type PassContext, runPasses } from '../passes/manager.ts';
import { optimizePipeline } from '../passes/optimize/index.ts';
import type { CacheOptions } from '../runtime/cache/current.ts';
import type { Program, Tier } from '../runtime/program.ts';
import { type CompileReport, reportOf } from './compile-report.ts';
import { dumpStages } from './dump.ts';
import { describeOps, fusionAccount, fusionLines, totalLines } from './fusion-account.ts';
import { type CompileKernels, countedKernels, type KernelCounts } from './kernel-store.ts';
import { fitBudget, type WithinBudget } from './memory-budget.ts';
import { collectReport } from './report/collect.ts';
import type { ReportData } from './report/data.ts';
import type { Precision } from './settings.ts';
import {
  type Generated,
  isTargetLoaded,
  loadedTarget,
  loadTarget,
  type Target,
  type TuningRequest,
} from './targets/target.ts';

export interface CompileRequest {
  readonly module: Module;
  readonly name: string;
  readonly precision: Precision;
  /** For each parameter, whether the caller gives it up. */
  readonly donated: readonly boolean[];
  /** For each parameter, whether calls hand over the same buffer, mostly; without it, nothing is computed only once. */
  readonly held?: readonly boolean[];
  /** What the code may use: the tier of the device that will run it. */
  readonly tier: Tier;
  /** Threads of that device, which its memory depends on; 1 unless given. */
  readonly threads?: number;
  /** The most bytes that a run may take. */
  readonly memoryBudget?: number;
  /** Passes and features that are left out, to see what they are worth; names in `passes/features.ts`. */
  readonly without?: Without;
  readonly tuning?: TuningRequest;
  /** The session's cache, where kernels may be that other processes have generated; a thread of its own opens it, too. */
  readonly cache?: CacheOptions;
  /** Asks for an account of every stage; symbolic sizes take these values in its numbers. */
  readonly report?: {
    readonly bindings: readonly (readonly [string, number])[];
    /** Asks for the data of the report page too. */
    readonly page?: boolean;
  };
}

export interface CompileResult {
  readonly program: Program;
  readonly milliseconds: number;
  /** What each step of the program computes, with the user's lines; no part of the program, as others may share it. */
  readonly originOf: (step: number) => string | undefined;
  /** What may be measured, where that was asked for. */
  readonly tunables: readonly Tunable[];
  /** Kernels that had to be generated, and those that were in the cache; others were in memory. */
  readonly kernels: KernelCounts;
  /** Kernels whose schedules were measured. */
  readonly tuned: readonly TunedKernel[];
  readonly report?: CompileReport;
  readonly page?: ReportData;
}

/** What constant folding may store, in bytes. */
const constantBudget = 1 << 16;

/** Loads what code generation for a target needs; for WASM that is Binaryen. */
export async function ready(target: Target = 'wasm'): Promise<void> {
  await loadTarget(target);
}

/** Whether `compile` has what it needs for a target. */
export const isReady = isTargetLoaded;

/**
 * Compiles a module, whose functions are traced graphs, to a program.
 * @throws KilnError `not_differentiable`, `unsupported_dtype` and the like from passes; `memory_budget`; `internal` and
 *   `compile_failed` for faults of ours
 */
export function compile(request: CompileRequest): CompileResult {
  try {
    const stages = runStages(request, countedKernels(request.cache !== undefined));
    let step = stages.next();
    while (!step.done) step = stages.next();
    return step.value;
  } catch (error) {
    throw asKilnError(error, request);
  }
}

/**
 * The same, with kernels from a cache that must be waited for. Where none must be, it is done when it returns.
 * @throws KilnError as `compile`, by rejection
 */
export async function compileAside(request: CompileRequest): Promise<CompileResult> {
  try {
    const kernels = countedKernels(request.cache !== undefined);
    const stages = runStages(request, kernels);
    let step = stages.next();
    while (!step.done) {
      if (kernels.fetch) await kernels.fetch(step.value());
      step = stages.next();
    }
    return step.value;
  } catch (error) {
    throw asKilnError(error, request);
  }
}

const asKilnError = (error: unknown, { name }: CompileRequest): KilnError =>
  error instanceof KilnError
    ? error
    : new KilnError('compile_failed', `the compiler failed on ${name}`, {
        given: String(error),
        hint: 'this is a fault of Kiln; please report it together with the output of KILN_DUMP=dir',
        cause: error,
      });

/** The hashes of kernels that code generation will ask for. Whoever drives a compile may fetch them first. */
type WantedKernels = () => readonly string[];

function* runStages(
  request: CompileRequest,
  { store, counts: kernels }: CompileKernels,
): Generator<WantedKernels, CompileResult> {
  const { name, precision, threads, report: asked } = request;
  const start = performance.now();
  const { module, lowered, program, texts, fitted, tunables, tuned } = yield* stagesOf(request, store);
  if (isDebugging('fusion')) debug('fusion', fusionText(lowered));
  if (isDebugging('kernels')) debug('kernels', lowered.kernels.map((kernel) => printKernel(kernel)).join('\n'));
  const milliseconds = performance.now() - start;
  const wanted = asked ?? (flag('KILN_DUMP') ? { bindings: [] } : undefined);
  const originOf = (step: number) => lowered.report.groups[step] && describeOps(lowered.report.groups[step].ops);
  if (!wanted) return { program, milliseconds, originOf, tunables, tuned, kernels };
  const stages = {
    module: request.module,
    optimized: module,
    lowered,
    program,
    texts,
    tuned,
    ...(threads && { threads }),
    ...(fitted && { fitted }),
  };
  const bindings = new Map(wanted.bindings);
  const report = reportOf(stages, bindings);
  if (!asked) dumpStages(name, program.tier.target, report);
  return {
    program,
    milliseconds,
    originOf,
    tunables,
    kernels,
    tuned,
    report,
    ...(asked?.page && { page: collectReport(stages, { precision, bindings }) }),
  };
}

/** Optimised module, kernels and code, within the budget if there is one. */
function* stagesOf(
  {
    module: traced,
    name,
    precision,
    donated,
    held,
    tier,
    threads,
    memoryBudget,
    without = nothing,
    tuning,
  }: CompileRequest,
  store: KernelStore,
): Generator<WantedKernels, WithinBudget> {
  const target = tier.target === 'webgpu' ? webgpuTarget(tier) : wasmTarget;
  const context = passContext(precision, without, target);
  const module = runPasses(traced, optimizePipeline, context);
  const { generate: generateCode, kernelHashes } = loadedTarget(tier.target);
  const options = { precision, tier, store, ...(tuning && { tuning }) };
  const generate = (lowered: Lowered): Generated => generateCode(lowered, options);
  const lower = (candidate: Module, others: readonly Feature[]): Lowered =>
    lowerModule(candidate, {
      name,
      donated,
      ...(held && { held }),
      precision,
      target,
      without: others.length === 0 ? without : new Set([...without, ...others]),
    });
  if (memoryBudget !== undefined) {
    return fitBudget({
      module,
      name,
      budget: memoryBudget,
      context,
      target: tier.target,
      threads,
      lower,
      generate,
    });
  }
  const lowered = lower(module, []);
  yield () => kernelHashes(lowered, options);
  return { module, ...generate(lowered) };
}

function passContext(precision: Precision, without: Without, target: FusionTarget): PassContext {
  const showsPasses = isDebugging('passes');
  return {
    precision,
    verify: isFlagOn('KILN_VERIFY'),
    constantBudget,
    target,
    without,
    ...(showsPasses && {
      trace: ({ pass, changed, milliseconds, after }) => {
        const time = `${milliseconds.toFixed(2)} ms`;
        debug('passes', changed ? `${pass} (${time})\n${printModule(after)}` : `${pass}: unchanged (${time})`);
      },
    }),
  };
}

/** Symbolic sizes count at their lower bounds. */
function fusionText(lowered: Lowered): string {
  const bindings = new Map(lowered.symbols.map(({ name, min }) => [name, min]));
  const account = fusionAccount(lowered, (size) => evaluateDim(size, bindings));
  const { name, report } = lowered;
  const title = `${name}: ${report.opCount} optimised ops in ${account.groups.length} kernels`;
  return [title, ...totalLines(account.groups), ...fusionLines(account)].join('\n');
}
