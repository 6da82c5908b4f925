/**
 * From an optimised module to kernels, launches and a memory plan. The module has been inlined: only its main function
 * is looked at.
 *
 *     lowerModule(module, { name: 'step', donated: [true, false], precision: 'fast' }).kernels
 */
import { addDims, type Dim, type SymbolRange, symbolsOf } from '../base/dim.ts';
import { internalError } from '../base/error.ts';
import type { Kernel } from '../ir/kernel.ts';
import { kernelKey } from '../ir/kernel-print.ts';
import type { FusionGroupReport, FusionRefusal, Launch, Lowered } from '../ir/lowered.ts';
import { flopsOf } from '../ir/ops/index.ts';
import { type Graph, type Literal, type Module, mainOf, type Op, type Value } from '../ir/types.ts';
import { nothing, type Without } from './features.ts';
import { fuseGraph } from './fuse/fuse-graph.ts';
import { groupsByOp, partitionByOp } from './fuse/unfused.ts';
import { isInlineConstant } from './lower/emitter.ts';
import { type KernelGroup, writtenBy } from './lower/group.ts';
import { forEachNode } from './lower/loops.ts';
import { type LoweredGroup, lowerGroup } from './lower/lower-group.ts';

import { bytesOf, planMemory } from './plan/plan-memory.ts';

/** Nodes of a kernel above which its code would be a burden. Fusion's bounds on ops keep nearly all far below. */
const mostNodes = 4000;

export interface LowerOptions {
  readonly name: string;
  /** For each parameter, whether the caller gives its buffer up. */
  readonly donated: readonly boolean[];
  /** Both give the same kernels: fusing changes no bits. */
  readonly precision: 'fast' | 'strict';
  /** `none`: one kernel for each op. */
  readonly fusion?: 'full' | 'none';
  /** Nodes of a kernel above which its group is taken apart again; `mostNodes` unless given. */
  readonly mostNodes?: number;
  /** Features of fusion, lowering and planning that are left out. */
  readonly without?: Without;
}

export function lowerModule(module: Module, options: LowerOptions): Lowered {
  const { graph } = mainOf(module);
  const call = graph.ops.find((op) => op.opcode === 'call');
  if (call) throw internalError('calls are inlined before lowering');
  const { mostNodes: most = mostNodes, without = nothing } = options;
  const partition = options.fusion === 'none' ? partitionByOp(graph) : fuseGraph(graph, without);
  const refusals = [...partition.refusals];
  const lowered = partition.groups.flatMap((group) => lowerBounded(group, { most, without }, refusals));
  const launches = lowered.map(({ result }) => result);
  const plan = planMemory({
    parameters: graph.parameters,
    donated: options.donated,
    results: graph.results.map((result) => ({ value: partition.storageOf(result), type: result.type })),
    constantOf: constantsOf(graph),
    launches,
    inPlace: !without.has('plan/inPlace'),
  });
  const kernels = new KernelTable(!without.has('lower/equalKernels'));
  const numbers = launches.map((launch, at) =>
    kernels.add((plan.inPlaceVariants.has(at) && launch.inPlaceVariant?.kernel) || launch.kernel),
  );
  return {
    name: options.name,
    symbols: symbolsOfGraph(graph),
    inputs: graph.parameters.map(({ type }, at) => ({ type, donated: options.donated[at] ?? false })),
    outputs: plan.outputs,
    constants: plan.constants,
    temporaries: plan.temporaries,
    ...(plan.arenaBytes !== undefined && { arenaBytes: plan.arenaBytes }),
    kernels: kernels.all,
    launches: numbers.map((kernel, at): Launch => ({ kernel, buffers: plan.bindings[at] })),
    report: {
      opCount: graph.ops.filter((op) => op.opcode !== 'constant').length,
      groups: lowered.map(({ group, result }, launch) => groupReport(group, result, numbers[launch], launch)),
      refusals,
    },
  };
}

interface LoweredPart {
  readonly group: KernelGroup;
  readonly result: LoweredGroup;
}

/** Lowers a group to one kernel, or to one for each op if that kernel came out too large. */
function lowerBounded(
  group: KernelGroup,
  { most, without }: { readonly most: number; readonly without: Without },
  refusals: FusionRefusal[],
): readonly LoweredPart[] {
  const result = lowerGroup(group, without);
  if (!result) return [];
  let nodes = 0;
  forEachNode(result.kernel.body, () => nodes++);
  if (nodes <= most || group.ops.length === 1) return [{ group, result }];
  const wanted = new Set(group.nests.flatMap(writtenBy));
  const parts = groupsByOp(withOwnValues(group.ops, wanted), wanted);
  const producers = new Map(group.ops.flatMap((op) => op.results.map((value) => [value, op] as const)));
  for (const consumer of group.ops) {
    for (const operand of consumer.operands) {
      const producer = producers.get(operand);
      if (!producer || producer.opcode === 'constant') continue;
      refusals.push({ producer, consumer, rule: 'code-size', detail: `the kernel came out with ${nodes} nodes` });
    }
  }
  return parts.flatMap((part) => {
    const lowered = lowerGroup(part, without);
    return lowered ? [{ group: part, result: lowered }] : [];
  });
}

/** Copies of ops with values of their own, so that what other groups compute too is stored apart. */
function withOwnValues(ops: readonly Op[], kept: ReadonlySet<Value>): Op[] {
  const own = new Map<Value, Value>();
  return ops.map((op) => {
    const operands = op.operands.map((operand) => own.get(operand) ?? operand);
    const results = op.results.map((result) => (kept.has(result) ? result : { ...result }));
    op.results.forEach((result, at) => {
      own.set(result, results[at]);
    });
    return { ...op, operands, results };
  });
}

/** Equal kernels once, in the order of their first launch; different ones have different names. */
class KernelTable {
  readonly all: Kernel[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #named = new Map<string, number>();
  readonly #shares: boolean;

  constructor(shares: boolean) {
    this.#shares = shares;
  }

  add(kernel: Kernel): number {
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

function constantsOf({ ops }: Graph): (value: Value) => Literal | undefined {
  const literals = new Map<Value, Literal>();
  for (const op of ops)
    if (op.opcode === 'constant' && !isInlineConstant(op)) literals.set(op.results[0], op.attributes.value);
  return (value) => literals.get(value);
}

function symbolsOfGraph(graph: Graph): SymbolRange[] {
  const dims = new Set<Dim>();
  const add = ({ type }: Value): void => {
    for (const size of type.shape) if (typeof size !== 'number') dims.add(size);
  };
  graph.parameters.forEach(add);
  for (const op of graph.ops) {
    op.results.forEach(add);
    if (op.opcode === 'dimension_size') dims.add(op.attributes.size);
  }
  return symbolsOf(...dims);
}

const sum = (dims: readonly Dim[]): Dim => dims.reduce<Dim>(addDims, 0);
const totalBytes = (values: readonly Value[]): Dim => sum(values.map(({ type }) => bytesOf(type)));

function groupReport(
  group: KernelGroup,
  { reads, writes }: LoweredGroup,
  kernel: number,
  launch: number,
): FusionGroupReport {
  const ops = group.ops.filter((op) => op.opcode !== 'constant');
  const alone = (op: Op): Dim => addDims(totalBytes(op.operands), totalBytes(op.results));
  return {
    kernel,
    launch,
    ops,
    bytesBefore: sum(ops.map(alone)),
    bytesAfter: addDims(totalBytes(reads), totalBytes(writes)),
    flops: sum(ops.map(flopsOf)),
  };
}
