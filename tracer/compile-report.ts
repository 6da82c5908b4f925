/**
 * The account of one compile as plain data: every stage as text and the numbers of fusion and memory. It is made where
 * the compiler runs and travels back from a worker with the program.
 */
import { type Dim, type DimBindings, evaluateDim } from '../base/dim.ts';
import type { TunedKernel } from '../codegen/wasm/program.ts';
import { printKernel } from '../ir/kernel-print.ts';
import type { Lowered } from '../ir/lowered.ts';
import { printModule } from '../ir/printer.ts';
import type { Module } from '../ir/types.ts';
import { type Footprint, footprintOf } from '../runtime/footprint.ts';
import { type Program, type ProgramKernel, type Size, tierName } from '../runtime/program.ts';
import { describeOp, fusionAccount, type GroupReport, type RefusalReport } from './fusion-account.ts';
import type { WithinBudget } from './memory-budget.ts';

/** Values that are computed again instead of kept, for a `memoryBudget`. */
export interface Recomputation {
  /** Each op that is computed once more, with the user's line where known, and the bytes of what it makes. */
  readonly ops: readonly { readonly op: string; readonly bytes: number }[];
  /** Planned bytes that this saves. */
  readonly bytesSaved: number;
  /** Operations that it adds, as kernels count them. */
  readonly flops: number;
}

export interface CompileReport {
  readonly graph: string;
  readonly optimized: string;
  readonly kernels: string;
  readonly code: string;
  readonly program: string;
  /** What the code needs of the engine: `wasm+threads+relaxed-simd`. */
  readonly tier: string;
  /** Ops traced, in all functions. */
  readonly tracedOps: number;
  readonly kernelCount: number;
  readonly groups: readonly GroupReport[];
  /** Launches that are run only once; all counts are without them. */
  readonly preparation: readonly GroupReport[];
  readonly refusals: readonly RefusalReport[];
  readonly flops: number;
  readonly bytesMoved: number;
  /** The same if every op ran alone. */
  readonly flopsBefore: number;
  readonly bytesBefore: number;
  /** What one run needs, in bytes. */
  readonly memory: Footprint;
  readonly recomputation: Recomputation | undefined;
  /** Kernels whose schedules were measured. */
  readonly tuned: readonly TunedKernel[];
}

export interface Stages {
  readonly module: Module;
  readonly optimized: Module;
  readonly lowered: Lowered;
  readonly program: Program;
  /** The code of each kernel of the program as text: WAT, WGSL. */
  readonly texts: readonly string[];
  /** Threads of the device; 1 unless given. */
  readonly threads?: number;
  readonly tuned?: readonly TunedKernel[];
  /** How it was made to fit into a budget. */
  readonly fitted?: NonNullable<WithinBudget['fitted']>;
}

/** @param given values of symbolic sizes; one that is absent counts at its lower bound */
export function reportOf(
  { module, optimized, lowered, program, texts, tuned, threads, fitted }: Stages,
  given: DimBindings,
): CompileReport {
  const bindings = new Map(lowered.symbols.map(({ name, min }) => [name, given.get(name) ?? min]));
  const numberOf = (size: Dim): number => evaluateDim(size, bindings);
  const { groups, preparation, refusals } = fusionAccount(lowered, numberOf);
  const flops = groups.reduce((sum, group) => sum + group.flops, 0);
  return {
    graph: printModule(module, { locations: true }),
    optimized: printModule(optimized, { locations: true }),
    kernels: lowered.kernels.map((kernel) => printKernel(kernel)).join('\n'),
    code: codeText(program, texts, [...preparation, ...groups]),
    program: programText(program),
    tier: tierName(program.tier),
    tracedOps: module.functions.reduce((sum, { graph }) => sum + graph.ops.length, 0),
    kernelCount: lowered.kernels.length,
    groups,
    preparation,
    refusals,
    flops,
    bytesMoved: groups.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0),
    flopsBefore: groups.reduce((sum, { flopsBefore }) => sum + flopsBefore, 0),
    bytesBefore: groups.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0),
    memory: footprintOf(program, bindings, threads),
    tuned: tuned ?? [],
    recomputation: fitted && recomputationOf(fitted, flops, numberOf),
  };
}

function recomputationOf(
  { recomputed, before, bytes }: NonNullable<Stages['fitted']>,
  flops: number,
  numberOf: (size: Dim) => number,
): Recomputation {
  const flopsWithout = before.lowered.report.groups.reduce(
    (sum, { flopsAfter, prepares }) => sum + (prepares ? 0 : numberOf(flopsAfter)),
    0,
  );
  return {
    ops: recomputed.map(({ op, bytes: size }) => ({ op: describeOp(op), bytes: size })),
    bytesSaved: before.bytes - bytes,
    flops: flops - flopsWithout,
  };
}

/** What begins a comment in the code of a target. */
const commentMark = { wasm: ';;', webgpu: '//' } as const;

/**
 * The code of all kernels, each below comments that say its name, and the ops and lines it came from. The code itself
 * knows neither, and what is cached does not depend on them.
 */
function codeText({ tier, kernels }: Program, texts: readonly string[], groups: readonly GroupReport[]): string {
  const mark = commentMark[tier.target];
  return kernels
    .map(({ name }, at) => {
      const ops = new Set(groups.filter(({ kernel }) => kernel === name).flatMap((group) => group.ops));
      return [`${mark} kernel ${name}`, ...[...ops].map((op) => `${mark}   ${op}`), texts[at]].join('\n');
    })
    .join('\n');
}

/**
 * For each kernel of the lowered program the code that runs it. Where a launch changes its operand's memory, a target
 * may need other code for the same kernel, which then follows.
 */
export function codesOf({ lowered, program, texts }: Pick<Stages, 'lowered' | 'program' | 'texts'>): string[] {
  const used = lowered.kernels.map(() => new Set<number>());
  lowered.launches.forEach(({ kernel }, step) => {
    used[kernel].add(program.steps[step].kernel);
  });
  return used.map((numbers) => [...numbers].map((at) => texts[at]).join('\n'));
}

/** A program as lines: what goes in and out, and each step with its buffers. */
function programText(program: Program): string {
  const type = ({ dtype, shape }: { dtype: string; shape: readonly Size[] }): string => `${dtype}[${shape.join(',')}]`;
  const lines = [`program ${program.name} (version ${program.version}, ${tierName(program.tier)})`];
  for (const { name, min, max } of program.symbols) lines.push(`  size ${name} in [${min}, ${max}]`);
  program.inputs.forEach((input, i) => {
    lines.push(`  input ${i}: ${type(input)}${input.donated ? ' donated' : ''}${input.held ? ' held' : ''}`);
  });
  program.outputs.forEach((output, i) => {
    const { kind, ...where } = output.source;
    lines.push(`  output ${i}: ${type(output)} ${[kind, ...Object.values(where)].join(' ')}`);
  });
  program.constants.forEach((constant, i) => {
    lines.push(`  constant ${i}: ${type(constant)}`);
  });
  program.prepared.forEach((array, i) => {
    lines.push(`  prepared ${i}: ${type(array)}`);
  });
  program.temporaries.forEach(({ bytes, offset, first, last }, i) => {
    const at = offset === undefined ? '' : ` at ${offset}`;
    lines.push(`  temporary ${i}: ${bytes} bytes${at}, steps ${first} to ${last}`);
  });
  if (program.arenaBytes !== undefined) lines.push(`  arena: ${program.arenaBytes} bytes`);
  program.steps.forEach(({ kernel, buffers }, i) => {
    const { name } = program.kernels[kernel];
    const work = workText(program.kernels[kernel]);
    const once = i < program.prepareSteps ? ', only once' : '';
    lines.push(`  step ${i}: ${name} (${work}${once}) ${buffers.map((b) => `${b.kind} ${b.index}`).join(', ')}`);
  });
  return `${lines.join('\n')}\n`;
}

/** How a kernel's work is cut up, phase by phase. */
function workText(kernel: ProgramKernel): string {
  if ('phases' in kernel) return `${kernel.phases.map(({ tiles }) => `${tiles}`).join(' then ')} tiles`;
  return `${kernel.dispatches.map(({ workgroups }) => `${workgroups}`).join(' then ')} workgroups`;
}
