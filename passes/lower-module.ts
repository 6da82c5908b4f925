/**
 * From an optimised module to kernels, launches and a memory plan. Each function is fused and lowered once
 * (`lower-function.ts`); calls are written out as launches, so that a program is one flat list and its memory is
 * planned as a whole.
 *
 *     lowerModule(module, { name: 'step', donated: [true, false], precision: 'fast' }).kernels
 */
import { reservedBytes } from '../base/arena.ts';
import { type Dim, type SymbolRange, symbolsOf } from '../base/dim.ts';
import type { Kernel } from '../ir/kernel.ts';
import { kernelKey } from '../ir/kernel-print.ts';
import type { FusionRefusal, Launch, Lowered } from '../ir/lowered.ts';
import { type Func, type Module, mainOf, type Value } from '../ir/types.ts';
import { nothing, type Without } from './features.ts';
import { estimate } from './fuse/graph-uses.ts';
import { type FusionTarget, wasmTarget } from './fuse/target.ts';
import { type FunctionLaunch, type LoweredFunction, lowerFunction } from './lower-function.ts';
import { orderLaunches } from './plan/order-launches.ts';
import { bytesOf, planMemory } from './plan/plan-memory.ts';
import { planPrepared } from './prepare/plan-prepared.ts';

export interface LowerOptions {
  readonly name: string;
  /** For each parameter, whether the caller gives its buffer up. */
  readonly donated: readonly boolean[];
  /**
   * For each parameter, whether it is the same at every call, mostly: then what follows from such parameters and
   * constants alone is computed once. Without it, nothing is.
   */
  readonly held?: readonly boolean[];
  /** Operations and bytes that keeping a value from call to call must save at each. */
  readonly leastSaved?: number;
  /** Both give the same kernels but for floats of 16 bits, which `strict` rounds after each op. */
  readonly precision: 'fast' | 'strict';
  /** `none`: one kernel for each op. */
  readonly fusion?: 'full' | 'none';
  /** What the kernels will run on; WASM unless given. */
  readonly target?: FusionTarget;
  /** Features of fusion, lowering and planning that are left out. */
  readonly without?: Without;
}

export function lowerModule(module: Module, options: LowerOptions): Lowered {
  const { graph } = mainOf(module);
  const { without = nothing } = options;
  const { main, refusals } = lowerFunctions(module, options);
  const [once, always] = [true, false].map((prepares) =>
    main.launches.filter((launch) => (launch.prepares ?? false) === prepares),
  );
  const readLater = always.flatMap(({ lowered }) => lowered.reads);
  const ordered = without.has('plan/order')
    ? [...once, ...always]
    : [
        ...orderForMemory(once, readLater, graph.parameters, []),
        ...orderForMemory(always, main.results, graph.parameters, options.donated),
      ];
  const launches = ordered.map(({ lowered }) => lowered);
  const plan = planMemory({
    parameters: graph.parameters,
    donated: options.donated,
    results: graph.results.map(({ type }, at) => ({ value: main.results[at], type })),
    constantOf: (value) => main.constants.get(value),
    launches,
    prepareLaunches: once.length,
    inPlace: !without.has('plan/inPlace'),
  });
  const kernels = new KernelTable(!without.has('lower/equalKernels'));
  const numbers = launches.map((launch, at) =>
    kernels.add((plan.inPlaceVariants.has(at) && launch.inPlaceVariant?.kernel) || launch.kernel),
  );
  const isKept = !without.has('prepare/values');
  return {
    name: options.name,
    symbols: symbolsOfFunctions(module.functions),
    inputs: graph.parameters.map(({ type }, at) => ({
      type,
      donated: options.donated[at] ?? false,
      held: isKept && (options.held?.[at] ?? false),
    })),
    outputs: plan.outputs,
    constants: plan.constants,
    prepared: plan.prepared,
    temporaries: plan.temporaries,
    ...(plan.arenaBytes !== undefined && { arenaBytes: plan.arenaBytes }),
    kernels: kernels.all,
    launches: numbers.map((kernel, at): Launch => ({ kernel, buffers: plan.bindings[at] })),
    prepareLaunches: once.length,
    report: {
      opCount: main.opCount,
      groups: ordered.map(({ account, block, prepares }, launch) => ({
        ...account,
        kernel: numbers[launch],
        launch,
        ...(block && { block }),
        ...(prepares && { prepares }),
      })),
      refusals,
    },
  };
}

/** The entered function with all calls written out, and the refusals of all functions, each counted once. */
function lowerFunctions(
  module: Module,
  options: LowerOptions,
): { readonly main: LoweredFunction; readonly refusals: readonly FusionRefusal[] } {
  const lowered = new Map<string, LoweredFunction>();
  const refusals: FusionRefusal[] = [];
  const { fusion = 'full', target = wasmTarget, without = nothing, held, leastSaved } = options;
  const splits =
    held && planPrepared(module, { held, without, target, ...(leastSaved !== undefined && { leastSaved }) });
  const lower = (func: Func): LoweredFunction => {
    const split = splits?.get(func.name);
    const own = { fusion, target, without, precision: options.precision, ...(split && { split }) };
    const result = lowerFunction(func, lowered, own);
    lowered.set(func.name, result);
    for (const refusal of result.refusals) refusals.push(refusal);
    return result;
  };
  for (const func of module.functions) if (func.name !== module.main) lower(func);
  return { main: lower(mainOf(module)), refusals };
}

/** The launches in an order that keeps little alive at once. @param kept values that do not lie in the arena */
function orderForMemory(
  launches: readonly FunctionLaunch[],
  kept: Iterable<Value>,
  parameters: readonly Value[],
  donated: readonly boolean[],
): FunctionLaunch[] {
  const inArena = new Set(launches.flatMap(({ lowered }) => lowered.writes));
  for (const value of kept) inArena.delete(value);
  const givenUp = new Set(parameters.filter((_, at) => donated[at]));
  const order = orderLaunches({
    launches: launches.map(({ lowered }) => lowered),
    bytesOf: (value) => (inArena.has(value) ? reservedBytes(estimate(bytesOf(value.type))) : 0),
    isDonated: (value) => givenUp.has(value),
  });
  return order.map((at) => launches[at]);
}

/** Equal kernels once, in the order of their first launch; different ones have different names. */
class KernelTable {
  readonly all: Kernel[] = [];
  /** Copies of a launch share the kernel object, so that most need no key. */
  readonly #known = new Map<Kernel, number>();
  readonly #numbers = new Map<string, number>();
  readonly #named = new Map<string, number>();
  readonly #shares: boolean;

  constructor(shares: boolean) {
    this.#shares = shares;
  }

  add(kernel: Kernel): number {
    let number = this.#shares ? this.#known.get(kernel) : undefined;
    if (number === undefined) {
      number = this.#numberOf(kernel);
      this.#known.set(kernel, number);
    }
    return number;
  }

  #numberOf(kernel: Kernel): number {
    const key = kernelKey(kernel);
    let number = this.#shares ? this.#numbers.get(key) : undefined;
    if (number === undefined) {
      const namesakes = (this.#named.get(kernel.name) ?? 0) + 1;
      this.#named.set(kernel.name, namesakes);
      number = this.all.push(namesakes === 1 ? kernel : { ...kernel, name: `${kernel.name}.${namesakes}` }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

function symbolsOfFunctions(functions: readonly Func[]): SymbolRange[] {
  const dims = new Set<Dim>();
  const add = ({ type }: Value): void => {
    for (const size of type.shape) if (typeof size !== 'number') dims.add(size);
  };
  for (const { graph } of functions) {
    graph.parameters.forEach(add);
    for (const op of graph.ops) {
      op.results.forEach(add);
      if (op.opcode === 'dimension_size') dims.add(op.attributes.size);
    }
  }
  return symbolsOf(...dims);
}
