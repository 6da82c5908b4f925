/**
 * What a schedule makes of a unit of a kernel: stages, each of which begins when the one before has ended. A stage is
 * planned before any text is written, since how buffers are declared depends on all stages of the kernel.
 */
import type { Dim } from '../../base/dim.ts';
import type { Kernel, KernelScratch } from '../../ir/kernel.ts';
import type { Unit } from '../common/units.ts';
import type { BodyFacts } from './body.ts';
import type { KernelOptions } from './kernel.ts';
import type { LaunchArrays, ScratchPlan } from './scratch.ts';
import type { Shader } from './shader.ts';

/** How a stage uses the buffers that it does not use one element after the other. */
export interface BufferUse {
  /** Buffers read, and written, four elements at once. */
  readonly vectorReads: ReadonlySet<string>;
  readonly vectorWrites: ReadonlySet<string>;
  /** Buffers written one element at a time. */
  readonly scalarWrites: ReadonlySet<string>;
}

export interface Stage {
  readonly workgroups: Dim;
  /** Threads of a workgroup. */
  readonly workgroupSize: number;
  readonly use: BufferUse;
  /** Whether the statements see to it that workgroups beyond the last do nothing. */
  readonly guardsWorkgroups?: boolean;
  /** Whether it takes all the workgroup memory there is: no other stage can be in its dispatch. */
  readonly needsAllMemory?: boolean;
  /**
   * The statements of a thread, which knows `workgroup` and `local` (both u32). Threads beyond the work do nothing;
   * a `return` is allowed where no barrier follows.
   */
  emit(shader: Shader): string;
}

export interface ScheduleContext {
  readonly kernel: Kernel;
  readonly options: KernelOptions;
  readonly facts: BodyFacts;
  /** Memory that stores of the kernel touch. */
  readonly written: ReadonlySet<string>;
  /** Scratch arrays of the kernel by name. */
  readonly scratchArrays: ReadonlyMap<string, KernelScratch>;
  /** Scratch memory of the launch. */
  readonly scratch: ScratchPlan;
  /** Arrays in it that outlive a stage: their names are memory as those of buffers are. */
  readonly arrays: LaunchArrays;
  /** Stages of a part of a unit that a schedule leaves to the others. */
  plan(unit: Unit): readonly Stage[];
}

/** A way to run a unit, or `undefined` where it is not one for it. */
export type Schedule = (unit: Unit, context: ScheduleContext) => readonly Stage[] | undefined;

/** Threads of a workgroup unless a schedule has a reason for another number; every adapter allows as many. */
export const usualWorkgroup = 256;
