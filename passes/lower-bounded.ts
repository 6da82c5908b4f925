/**
 * Lowers groups to kernels that the target takes. Fusion counts ops and buffers while a group grows, but only lowering
 * knows what a kernel comes out with; one that is too large, or binds more than the target lets it, is taken apart:
 *
 *     nests that stand side by side     each becomes a kernel of its own
 *     too many buffers                  its ops are fused anew, with a lower bound on buffers
 *     too many nodes, or nothing helps  a kernel for each op, which `splitWideOperations` has made possible
 */
import type { Graph, Op, Value } from '../ir/types.ts';
import { fuseGraph } from './fuse/fuse-graph.ts';
import type { Refusals } from './fuse/refusals.ts';
import type { Refusal } from './fuse/rules.ts';
import type { FusionTarget } from './fuse/target.ts';
import { groupsByOp } from './fuse/unfused.ts';
import { type KernelGroup, type Nest, writtenBy } from './lower/group.ts';
import { forEachNode } from './lower/loops.ts';
import { type LoweredGroup, type LowerGroupOptions, lowerGroup } from './lower/lower-group.ts';

export interface BoundedOptions extends LowerGroupOptions {
  readonly target: FusionTarget;
}

/** A group that has become a kernel. */
export interface BoundedGroup {
  readonly part: KernelGroup;
  readonly lowered: LoweredGroup;
}

/** Lowers a group to one kernel, or to as many as the target needs; none where all it writes is empty. */
export function lowerBounded(group: KernelGroup, options: BoundedOptions, refusals: Refusals): readonly BoundedGroup[] {
  const whole = lowerAlone(group, group, options);
  if (!whole) return [];
  const tooMuch = refusalOf(whole.lowered, options.target);
  if (!tooMuch || group.ops.length === 1) return [whole];
  if (tooMuch.rule === 'bindings') {
    const alone = nestsAlone(group);
    if (alone.length > 1) return alone.flatMap((part) => lowerBounded(part, options, refusals));
  }
  const written = new Set(group.nests.flatMap(writtenBy));
  const ops = withOwnValues(group.ops, written);
  refuseEdges(group, tooMuch, refusals);
  if (tooMuch.rule === 'bindings') {
    const fused = fuseAnew({ ...group, ops }, written, options);
    if (fused) return fused;
  }
  return groupsByOp(ops, written).flatMap((part) => lowerAlone(part, group, options) ?? []);
}

function lowerAlone(part: KernelGroup, { after }: KernelGroup, options: LowerGroupOptions): BoundedGroup | undefined {
  const lowered = lowerGroup(part, options);
  return lowered && { part, lowered: after ? { ...lowered, after } : lowered };
}

/** What of a kernel is more than the target takes. */
function refusalOf({ kernel, reads, writes }: LoweredGroup, target: FusionTarget): Refusal | undefined {
  const buffers = reads.length + writes.length;
  if (buffers > target.mostBuffers) return { rule: 'bindings', detail: `the kernel came out with ${buffers} buffers` };
  let nodes = 0;
  forEachNode(kernel.body, () => nodes++);
  if (nodes <= target.mostNodes) return undefined;
  return { rule: 'code-size', detail: `the kernel came out with ${nodes} nodes` };
}

function refuseEdges({ ops }: KernelGroup, refusal: Refusal, refusals: Refusals): void {
  const producers = new Map(ops.flatMap((op) => op.results.map((value) => [value, op] as const)));
  for (const consumer of ops) {
    for (const operand of consumer.operands) {
      const producer = producers.get(operand);
      if (producer && producer.opcode !== 'constant') refusals.add(producer, [consumer], refusal);
    }
  }
}

/** A group for each nest, with the ops that it needs; those that write parts of one value stay together. */
function nestsAlone({ ops, nests, after }: KernelGroup): readonly KernelGroup[] {
  const byOutput = new Map<string, Nest[]>();
  const numbers = new Map<Value, number>();
  for (const nest of nests) {
    const written = writtenBy(nest);
    for (const value of written) if (!numbers.has(value)) numbers.set(value, numbers.size);
    const key = written.map((value) => numbers.get(value)).join();
    byOutput.set(key, [...(byOutput.get(key) ?? []), nest]);
  }
  return [...byOutput.values()].map((own) => {
    const needed = new Set<Value>(own.flatMap((nest) => [...writtenBy(nest), ...valuesOf(nest)]));
    const kept = ops.toReversed().filter((op) => {
      const isNeeded = op.results.some((result) => needed.has(result));
      if (isNeeded) for (const operand of op.operands) needed.add(operand);
      return isNeeded;
    });
    return { ops: kept.reverse(), nests: own, ...(after && { after }) };
  });
}

const valuesOf = (nest: Nest): readonly Value[] =>
  nest.kind === 'loops' ? nest.outputs.map(({ value }) => value) : [];

/** Buffers less than the target takes, at most, that ops are fused for when they did not fit. */
const mostSpared = 3;

/** The ops of a group in kernels that the target takes, if fusion finds such. */
function fuseAnew(
  group: KernelGroup,
  written: ReadonlySet<Value>,
  options: BoundedOptions,
): readonly BoundedGroup[] | undefined {
  const graph = graphOf(group.ops, written);
  const { target, without } = options;
  for (let spared = 0; spared <= mostSpared; spared++) {
    const { groups } = fuseGraph(graph, without, { ...target, mostBuffers: target.mostBuffers - spared });
    const parts = groups.flatMap((part) => lowerAlone(part, group, options) ?? []);
    const wide = parts.filter(({ lowered }) => refusalOf(lowered, target));
    if (parts.length > 1 && wide.length === 0) return parts;
  }
  return undefined;
}

function graphOf(ops: readonly Op[], written: ReadonlySet<Value>): Graph {
  const own = new Set(ops.flatMap(({ results }) => results));
  const parameters = new Set(ops.flatMap(({ operands }) => operands).filter((operand) => !own.has(operand)));
  return { parameters: [...parameters], ops, results: [...written] };
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
