/**
 * How the memory that lives only during a run is laid out: the arena of the temporaries, the scratch memory of a launch,
 * that of each thread; and how long the list of launches is.
 */
import type { ArenaInterval, ArenaPlan } from '../../base/arena.ts';
import type { Program, Size, WasmKernel, WasmProgram } from '../program.ts';
import { unitBytes } from './allocator.ts';
import { launchWords } from './launch-layout.ts';

/** How arena and scratch share the workspace. */
export interface WorkspacePlan {
  /** Where each temporary begins. */
  readonly offsets: readonly number[];
  readonly arena: number;
  /** Bytes for scratch memory: of the launch and of all threads. */
  readonly scratch: number;
  /** Where the scratch memory of a launch begins. */
  readonly sharedOffset: number;
  /** Where the scratch memory of the first thread begins. */
  readonly scratchOffset: number;
  /** Bytes from the scratch memory of one thread to that of the next. */
  readonly scratchStride: number;
  /** Where a thread keeps its copy of a record, behind its scratch memory. */
  readonly copyOffset: number;
  readonly bytes: number;
}

const aligned = (bytes: number): number => Math.ceil(bytes / unitBytes) * unitBytes;

/** How temporaries are placed whose sizes the program does not know (`base/arena.ts`). */
export type PlanArena = (intervals: readonly ArenaInterval[]) => ArenaPlan;

/** Where the temporaries of a program begin in their arena. */
export function planTemporaries(
  { temporaries, arenaBytes }: Program,
  evaluate: (size: Size) => number,
  planArena: PlanArena,
): { readonly offsets: readonly number[]; readonly bytes: number } {
  if (arenaBytes !== undefined) return { offsets: temporaries.map(({ offset }) => offset ?? 0), bytes: arenaBytes };
  return planArena(temporaries.map(({ bytes, first, last }) => ({ bytes: evaluate(bytes), first, last })));
}

/**
 * Plans the workspace of a program whose sizes `evaluate` knows: the arena, the scratch memory of a launch, that of
 * each thread.
 */
export function planWorkspace(
  program: WasmProgram,
  evaluate: (size: Size) => number,
  { threads, planArena }: { readonly threads: number; readonly planArena: PlanArena },
): WorkspacePlan {
  const { kernels } = program;
  const { offsets, bytes: arena } = planTemporaries(program, evaluate, planArena);
  const most = (bytesOf: (kernel: WasmKernel) => Size): number =>
    kernels.reduce((bytes, kernel) => Math.max(bytes, evaluate(bytesOf(kernel))), 0);
  const shared = most(({ sharedBytes }) => sharedBytes);
  const own = most(({ scratchBytes }) => scratchBytes);
  const sharedOffset = aligned(arena);
  const scratchOffset = sharedOffset + aligned(shared);
  const copyOffset = aligned(own);
  const longest = kernels.reduce((words, kernel) => Math.max(words, recordWordsOf(kernel)), 0);
  const scratchStride = threads > 1 ? copyOffset + aligned(4 * longest) : own;
  const scratch = own > 0 ? aligned(shared) + threads * scratchStride : shared;
  const bytes = scratch > 0 ? sharedOffset + scratch : arena;
  return { offsets, arena, scratch, sharedOffset, scratchOffset, scratchStride, copyOffset, bytes };
}

/** Words of a launch's record: its buffers, its sizes, and the addresses of scratch memory. */
export const recordWordsOf = ({ buffers, sizes }: WasmKernel): number => buffers + sizes.length + 2;

/** Words of the list of launches: of each what the driver reads, then its record. */
export const launchListWords = ({ kernels, steps }: WasmProgram): number =>
  steps.reduce((words, { kernel: at }) => {
    const kernel = kernels[at];
    return words + launchWords(kernel.phases.length) + recordWordsOf(kernel);
  }, 0);
