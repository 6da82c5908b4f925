/**
 * Holding a program to a `memoryBudget`. A program that fits is the one that is made without a budget. Otherwise the
 * optimiser computes values again (`passes/remat`) until what the device will allocate, which is known once there is
 * code, is within the budget; and where that can not be, the compile fails.
 */
import type { DimBindings } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import type { Lowered } from '../ir/lowered.ts';
import type { Module } from '../ir/types.ts';
import type { Feature } from '../passes/features.ts';
import { type PassContext, runPasses } from '../passes/manager.ts';
import { eliminateDeadCode, inlineCalls } from '../passes/optimize/index.ts';
import {
  type FittedProgram,
  leastBytes,
  oneArena,
  plannedBytes,
  type TemporaryMemory,
  withinBudget,
} from '../passes/remat/within-budget.ts';
import { footprintOf } from '../runtime/footprint.ts';
import type { Program } from '../runtime/program.ts';
import { placeTemporaries, temporaryBytes } from '../runtime/webgpu/arenas.ts';
import { count } from './fusion-account.ts';
import type { Generated, Target } from './targets/target.ts';

export interface BudgetedStages {
  /** Optimised. */
  readonly module: Module;
  readonly name: string;
  readonly budget: number;
  readonly context: PassContext;
  readonly target: Target;
  /** Threads of the device; each has scratch memory of its own. */
  readonly threads: number | undefined;
  lower(module: Module, without: readonly Feature[]): Lowered;
  generate(lowered: Lowered): Generated;
}

export interface WithinBudget extends Generated {
  readonly module: Module;
  readonly lowered: Lowered;
  /** What was computed again; absent where the budget made no difference. */
  readonly fitted?: FittedProgram & { readonly before: ProgramBefore };
}

/** The program without a budget. */
export interface ProgramBefore {
  /** Bytes planned. */
  readonly bytes: number;
  readonly lowered: Lowered;
}

/** How often codegen may turn out to need more than was set aside for it. */
const attempts = 4;

/** The most bytes that a run takes, whatever its symbolic sizes are. */
const peakOf = (program: Program, threads: number | undefined): number => {
  const greatest: DimBindings = new Map(program.symbols.map(({ name, max }) => [name, max]));
  return footprintOf(program, greatest, threads).peak;
};

/** On WebGPU temporaries have several arenas, so that no launch reads and writes one buffer. */
const colouredArenas: TemporaryMemory = {
  reserved: temporaryBytes,
  total({ temporaries, kernels, launches }, numberOf) {
    const { arenas } = placeTemporaries({
      temporaries: temporaries.map(({ bytes, first, last }) => ({ bytes: numberOf(bytes), first, last })),
      launches: launches.map(({ kernel, buffers }) => {
        const isRead = kernels[kernel].buffers.map(({ access }) => access === 'read');
        const used = (reads: boolean): number[] =>
          buffers.flatMap(({ kind, index }, at) => (kind === 'temporary' && isRead[at] === reads ? [index] : []));
        return { reads: used(true), writes: used(false) };
      }),
    });
    return arenas.reduce((sum, bytes) => sum + bytes, 0);
  },
};

const memoryOf: Readonly<Record<Target, TemporaryMemory>> = { wasm: oneArena, webgpu: colouredArenas };

/** @throws KilnError `memory_budget` when no program was found that takes so little */
export function fitBudget(stages: BudgetedStages): WithinBudget {
  const { module, budget, context, target, threads, generate } = stages;
  const memory = memoryOf[target];
  const kept = stages.lower(module, []);
  const mayKeep = kept.inputs.some(({ held }) => held);
  if (mayKeep && plannedBytes(kept, memory) <= budget) {
    const made = generate(kept);
    if (peakOf(made.program, threads) <= budget) return { module, ...made };
  }
  // What is kept from call to call is the first thing to do without.
  const lower: BudgetedStages['lower'] = (of, without) => stages.lower(of, [...without, 'prepare/values']);
  const lowered = mayKeep ? lower(module, []) : kept;
  const planned = plannedBytes(lowered, memory);
  let beside = 0;
  if (planned <= budget) {
    const made = generate(lowered);
    const peak = peakOf(made.program, threads);
    if (peak <= budget) return { module, ...made };
    beside = peak - planned;
  }
  const least = leastBytes(lowered) + beside;
  const without = (): number => peakOf(generate(lowered).program, threads);
  if (least > budget) throw refusal(stages, { without: without(), reached: undefined, least });
  const flat = runPasses(module, [inlineCalls, eliminateDeadCode], context);
  let reached = planned + beside;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = withinBudget({ module: flat, budget: budget - beside, lower, memory });
    const made = generate(found.lowered);
    reached = peakOf(made.program, threads);
    if (reached <= budget) {
      return {
        module: found.module,
        ...made,
        fitted: { ...found, before: { bytes: planned, lowered } },
      };
    }
    if (found.bytes > budget - beside) break;
    beside = reached - found.bytes;
  }
  throw refusal(stages, { without: without(), reached, least });
}

interface Numbers {
  /** What it takes without a budget. */
  readonly without: number;
  readonly reached: number | undefined;
  readonly least: number;
}

function refusal({ name, budget }: BudgetedStages, { without, reached, least }: Numbers): KilnError {
  const held = `arguments, outputs and constants alone take ${count(least)} bytes`;
  return new KilnError('memory_budget', `compile(${name}): no program was found that fits into memoryBudget`, {
    given:
      `${count(budget)} bytes; without a budget it takes ${count(without)}, ` +
      (reached === undefined ? held : `computing values again brought it down to ${count(reached)}; ${held}`),
    expected:
      reached === undefined
        ? `more than ${count(least)} bytes`
        : `a budget such as ${count(reached)} bytes, which can be met`,
    hint: 'raise memoryBudget, donate arguments that are not needed after the call, or make the batch smaller',
  });
}
