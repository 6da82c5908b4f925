/**
 * Functions to launches. Each function of a module is fused and lowered once, over its own values; where another calls
 * it, the launches are copied with the call's values in the place of its own. The kernels are the same objects in all
 * copies.
 *
 *     @block: launches [%x -> %h, %h -> %y]       @main: %1 = call %0 {@block};  %2 = call %1 {@block}
 *     @main:  launches [%0 -> h', h' -> y', y' -> h'', h'' -> y'']
 */
import { addDims, type Dim } from '../base/dim.ts';
import { internalError } from '../base/error.ts';
import type { FusionGroupReport, FusionRefusal } from '../ir/lowered.ts';
import { flopsOf } from '../ir/ops/index.ts';
import type { Func, Graph, Literal, Op, OpOf, Value } from '../ir/types.ts';
import { fuseGraph } from './fuse/fuse-graph.ts';
import { Refusals } from './fuse/refusals.ts';
import { partitionByOp } from './fuse/unfused.ts';
import { isInlineConstant } from './lower/emitter.ts';
import type { KernelGroup } from './lower/group.ts';
import { operationsOf } from './lower/kernel-operations.ts';
import type { LoweredGroup } from './lower/lower-group.ts';
import { type BoundedOptions, lowerBounded } from './lower-bounded.ts';
import { bytesOf } from './plan/plan-memory.ts';
import type { SplitGraph } from './prepare/split-graph.ts';

export interface LowerFunctionOptions extends BoundedOptions {
  readonly fusion: 'full' | 'none';
  /** The function as what is done once and what is done at every call. */
  readonly split?: SplitGraph;
}

/** What a launch computes, without its place in a program; one object for all copies of a launch. */
export type LaunchAccount = Omit<FusionGroupReport, 'kernel' | 'launch' | 'block' | 'prepares'>;

export interface FunctionLaunch {
  /** Over the values of the function that the launch stands in. */
  readonly lowered: LoweredGroup;
  readonly account: LaunchAccount;
  /** The called function that the launch comes from, and which of its calls. */
  readonly block?: { readonly function: string; readonly call: number };
  /** It computes what is kept from call to call of the program, from what is the same at each. */
  readonly prepares?: true;
}

export interface LoweredFunction {
  /**
   * In the order in which they run, but that those which prepare come first; those of calls stand where the calls do.
   */
  readonly launches: readonly FunctionLaunch[];
  /** For each result the value in whose memory it lies: written by a launch, a parameter or a constant. */
  readonly results: readonly Value[];
  /** Arrays that launches read, in this function and those it calls. */
  readonly constants: ReadonlyMap<Value, Literal>;
  /** Of this function alone. */
  readonly refusals: readonly FusionRefusal[];
  /** Ops that are computed, those of calls included, constants left out. */
  readonly opCount: number;
  readonly parameters: readonly Value[];
}

/**
 * Fuses and lowers one function.
 * @param callees the functions that it calls, lowered
 */
export function lowerFunction(
  { graph }: Func,
  callees: ReadonlyMap<string, LoweredFunction>,
  options: LowerFunctionOptions,
): LoweredFunction {
  const { split } = options;
  const expansion = new Expansion(callees, literalsOf(graph));
  const before = split && expandGraph(split.prepare, expansion, options, true);
  const { refusals, results } = expandGraph(split?.main ?? graph, expansion, options, false);
  return {
    launches: expansion.launches,
    results,
    constants: expansion.constants,
    refusals: before ? [...before.refusals, ...refusals] : refusals,
    opCount: expansion.opCount + graph.ops.filter(({ opcode }) => opcode !== 'constant' && opcode !== 'call').length,
    parameters: graph.parameters,
  };
}

/**
 * Fuses and lowers a graph, and adds its launches and those of its calls. @param prepares whether it is run only once
 */
function expandGraph(
  graph: Graph,
  expansion: Expansion,
  options: LowerFunctionOptions,
  prepares: boolean,
): Pick<LoweredFunction, 'refusals' | 'results'> {
  const partition =
    options.fusion === 'none' ? partitionByOp(graph) : fuseGraph(graph, options.without, options.target);
  const refusals = new Refusals(partition.refusals);
  const own = partition.groups.map((group) =>
    lowerBounded(group, options, refusals).map(({ part, lowered }) => ({ lowered, account: accountOf(part, lowered) })),
  );
  let done = 0;
  const runUntil = (end: number): void => {
    for (; done < end; done++) {
      for (const launch of own[done]) expansion.add(prepares ? { ...launch, prepares } : launch);
    }
  };
  for (const { op, after } of partition.calls) {
    runUntil(after);
    expansion.call(op, partition.storageOf, prepares);
  }
  runUntil(own.length);
  return {
    refusals: refusals.all,
    results: graph.results.map((result) => expansion.resolve(partition.storageOf(result))),
  };
}

type Renaming = (value: Value) => Value;

/** The launches of a function while calls are written out. */
class Expansion {
  readonly launches: FunctionLaunch[] = [];
  readonly constants: Map<Value, Literal>;
  opCount = 0;
  readonly #callees: ReadonlyMap<string, LoweredFunction>;
  /** What results of calls are among the values of the launches. */
  readonly #made = new Map<Value, Value>();
  readonly #calls = new Map<string, number>();

  constructor(callees: ReadonlyMap<string, LoweredFunction>, constants: Map<Value, Literal>) {
    this.#callees = callees;
    this.constants = constants;
  }

  readonly resolve: Renaming = (value) => this.#made.get(value) ?? value;

  add(launch: FunctionLaunch): void {
    this.launches.push({ ...launch, lowered: renamed(launch.lowered, this.resolve) });
  }

  /**
   * Copies the launches of a callee. Constants are the same in all copies; all else that is its own is not.
   * @param prepares whether all that the callee does is done only once
   */
  call({ attributes, operands, results }: OpOf<'call'>, storageOf: Renaming, prepares: boolean): void {
    const { function: name } = attributes;
    const callee = this.#callees.get(name);
    if (!callee) throw internalError(`call of @${name}, which was not lowered before`);
    const call = this.#calls.get(name) ?? 0;
    this.#calls.set(name, call + 1);
    const own = new Map<Value, Value>();
    callee.parameters.forEach((parameter, at) => {
      own.set(parameter, this.resolve(storageOf(operands[at])));
    });
    for (const [value, literal] of callee.constants) {
      own.set(value, value);
      this.constants.set(value, literal);
    }
    const rename: Renaming = (value) => {
      let copy = own.get(value);
      if (!copy) {
        copy = { type: value.type };
        own.set(value, copy);
      }
      return copy;
    };
    for (const { lowered, account, block, prepares: once } of callee.launches) {
      this.launches.push({
        lowered: renamed(lowered, rename),
        account,
        block: block ?? { function: name, call },
        ...((prepares || once) && { prepares: true }),
      });
    }
    results.forEach((result, at) => {
      this.#made.set(result, rename(callee.results[at]));
    });
    this.opCount += callee.opCount;
  }
}

function renamed(group: LoweredGroup, rename: Renaming): LoweredGroup {
  const { kernel, reads, writes, after, inPlaceVariant: variant } = group;
  const copy = {
    kernel,
    reads: reads.map(rename),
    writes: writes.map(rename),
    ...(after && { after: after.map(rename) }),
  };
  if (!variant) return copy;
  const inPlaceVariant = {
    kernel: variant.kernel,
    reads: variant.reads.map(rename),
    writes: variant.writes.map(rename),
    operand: rename(variant.operand),
  };
  return { ...copy, inPlaceVariant };
}

function literalsOf({ ops }: Graph): Map<Value, Literal> {
  const literals = new Map<Value, Literal>();
  for (const op of ops)
    if (op.opcode === 'constant' && !isInlineConstant(op)) literals.set(op.results[0], op.attributes.value);
  return literals;
}

const sum = (dims: readonly Dim[]): Dim => dims.reduce<Dim>(addDims, 0);
const totalBytes = (values: readonly Value[]): Dim => sum(values.map(({ type }) => bytesOf(type)));

function accountOf(group: KernelGroup, { kernel, reads, writes }: LoweredGroup): LaunchAccount {
  const ops = group.ops.filter((op) => op.opcode !== 'constant');
  const alone = (op: Op): Dim => addDims(totalBytes(op.operands), totalBytes(op.results));
  return {
    ops,
    reads,
    writes,
    bytesBefore: sum(ops.map(alone)),
    bytesAfter: addDims(totalBytes(reads), totalBytes(writes)),
    flopsBefore: sum(ops.map(flopsOf)),
    flopsAfter: operationsOf(kernel),
  };
}
