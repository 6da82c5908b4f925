/**
 * Kernel → WGSL. One module a kernel; each part that must wait for another is an entry point of its own.
 */
import { addDims, type Dim } from '../../base/dim.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { WebgpuTier } from '../../runtime/program.ts';
import { flopsOf } from '../common/cost.ts';
import { checkExtents } from '../common/extents.ts';
import { type Unit, unitsOf } from '../common/units.ts';
import { axisExtents, valueDTypes, writtenMemory } from '../common/walk.ts';
import { planAttention } from './attention/index.ts';
import { planContraction } from './contraction/schedule.ts';
import { planSplit } from './reduce/split.ts';
import { planRowsOfReduction } from './reduce/split-rows.ts';
import { planRows } from './rows/plan.ts';
import { planScatter } from './scatter/index.ts';
import type { Schedule, ScheduleContext, Stage } from './schedule.ts';
import { LaunchArrays, ScratchPlan } from './scratch.ts';
import { Shader } from './shader.ts';
import { planSort } from './sort/index.ts';
import { splitStages } from './stages.ts';
import { planThreads } from './threads.ts';
import { planTranspose } from './transpose/index.ts';

/** What shapes the code beside the kernel; part of its hash. */
export interface KernelOptions {
  readonly precision: 'fast' | 'strict';
  readonly tier: WebgpuTier;
}

/** What of the options shapes code; part of a kernel's hash. */
export const optionsKey = ({ precision, tier }: KernelOptions): string =>
  `${precision}${tier.shaderF16 ? ' shader-f16' : ''}${tier.subgroups ? ' subgroups' : ''}` +
  `${tier.integerDot ? ' integer-dot' : ''}`;

/** An entry point and how many workgroups it runs on (`KernelDispatch` of the program). */
export interface Dispatch {
  readonly entryPoint: string;
  readonly workgroups: Dim;
}

export interface GeneratedKernel {
  readonly code: string;
  readonly access: readonly ('read' | 'read_write')[];
  /** Sizes the code reads from its uniform block, in order. */
  readonly sizes: readonly Dim[];
  readonly dispatches: readonly Dispatch[];
  readonly scratchBytes: Dim;
  readonly flops: Dim;
}

/** Ways to run a unit, the first that fits it; `planThreads` takes what is left. */
const schedules: readonly Schedule[] = [
  planScatter,
  planSort,
  planAttention,
  planContraction,
  planRowsOfReduction,
  planSplit,
  planRows,
  planTranspose,
];

/**
 * Generates the code of a kernel.
 * @throws KilnError `unsupported_dtype`; `invalid_size` for an axis that is too long to count
 */
export function generateKernel(kernel: Kernel, options: KernelOptions): GeneratedKernel {
  const written = writtenMemory(kernel);
  const units = unitsOf(kernel, written);
  const body = units.flatMap(({ lets, nodes }) => [...lets, ...nodes]);
  checkExtents(kernel, body);
  const scratch = new ScratchPlan();
  const arrays = new LaunchArrays(scratch);
  const context: ScheduleContext = {
    kernel,
    options,
    facts: { extents: axisExtents(body), dtypes: valueDTypes(body) },
    written,
    scratchArrays: new Map(kernel.scratch.map((array) => [array.name, array])),
    scratch,
    arrays,
    plan: (unit) => planStages(unit, context),
  };
  const planned = units.map((unit) =>
    splitStages(unit, written, context.scratchArrays).flatMap((stage) => planStages(stage, context)),
  );
  const shader = new Shader(kernel, options, arrays);
  declareBuffers(shader, planned.flat());
  const dispatches = mergeStages(planned).map((stages, at): Dispatch => {
    const entryPoint = at === 0 ? 'main' : `main_${at}`;
    return { entryPoint, workgroups: emitStages(shader, entryPoint, stages) };
  });
  const code = shader.render();
  return {
    code,
    access: shader.access,
    sizes: shader.sizes,
    dispatches,
    scratchBytes: shader.usesScratch ? scratch.bytes : 0,
    flops: flopsOf(kernel.body),
  };
}

function planStages(unit: Unit, context: ScheduleContext): readonly Stage[] {
  for (const schedule of schedules) {
    const stages = schedule(unit, context);
    if (stages) return stages;
  }
  return [planThreads(unit, context)];
}

/** Arrays of vectors where nothing is written element by element; atomics where words are shared by writers. */
function declareBuffers(shader: Shader, stages: readonly Stage[]): void {
  for (const [name, buffer] of shader.buffers) {
    const isWrittenSingly = stages.some(({ use }) => use.scalarWrites.has(name));
    if (buffer.storage.perElement > 1) buffer.isAtomic = isWrittenSingly;
    else {
      const isVector = stages.some(({ use }) => use.vectorReads.has(name) || use.vectorWrites.has(name));
      buffer.isVector = isVector && !isWrittenSingly;
    }
  }
}

/**
 * What runs in one dispatch: the first stages of all units, which do not depend on each other, then the second ones and
 * so on; stages with other workgroups, or that need all workgroup memory, apart.
 */
function mergeStages(units: readonly (readonly Stage[])[]): readonly (readonly Stage[])[] {
  const dispatches: Stage[][] = [];
  const longest = Math.max(0, ...units.map((stages) => stages.length));
  for (let at = 0; at < longest; at++) {
    const bySize = new Map<number, Stage[]>();
    for (const stages of units) {
      const stage = stages[at];
      if (!stage) continue;
      if (stage.needsAllMemory) {
        dispatches.push([stage]);
        continue;
      }
      const same = bySize.get(stage.workgroupSize);
      if (same) same.push(stage);
      else bySize.set(stage.workgroupSize, [stage]);
    }
    dispatches.push(...bySize.values());
  }
  return dispatches;
}

/** Writes an entry point. How many workgroups there are. */
function emitStages(shader: Shader, entryPoint: string, stages: readonly Stage[]): Dim {
  const [first] = stages;
  const [lines, workgroups] =
    stages.length === 1 ? emitAlone(shader, first) : emitBesideEachOther(shader, entryPoint, stages);
  shader.addEntryPoint(entryPoint, first.workgroupSize, lines.join('\n'));
  return workgroups;
}

type Emitted = readonly [lines: readonly string[], workgroups: Dim];

function emitAlone(shader: Shader, stage: Stage): Emitted {
  const guard = stage.guardsWorkgroups
    ? []
    : [`if (workgroup >= u32(${shader.size(stage.workgroups)})) {\n  return;\n}`];
  return [[...guard, stage.emit(shader)], stage.workgroups];
}

/** Each stage is a function, and has a range of the workgroups. */
function emitBesideEachOther(shader: Shader, entryPoint: string, stages: readonly Stage[]): Emitted {
  const lines: string[] = [];
  let first: Dim = 0;
  for (const [at, stage] of stages.entries()) {
    const end = addDims(first, stage.workgroups);
    const name = `${entryPoint}_part${at}`;
    const text = stage.emit(shader);
    const builtins = ['subgroup_lane', 'subgroup_width'].filter((builtin) => text.includes(builtin));
    const parameters = ['workgroup', 'local', ...builtins].map((parameter) => `${parameter}: u32`).join(', ');
    shader.addFunction(`fn ${name}(${parameters}) {\n${text.replace(/^(?=.)/gm, '  ')}\n}`);
    const from = at === 0 ? 'workgroup' : `workgroup - u32(${shader.size(first)})`;
    const call = `${name}(${[from, 'local', ...builtins].join(', ')});`;
    lines.push(`if (workgroup < u32(${shader.size(end)})) {\n  ${call}\n  return;\n}`);
    first = end;
  }
  return [lines, first];
}
