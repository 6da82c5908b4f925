/**
 * The memory that one run of a Program needs, known before it runs. The device allocates exactly this, so that on a
 * device that holds nothing else `memory().peakBytes` of a run is `footprintOf(program, bindings).peak`.
 *
 *     inputs 1024 + outputs 4 + constants 64 + records 48 + workspace (arena 512, scratch 128) 640  =  peak 1780
 *
 * Bytes are those asked for; the allocator rounds each block up to its unit, and memory grows by pages.
 */
import { planArena } from '../base/arena.ts';
import type { DimBindings } from '../base/dim.ts';
import { byteSize } from '../base/dtype.ts';
import {
  isWasmProgram,
  type Program,
  type Size,
  type TensorSpec,
  type WasmProgram,
  type WebgpuProgram,
} from './program.ts';
import { evaluateSize } from './sizes.ts';
import { launchListWords, planWorkspace } from './wasm/workspace-plan.ts';
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
  const { arena, scratch, bytes: workspace } = planWorkspace(program, evaluate, { threads, planArena });
  return { arena, scratch, records: 4 * launchListWords(program), workspace };
}

function webgpuMemory(program: WebgpuProgram, evaluate: (size: Size) => number): OwnMemory {
  const { arenas, scratch } = planArenas(program, evaluate);
  const arena = arenas.reduce((sum, bytes) => sum + bytes, 0);
  return { arena, scratch, records: uniformBufferBytes(program), workspace: arena + scratch };
}
