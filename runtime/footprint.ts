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
import type { Program, Size, TensorSpec } from './program.ts';
import { evaluateSize, symbolTable } from './sizes.ts';

export interface Footprint {
  /** Arguments, tensors that the function captured among them. */
  readonly inputs: number;
  /** Outputs in buffers of their own; others lie where a donated input or a constant does. */
  readonly outputs: number;
  readonly constants: number;
  /** Launch records: addresses and sizes that kernels read. */
  readonly records: number;
  /** Temporaries, as they share one arena. */
  readonly arena: number;
  /** The most that one kernel needs beside its buffers: packed operands, scratch rows. */
  readonly scratch: number;
  /** Arena and scratch as one block. */
  readonly workspace: number;
  /** All of it: everything is held while the program runs. */
  readonly peak: number;
}

/** How arena and scratch share the workspace. */
export interface WorkspacePlan {
  /** Where each temporary begins. */
  readonly offsets: readonly number[];
  readonly arena: number;
  readonly scratch: number;
  /** Where scratch memory begins. */
  readonly scratchOffset: number;
  readonly bytes: number;
}

/** Plans the workspace of a program whose sizes `evaluate` knows. */
export function planWorkspace(program: Program, evaluate: (size: Size) => number): WorkspacePlan {
  const { temporaries, arenaBytes, kernels } = program;
  const { offsets, bytes: arena } =
    arenaBytes === undefined
      ? planArena(temporaries.map(({ bytes, first, last }) => ({ bytes: evaluate(bytes), first, last })))
      : { offsets: temporaries.map(({ offset }) => offset ?? 0), bytes: arenaBytes };
  const scratch = kernels.reduce((most, { scratchBytes }) => Math.max(most, evaluate(scratchBytes)), 0);
  const scratchOffset = Math.ceil(arena / arenaAlignment) * arenaAlignment;
  return { offsets, arena, scratch, scratchOffset, bytes: scratch > 0 ? scratchOffset + scratch : arena };
}

/** Words of the records of all launches: for each its buffers, its sizes, and the address of its scratch memory. */
export const recordWords = ({ kernels, steps }: Program): number =>
  steps.reduce((words, { kernel }) => words + kernels[kernel].buffers + kernels[kernel].sizes.length + 1, 0);

/**
 * The memory of one run.
 * @param bindings a value for each of the program's symbols
 * @throws KilnError `invalid_program`, `invalid_size`
 */
export function footprintOf(program: Program, bindings: DimBindings): Footprint {
  const symbols = symbolTable(program.symbols);
  const evaluate = (size: Size): number => evaluateSize(size, symbols, bindings);
  const bytesOf = ({ dtype, shape }: TensorSpec): number =>
    shape.reduce<number>((bytes, size) => bytes * evaluate(size), byteSize(dtype));
  const total = (specs: readonly TensorSpec[]): number => specs.reduce((bytes, spec) => bytes + bytesOf(spec), 0);
  const { arena, scratch, bytes: workspace } = planWorkspace(program, evaluate);
  const parts = {
    inputs: total(program.inputs),
    outputs: total(program.outputs.filter(({ source }) => source.kind === 'own')),
    constants: total(program.constants),
    records: 4 * recordWords(program),
    workspace,
  };
  const peak = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  return { ...parts, arena, scratch, peak };
}
