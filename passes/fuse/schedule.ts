/**
 * From groups to kernels in running order. Groups that have nothing to do with each other and are cheap to launch
 * together become nests of one kernel: the parameter updates at the end of a training step, small reductions.
 *
 * Two groups at the same height (the longest way to the end of the program) can not depend on each other, whatever was
 * merged before, so that merging at equal heights makes no cycle.
 */
import { addDims, type Dim } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { type KernelGroup, type LoopNest, type Nest, type NestOutput, wholeNest } from '../lower/group.ts';
import { PriorityQueue } from '../priority-queue.ts';
import type { GraphAnalysis } from './analysis.ts';
import { haveCommonLoops, mergeGroups } from './common-loops.ts';
import type { FusionGroup } from './fusion-group.ts';
import type { Partition, PlacedCall } from './partition.ts';
import { scratchRows } from './scratch-rows.ts';
import type { FusionTarget } from './target.ts';
import type { ReduceTokens } from './view.ts';

export function scheduleGroups(
  groups: readonly FusionGroup[],
  analysis: GraphAnalysis,
  tokens: ReduceTokens,
): Pick<Partition, 'groups' | 'calls'> {
  const order = sortByDependence(groups);
  const heights = heightsOf(order);
  if (!analysis.without.has('fuse/joinReaders')) joinReaders(order, heights, analysis, tokens);
  const joined = order.filter((group) => group.current === group);
  const batches = batchSiblings(joined, heights, analysis);
  const scheduled: KernelGroup[] = [];
  const calls: PlacedCall[] = [];
  for (const batch of sortBatches(batches)) {
    const [{ call }] = batch;
    if (call) calls.push({ op: call, after: scheduled.length });
    else scheduled.push(kernelGroup(batch, analysis));
  }
  return { groups: scheduled, calls };
}

const successorsOf = (group: FusionGroup): Set<FusionGroup> =>
  new Set([...group.successors].map((other) => other.current));

/** Groups such that writers come before readers; otherwise in the order of the ops. */
function sortByDependence(groups: readonly FusionGroup[]): FusionGroup[] {
  return sortBatches(groups.map((group) => [group])).flat();
}

function sortBatches(batches: readonly (readonly FusionGroup[])[]): (readonly FusionGroup[])[] {
  const batchOf = new Map(batches.flatMap((batch) => batch.map((group) => [group, batch] as const)));
  const readers = new Map(
    batches.map((batch) => {
      const after = new Set(
        batch.flatMap((group) => [...successorsOf(group)].map((other) => batchOf.get(other) ?? batch)),
      );
      after.delete(batch);
      return [batch, after] as const;
    }),
  );
  const open = new Map(batches.map((batch) => [batch, 0]));
  for (const after of readers.values()) for (const other of after) open.set(other, (open.get(other) ?? 0) + 1);
  const position = (batch: readonly FusionGroup[]): number => Math.max(...batch.map((group) => group.lastMember));
  const ready = new PriorityQueue<readonly FusionGroup[]>();
  for (const [batch, count] of open) if (count === 0) ready.push(batch, position(batch));
  const sorted: (readonly FusionGroup[])[] = [];
  for (let batch = ready.pop(); batch; batch = ready.pop()) {
    sorted.push(batch);
    for (const other of readers.get(batch) ?? []) {
      const count = (open.get(other) ?? 0) - 1;
      open.set(other, count);
      if (count === 0) ready.push(other, position(other));
    }
  }
  if (sorted.length !== batches.length) throw internalError('fusion groups depend on each other in a circle');
  return sorted;
}

function heightsOf(order: readonly FusionGroup[]): ReadonlyMap<FusionGroup, number> {
  const heights = new Map<FusionGroup, number>();
  for (const group of [...order].reverse()) {
    let height = 0;
    for (const other of successorsOf(group)) height = Math.max(height, (heights.get(other) ?? 0) + 1);
    heights.set(group, height);
  }
  return heights;
}

/** Makes one group of siblings that run the same loops over the same memory, so that it is read once. */
function joinReaders(
  order: readonly FusionGroup[],
  heights: ReadonlyMap<FusionGroup, number>,
  analysis: GraphAnalysis,
  tokens: ReduceTokens,
): void {
  const readers = new Map<string, FusionGroup>();
  const numbers = new Map<Value, number>();
  for (const group of order) {
    for (const value of group.reads) {
      if (analysis.elementsOf(value) <= 1) continue;
      if (!numbers.has(value)) numbers.set(value, numbers.size);
      const { kind, domain, rows } = group;
      const loops = kind === 'rows' ? rows.map((token) => domain[token]) : domain;
      const key = `${heights.get(group)} ${numbers.get(value)} ${kind} ${loops}`;
      const partner = readers.get(key)?.current;
      if (partner && partner !== group.current && haveCommonLoops(partner, group.current, analysis)) {
        mergeGroups(partner, group.current, analysis, tokens);
      } else if (!partner) readers.set(key, group);
    }
  }
}

/** Puts siblings together that are the end of the program, or small. */
function batchSiblings(
  order: readonly FusionGroup[],
  heights: ReadonlyMap<FusionGroup, number>,
  analysis: GraphAnalysis,
): FusionGroup[][] {
  const open = new Map<number, { batch: FusionGroup[]; ops: number; buffers: Set<Value> }>();
  const batches: FusionGroup[][] = [];
  for (const group of likeWithLike(order)) {
    const height = heights.get(group) ?? 0;
    const buffers = [...group.reads, ...group.outputs.map(({ value }) => value)];
    const current = open.get(height);
    if (!mayShareKernel(group, buffers, analysis)) {
      batches.push([group]);
    } else if (current && fits(current, group, buffers, analysis.target)) {
      current.batch.push(group);
      current.ops += group.members.size;
      for (const value of buffers) current.buffers.add(value);
    } else {
      const batch = [group];
      batches.push(batch);
      open.set(height, { batch, ops: group.members.size, buffers: new Set(buffers) });
    }
  }
  return batches;
}

/** Groups of one form side by side, so that the layers of a network fill equal kernels. */
function likeWithLike(order: readonly FusionGroup[]): readonly FusionGroup[] {
  const forms = new Map<string, FusionGroup[]>();
  for (const group of order) {
    const form = `${group.kind} ${group.domain} ${group.outputs.length} ${group.members.size}`;
    const alike = forms.get(form);
    if (alike) alike.push(group);
    else forms.set(form, [group]);
  }
  return [...forms.values()].flat();
}

function mayShareKernel(group: FusionGroup, buffers: readonly Value[], analysis: GraphAnalysis): boolean {
  if (group.kind === 'scatter' || group.kind === 'contraction' || group.kind === 'call') return false;
  if (group.scratch) return false;
  if (analysis.without.has('fuse/batches')) return false;
  const isEnd = group.successors.size === 0;
  const traffic = buffers.reduce((bytes, value) => bytes + analysis.bytesOf(value), 0);
  return isEnd || traffic <= analysis.target.smallTraffic;
}

function fits(
  { ops, buffers }: { readonly ops: number; readonly buffers: ReadonlySet<Value> },
  group: FusionGroup,
  values: readonly Value[],
  { mostOps, mostBuffers }: FusionTarget,
): boolean {
  const added = values.filter((value) => !buffers.has(value)).length;
  return ops + group.members.size <= mostOps && buffers.size + added <= mostBuffers;
}

function kernelGroup(batch: readonly FusionGroup[], analysis: GraphAnalysis): KernelGroup {
  const members = [...new Set(batch.flatMap((group) => [...group.members]))].sort((a, b) => a - b);
  const nests = batch.flatMap((group) => (group.pieces ? pieceNests(group.pieces) : [nestOf(group, analysis)]));
  const after = [...new Set(batch.flatMap((group) => [...group.awaited]))];
  return { ops: members.map((position) => analysis.graph.ops[position]), nests, ...(after.length > 0 && { after }) };
}

function nestOf(group: FusionGroup, analysis: GraphAnalysis): Nest {
  const { kind, anchor, domain } = group;
  if (kind === 'scatter') return scatterNest(group);
  const every = domain.flatMap((size, token) => (size === 1 ? [] : [token]));
  const tokens = anchor ? anchor.axes.flat() : kind === 'rows' ? group.rows : every;
  const loopOf = new Map(tokens.map((token, loop) => [token, loop]));
  const outputs = group.outputs.map(({ value, axes }): NestOutput => {
    const loops = axes.map((axis) => {
      const walked = axis.map((token) => loopOf.get(token));
      return walked.every((loop) => loop !== undefined) ? walked : undefined;
    });
    return { value, axes: loops };
  });
  if (kind === 'call') throw internalError('a call is not lowered to a kernel');
  const axes = tokens.map((token) => domain[token]);
  const scratch = group.scratch ?? scratchRows(group, analysis);
  return { kind: 'loops', axes, form: kind, outputs, scratch, apart: group.scratch !== undefined } satisfies LoopNest;
}

function scatterNest(group: FusionGroup): Nest {
  if (group.scatter?.opcode !== 'scatter') throw internalError('a scatter group without its scatter');
  return { kind: 'scatter', op: group.scatter, inPlace: false };
}

/** A concatenation written part by part, each operand in loops of its own. */
function pieceNests(op: OpOf<'concatenate'>): Nest[] {
  const [of] = op.results;
  const { axis } = op.attributes;
  let offset: Dim = 0;
  return op.operands.map((operand): Nest => {
    const part = { of, axis, offset };
    offset = addDims(offset, operand.type.shape[axis]);
    const nest = wholeNest(operand, 'map');
    return { ...nest, outputs: nest.outputs.map((output) => ({ ...output, part })) };
  });
}
