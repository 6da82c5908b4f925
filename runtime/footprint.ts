/**
 * The memory that one run of a Program needs, known before it runs. The device allocates exactly this, so that on a
 * device that holds nothing else `memory().peakBytes` of a run is `footprintOf(program, bindings).peak`.
 *
 *     inputs 1024 + outputs 4 + constants 64 + records 48 + workspace (arena 512, scratch 128) 640  =  peak 1780
 *
 * Bytes are those asked for; the allocator rounds each block up to its unit, and memory grows by pages.
 */
import { arenaAlignment, planArena } from '../base/arena.ts';
import type { DimBindings } from '../base/dim.ts';
import { byteSize } from '../base/dtype.ts';
import {
  isWasmProgram,
  type Program,
  type Size,
  type TensorSpec,
  type WasmKernel,
  type WasmProgram,
  type WebgpuProgram,
} from './program.ts';
import { evaluateSize } from './sizes.ts';
import { launchWords } from './wasm/launch-layout.ts';
import { planArenas } from './webgpu/arenas.ts';
import { uniformBufferBytes } from './webgpu/uniforms.ts';

export interface Footprint {
  /** Arguments, tensors that the function captured among them. */
  readonly inputs: number;
  /** Outputs in buffers of their own; others lie where a donated input or a constant does. */
  readonly outputs: number;
  readonly constants: number;
  /** What is computed once and kept. */
  readonly prepared: number;
  /** What launches read: on WASM the list of them, with addresses and sizes; on WebGPU the uniform blocks. */
  readonly records: number;
  /** Temporaries, as they share arenas: one on WASM, one of each colour on WebGPU. */
  readonly arena: number;
  /** The most that one kernel needs beside its buffers: packed operands, scratch rows, on all threads. */
  readonly scratch: number;
  /** Arena and scratch together. */
  readonly workspace: number;
  /** All of it: everything is held while the program runs. */
  readonly peak: number;
}

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

const aligned = (bytes: number): number => Math.ceil(bytes / arenaAlignment) * arenaAlignment;

/** Where the temporaries of a program begin in their arena. */
export function planTemporaries(
  { temporaries, arenaBytes }: Program,
  evaluate: (size: Size) => number,
): { readonly offsets: readonly number[]; readonly bytes: number } {
  if (arenaBytes !== undefined) return { offsets: temporaries.map(({ offset }) => offset ?? 0), bytes: arenaBytes };
  return planArena(temporaries.map(({ bytes, first, last }) => ({ bytes: evaluate(bytes), first, last })));
}

/**
 * Plans the workspace of a program whose sizes `evaluate` knows: the arena, the scratch memory of a launch, that of
 * each thread.
 */
export function planWorkspace(program: WasmProgram, evaluate: (size: Size) => number, threads = 1): WorkspacePlan {
  const { kernels } = program;
  const { offsets, bytes: arena } = planTemporaries(program, evaluate);
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

/**
 * The memory of one run.
 * @param bindings a value for each of the program's symbols
 * @param threads how many threads the device has, each with scratch memory of its own
 * @throws KilnError `invalid_program`, `invalid_size`
 */
export function footprintOf(program: Program, bindings: DimBindings, threads = 1): Footprint {
  const evaluate = (size: Size): number => evaluateSize(size, bindings);
  const bytesOf = ({ dtype, shape }: TensorSpec): number =>
    shape.reduce<number>((bytes, size) => bytes * evaluate(size), byteSize(dtype));
  const total = (specs: readonly TensorSpec[]): number => specs.reduce((bytes, spec) => bytes + bytesOf(spec), 0);
  const { arena, scratch, records, workspace } = isWasmProgram(program)
    ? wasmMemory(program, evaluate, threads)
    : webgpuMemory(program, evaluate);
  const parts = {
    inputs: total(program.inputs),
    outputs: total(program.outputs.filter(({ source }) => source.kind === 'own')),
    constants: total(program.constants),
    prepared: total(program.prepared),
    records,
    workspace,
  };
  const peak = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  return { ...parts, arena, scratch, peak };
}

type OwnMemory = Pick<Footprint, 'arena' | 'scratch' | 'records' | 'workspace'>;

function wasmMemory(program: WasmProgram, evaluate: (size: Size) => number, threads: number): OwnMemory {
  const { arena, scratch, bytes: workspace } = planWorkspace(program, evaluate, threads);
  return { arena, scratch, records: 4 * launchListWords(program), workspace };
}

function webgpuMemory(program: WebgpuProgram, evaluate: (size: Size) => number): OwnMemory {
  const { arenas, scratch } = planArenas(program, evaluate);
  const arena = arenas.reduce((sum, bytes) => sum + bytes, 0);
  return { arena, scratch, records: uniformBufferBytes(program), workspace: arena + scratch };
}
