/**
 * What of a program can be tuned: for each contraction and reduction the schedules to try, each as a program that runs
 * nothing but that kernel on arrays of the right sizes.
 *
 *     { key: '3f0c…', kernel: 'dot_general_add', flops: 2.1e9, candidates: [{ schedule: '4x8x256x64x512', program }] }
 */
import { type Dim, type DimBindings, evaluateDim, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { Launch, LaunchBuffer, Lowered } from '../../ir/lowered.ts';
import {
  type BufferRef,
  type Program,
  programVersion,
  type Size,
  type WasmKernel,
  type WasmTier,
} from '../../runtime/program.ts';
import { candidateSchedules } from './contraction/candidates.ts';
import { scheduleKey } from './contraction/schedule.ts';
import { isPlainReduction, plainContraction } from './kernel.ts';
import { nestCandidates, nestScheduleKey } from './nest-schedule.ts';
import { usualSchedule } from './schedules.ts';

export interface Candidate {
  /** The key of the schedule. */
  readonly schedule: string;
  readonly program: Program;
}

export interface Tunable {
  /** What the winner is stored under: kernel, options and the sizes it is measured at. */
  readonly key: string;
  /** The kernel's name. */
  readonly kernel: string;
  /** Operations of all its launches in one run. */
  readonly flops: number;
  /** Values of symbolic sizes to measure at. */
  readonly sizes: readonly (readonly [string, number])[];
  /** The first is the one that is taken unmeasured; fewer than two where there was no time to make more. */
  readonly candidates: readonly Candidate[];
}

export interface TunableRequest {
  readonly lowered: Lowered;
  readonly tier: WasmTier;
  /** Values of symbolic sizes. */
  readonly sizes: DimBindings;
  /** Kernels by `key` that need no measuring. */
  readonly known: ReadonlySet<string>;
  keyOf(kernel: Kernel): string;
  codeOf(kernel: Kernel, schedule: string): WasmKernel;
  /** Asked before each candidate is made: whether there is time for more. */
  mayGoOn(): boolean;
}

/** Operations of a launch that is not worth the while. */
const leastFlops = 1 << 18;

/** The schedules to try for a kernel, that which is taken unmeasured first; none where there is no choice. */
function schedulesFor(kernel: Kernel): readonly string[] {
  const contraction = plainContraction(kernel);
  if (contraction) return candidateSchedules(contraction).map(scheduleKey);
  return isPlainReduction(kernel) ? [usualSchedule, ...nestCandidates.map(nestScheduleKey)] : [];
}

/** Kernels worth tuning that are not known yet, those first that take the most time. */
export function findTunables(request: TunableRequest): Tunable[] {
  const { lowered, sizes, known, keyOf } = request;
  const flopsOf = new Map<Kernel, number>();
  const launchOf = new Map<Kernel, Launch>();
  lowered.launches.forEach((launch, at) => {
    const kernel = lowered.kernels[launch.kernel];
    const { flopsAfter, prepares } = lowered.report.groups[at];
    if (prepares || kernel.buffers.some(({ access }) => access === 'read_write')) return;
    launchOf.set(kernel, launch);
    flopsOf.set(kernel, (flopsOf.get(kernel) ?? 0) + evaluateDim(flopsAfter, sizes));
  });
  const order = [...flopsOf].sort(([, a], [, b]) => b - a);
  const found: Tunable[] = [];
  for (const [kernel, flops] of order) {
    const schedules = flops >= leastFlops ? schedulesFor(kernel) : [];
    const key = schedules.length > 0 ? keyOf(kernel) : undefined;
    if (key === undefined || known.has(key)) continue;
    const candidates: Candidate[] = [];
    for (const schedule of schedules) {
      if (!request.mayGoOn()) break;
      candidates.push({ schedule, program: trialProgram(kernel, schedule, request) });
    }
    if (schedules.length > 1) found.push({ key, kernel: kernel.name, flops, sizes: [...sizes], candidates });
  }
  return found;
}

/**
 * A program that runs one kernel. Every array that the kernel reads is an input, every one that it writes an output,
 * and further inputs tell the values of symbols.
 */
function trialProgram(kernel: Kernel, schedule: string, { lowered, tier, codeOf }: TunableRequest): Program {
  const { buffers, packed } = kernel;
  const spec = ({ dtype, size }: { dtype: DType; size: Dim }) => ({ dtype, shape: [sizeOf(size)] });
  const reads = buffers.filter(({ access }) => access === 'read');
  const writes = buffers.filter(({ access }) => access === 'write');
  let [input, output] = [0, 0];
  const bound = buffers.map(
    ({ access }): BufferRef =>
      access === 'read' ? { kind: 'input', index: input++ } : { kind: 'output', index: output++ },
  );
  const use = codeOf(kernel, schedule);
  const kept: LaunchBuffer = { kind: 'prepared', index: 0 };
  const make = packed && codeOf({ ...kernel, packed: 'make' }, schedule);
  // Packing reads what it needs, and touches nothing else; outputs are no place for what is run once.
  const packing = bound.map((buffer) => (buffer.kind === 'input' ? buffer : kept));
  const symbols = lowered.symbols.map(({ name, min, max }) => ({ name, min, max }));
  return {
    version: programVersion,
    name: `trial of ${kernel.name}`,
    tier,
    symbols,
    inputs: [
      ...reads.map((buffer) => ({ ...spec(buffer), donated: false, held: packed !== undefined })),
      ...symbols.map(({ name }) => ({ dtype: 'int8' as const, shape: [name], donated: false, held: false })),
    ],
    outputs: writes.map((buffer) => ({ ...spec(buffer), source: { kind: 'own' as const } })),
    constants: [],
    prepared: make ? [{ dtype: 'float32', shape: [packedElements(make)] }] : [],
    temporaries: [],
    arenaBytes: 0,
    kernels: make ? [make, use] : [use],
    steps: make
      ? [
          { kind: 'launch', kernel: 0, buffers: [...packing, kept] },
          { kind: 'launch', kernel: 1, buffers: [...bound, kept] },
        ]
      : [{ kind: 'launch', kernel: 0, buffers: bound }],
    prepareSteps: make ? 1 : 0,
  };
}

/** What is packed, in elements: code that packs counts its bytes as its operations. */
const packedElements = ({ flops }: WasmKernel): number => Number(flops) / 4;

const sizeOf = (size: Dim): Size => (isStatic(size) ? size : String(size));
