/**
 * Making a program fit into a number of bytes. What the program plans is compared with the budget; while it is too
 * much, first kernels are no longer batched (which keeps alive what each of them reads until the last can run), then
 * values are computed again, one full moment after the other.
 *
 *     withinBudget({ module, budget: 1 << 20, lower })
 *       lowered         a program of at most 1 MiB
 *       recomputed      [{ op: exponential, bytes: 65536 }, ...]
 *
 * Each round lowers the graph anew, so that what counts is what fusion makes of it. All of it depends on the module and
 * the numbers alone.
 */
import { planArena, reservedBytes } from '../../base/arena.ts';
import { type Dim, type DimBindings, evaluateDim } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { elementCount } from '../../ir/literal.ts';
import type { Lowered } from '../../ir/lowered.ts';
import { flopsOf } from '../../ir/ops/index.ts';
import { type Graph, type Module, mainOf, type Op, type TensorType } from '../../ir/types.ts';
import type { Feature } from '../features.ts';
import { recompute } from './recompute.ts';

/** What a program is to give up of its memory in a round, if not all that is too much. */
const share = 0.25;
/** Rounds without a smaller program after which no more are tried, and rounds in all. */
const patience = 4;
const mostRounds = 24;
/** How many times the work of the program copies may add. */
const mostWork = 2;
/** Features that keep more alive than need be. */
const apart: readonly Feature[] = ['fuse/batches'];

/** How a device lays temporaries out. */
export interface TemporaryMemory {
  /** Bytes that a temporary takes up. */
  reserved(bytes: number): number;
  /** Bytes that all temporaries of a program take up, with sizes as `numberOf` gives them. */
  total(lowered: Lowered, numberOf: (size: Dim) => number): number;
}

/** Linear memory: one arena for all. */
export const oneArena: TemporaryMemory = {
  reserved: (bytes) => reservedBytes(bytes),
  total({ temporaries, arenaBytes }, numberOf) {
    if (arenaBytes !== undefined) return arenaBytes;
    return planArena(temporaries.map(({ bytes, first, last }) => ({ bytes: numberOf(bytes), first, last }))).bytes;
  },
};

export interface BudgetRequest {
  /** Optimised, with all calls written out. */
  readonly module: Module;
  /** Bytes that inputs, outputs, constants and temporaries may take up together. */
  readonly budget: number;
  /** The program of a module, without some features. */
  readonly lower: (module: Module, without: readonly Feature[]) => Lowered;
  /** One arena unless given. */
  readonly memory?: TemporaryMemory;
}

/** An op that is computed once more, and the bytes of what it makes. Ops that only move elements are not named. */
export interface RecomputedOp {
  readonly op: Op;
  readonly bytes: number;
}

export interface FittedProgram {
  readonly module: Module;
  readonly lowered: Lowered;
  /** Bytes planned in the end. */
  readonly bytes: number;
  readonly recomputed: readonly RecomputedOp[];
  /** Floating point operations that were added. */
  readonly flops: number;
}

/**
 * The program for a budget. First the whole excess of the fullest moment is taken away at once, which computes least
 * again; where that leads nowhere, a fixed share in each round.
 * @returns where no program is small enough, one that any budget from its `bytes` on would get
 */
export function withinBudget({ module, budget, lower, memory = oneArena }: BudgetRequest): FittedProgram {
  const make = (candidate: Module, without: readonly Feature[]): FittedProgram =>
    fitted(module, candidate, lower(candidate, without), memory);
  const start = make(module, []);
  if (start.bytes <= budget) return start;
  const first = make(module, apart);
  const search = { first, budget, memory, work: workOf(module, start.lowered), make };
  let found = descend(search, ({ bytes }) => bytes - budget);
  if (found.bytes > budget) found = descend(search, ({ bytes }) => share * bytes);
  if (found.bytes > budget) return found.bytes < start.bytes ? found : start;
  const batched = make(found.module, []);
  return batched.bytes <= budget ? batched : found;
}

interface Search {
  readonly first: FittedProgram;
  readonly budget: number;
  readonly memory: TemporaryMemory;
  /** Floating point operations of the program without copies. */
  readonly work: number;
  readonly make: (module: Module, without: readonly Feature[]) => FittedProgram;
}

/** Takes `wanted` bytes away from the fullest moment, again and again. @returns the first that fits, or the smallest */
function descend(search: Search, wanted: (current: FittedProgram) => number): FittedProgram {
  const { first, budget, memory, work, make } = search;
  let best = first;
  let current = first;
  let failures = 0;
  for (let round = 0; round < mostRounds && failures < patience && best.bytes > budget; round++) {
    const graph = current.flops > mostWork * work ? undefined : lessAlive(current, wanted(current), memory);
    if (!graph) break;
    current = make(withMain(current.module, graph), apart);
    failures = current.bytes < best.bytes ? 0 : failures + 1;
    if (current.bytes < best.bytes) best = current;
  }
  return best;
}

function lessAlive({ module, lowered }: FittedProgram, wanted: number, memory: TemporaryMemory): Graph | undefined {
  const numberOf = sizesOf(lowered);
  return recompute({
    graph: mainOf(module).graph,
    schedule: { launches: lowered.report.groups, alive: aliveBytes(lowered, memory) },
    wanted,
    numberOf,
    bytesOf: ({ type }) => memory.reserved(bytesOfType(type, numberOf)),
  });
}

function fitted(original: Module, module: Module, lowered: Lowered, memory: TemporaryMemory): FittedProgram {
  const numberOf = sizesOf(lowered);
  const before = new Set(mainOf(original).graph.ops.flatMap(({ results }) => results));
  const { ops } = mainOf(module).graph;
  const copies = ops.filter((op) => !before.has(op.results[0]) && numberOf(flopsOf(op)) > 0);
  return {
    module,
    lowered,
    bytes: plannedBytes(lowered, memory),
    recomputed: copies.map((op) => ({ op, bytes: bytesOfType(op.results[0].type, numberOf) })),
    flops: workOf(module, lowered) - workOf(original, lowered),
  };
}

/** Floating point operations of a module's main function. */
function workOf(module: Module, lowered: Lowered): number {
  const numberOf = sizesOf(lowered);
  return mainOf(module).graph.ops.reduce((sum, op) => sum + numberOf(flopsOf(op)), 0);
}

const withMain = (module: Module, graph: Graph): Module => ({
  ...module,
  functions: module.functions.map((func) => (func.name === module.main ? { ...func, graph } : func)),
});

/** Sizes as numbers. A symbolic one counts at its upper bound, so that a budget holds for all. */
function sizesOf({ symbols }: Lowered): (size: Dim) => number {
  const bindings: DimBindings = new Map(symbols.map(({ name, max }) => [name, max]));
  return (size) => evaluateDim(size, bindings);
}

const bytesOfType = ({ dtype, shape }: TensorType, numberOf: (size: Dim) => number): number =>
  elementCount(shape.map(numberOf)) * byteSize(dtype);

/**
 * Bytes of a program's inputs, outputs, constants and temporaries: all that `explain` counts but for launch records and
 * the scratch memory of kernels, which codegen decides.
 */
export const plannedBytes = (lowered: Lowered, memory = oneArena): number =>
  leastBytes(lowered) + memory.total(lowered, sizesOf(lowered));

/** The part of it that stays, whatever is computed again: inputs, outputs, constants, what is computed only once. */
export function leastBytes(lowered: Lowered): number {
  const numberOf = sizesOf(lowered);
  const { inputs, outputs, constants, prepared } = lowered;
  const own = outputs.filter(({ source }) => source.kind === 'own');
  const types = [
    ...inputs.map(({ type }) => type),
    ...own.map(({ type }) => type),
    ...constants,
    ...prepared.map(({ type }) => type),
  ];
  return types.reduce((sum, type) => sum + bytesOfType(type, numberOf), 0);
}

/** Bytes of temporaries at each launch. */
function aliveBytes(lowered: Lowered, memory: TemporaryMemory): number[] {
  const numberOf = sizesOf(lowered);
  const alive = new Array<number>(lowered.launches.length + 1).fill(0);
  for (const { bytes, first, last } of lowered.temporaries) {
    const reserved = memory.reserved(numberOf(bytes));
    alive[first] += reserved;
    alive[last + 1] -= reserved;
  }
  let sum = 0;
  return alive.map((change) => (sum += change)).slice(0, -1);
}
