/**
 * A fusion group becomes a kernel: loops around the scalars of its outputs.
 *
 *     group { ops [multiply, add], nest over f32[8,4] }  ->  parallel i { parallel j { load, load, multiply, ... store } }
 *
 * A kernel is emitted once to see which axes reshapes want to split, and again with those axes as several loops, so
 * that indices stay linear; afterwards loops that always move together become one (`loops.ts`).
 */
import { type Dim, dimProduct } from '../../base/dim.ts';
import type { Kernel, KernelBuffer, ScalarId } from '../../ir/kernel.ts';
import type { Op, Value } from '../../ir/types.ts';
import type { Without } from '../features.ts';
import type { AxisSplits } from './body.ts';
import { Emitter } from './emitter.ts';
import {
  type KernelGroup,
  type LoopNest,
  type Nest,
  type NestOutput,
  type ScatterNest,
  type UpdateNest,
  writtenBy,
} from './group.ts';
import { dropStoredRoundings } from './half-stores.ts';
import { findInPlacePairs } from './in-place.ts';
import { type Index, zeroIndex } from './index-algebra.ts';
import { joinRunningRows } from './join-rows.ts';
import { collapseLoops, findSplits } from './loops.ts';
import { mergeReduces } from './merge-reduces.ts';
import { shareScratch } from './share-scratch.ts';
import { emitScatter, emitUpdate } from './updates.ts';

export interface LowerGroupOptions {
  /** Whether floats of 16 bits are rounded after each op, or only where they are stored. */
  readonly precision: 'fast' | 'strict';
  /** Features of lowering that are left out. */
  readonly without: Without;
}

export interface LoweredGroup {
  readonly kernel: Kernel;
  /** What the kernel's buffers are: values read, then values written. */
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  /** What other launches have to have written before, though this one does not read it. */
  readonly after?: readonly Value[];
  /** The same without a copy of `operand`, for when the operand's memory becomes the result's. */
  readonly inPlaceVariant?: Omit<LoweredGroup, 'inPlaceVariant'> & { readonly operand: Value };
}

/**
 * Lowers a group.
 * @returns `undefined` when every output is empty, so that there is nothing to run
 */
export function lowerGroup(group: KernelGroup, options: LowerGroupOptions): LoweredGroup | undefined {
  const producers = new Map<Value, Op>();
  for (const op of group.ops) for (const result of op.results) producers.set(result, op);
  const lowered = finishGroup(group, producers, options);
  const nest = updatingNest(group, producers);
  if (!lowered || !nest) return lowered;
  const [operand] = nest.op.operands;
  if (!lowered.reads.includes(operand)) return lowered;
  const variant = finishGroup({ ...group, nests: [nest] }, producers, options);
  if (!variant || variant.reads.includes(operand)) return lowered;
  return { ...lowered, inPlaceVariant: { ...variant, operand } };
}

/** The nest that changes its operand where it lies, for a group that is one scatter or one update of a slice. */
function updatingNest(group: KernelGroup, producers: ReadonlyMap<Value, Op>): ScatterNest | UpdateNest | undefined {
  const [nest] = group.nests;
  if (group.nests.length > 1) return undefined;
  if (nest.kind === 'scatter') return { ...nest, inPlace: true };
  if (nest.kind === 'update' || nest.outputs.length > 1) return undefined;
  const op = producers.get(nest.outputs[0].value);
  return op?.opcode === 'dynamic_update_slice' ? { kind: 'update', op } : undefined;
}

function finishGroup(
  group: KernelGroup,
  producers: ReadonlyMap<Value, Op>,
  { without, precision }: LowerGroupOptions,
): LoweredGroup | undefined {
  const first = emitGroup(group, producers, new Map(), precision);
  if (first.kernel.body.every((node) => node.kind === 'let')) return undefined;
  const splits = findSplits(first.kernel.body);
  const emitted = splits.size > 0 ? emitGroup(group, producers, splits, precision) : first;
  const nodes = emitted.kernel.body;
  const body = collapseLoops(without.has('lower/mergeReduces') ? nodes : mergeReduces(nodes));
  const joined = joinRunningRows({ ...emitted.kernel, body });
  const kernel = findInPlacePairs(shareScratch(dropStoredRoundings(joined)));
  return { ...emitted, kernel };
}

function emitGroup(
  group: KernelGroup,
  producers: ReadonlyMap<Value, Op>,
  splits: AxisSplits,
  precision: LowerGroupOptions['precision'],
): LoweredGroup {
  const emitter = new Emitter({ inlined: (value) => producers.get(value) }, splits, precision);
  const writes = [...new Set(group.nests.flatMap(writtenBy))];
  const outputs = new Map(writes.map((value, at) => [value, `y${at}`]));
  const nameOf = (value: Value): string => outputs.get(value) ?? '';
  for (const nest of group.nests) emitNest(nest, nameOf, emitter);
  const reads = emitter.reads;
  const combines = group.nests.some(
    (nest) =>
      nest.kind === 'update' || (nest.kind === 'scatter' && (nest.inPlace || nest.op.attributes.kind !== 'assign')),
  );
  const buffers = [
    ...reads.map((value): KernelBuffer => buffer(emitter.bufferOf(value), 'read', value)),
    ...writes.map((value): KernelBuffer => buffer(nameOf(value), combines ? 'read_write' : 'write', value)),
  ];
  const independent = group.nests.length > 1;
  const body = emitter.body.root.nodes;
  const kernel: Kernel = { name: kernelName(group.ops), buffers, scratch: emitter.scratch, body, independent };
  return { kernel, reads, writes };
}

const buffer = (name: string, access: KernelBuffer['access'], { type }: Value): KernelBuffer => ({
  name,
  dtype: type.dtype,
  access,
  size: dimProduct(type.shape),
});

/** The opcodes that say what a kernel is, such as `dot_general_add_tanh`; the longest runs are cut. */
function kernelName(ops: readonly Op[]): string {
  const dull = new Set<string>([
    'constant',
    'broadcast_in_dim',
    'reshape',
    'convert',
    'iota',
    'dimension_size',
    'optimization_barrier',
  ]);
  const told = ops.filter((op) => !dull.has(op.opcode));
  const names = (told.length > 0 ? told : ops).map((op) =>
    op.opcode === 'reduce' ? `reduce_${op.attributes.kind}` : op.opcode,
  );
  const distinct = names.filter((name, at) => name !== names[at - 1]);
  return distinct.length <= 6 ? distinct.join('_') : `${distinct.slice(0, 5).join('_')}_${distinct.length - 5}_more`;
}

function emitNest(nest: Nest, nameOf: (value: Value) => string, emitter: Emitter): void {
  emitter.beginNest(nest.kind === 'loops' ? nest.scratch : undefined);
  if (nest.kind === 'scatter') emitScatter(nest.op, nest.inPlace, nameOf(nest.op.results[0]), emitter);
  else if (nest.kind === 'update') emitUpdate(nest.op, nameOf(nest.op.results[0]), emitter);
  else emitLoops(nest, nameOf, emitter);
}

function emitLoops(nest: LoopNest, nameOf: (value: Value) => string, emitter: Emitter): void {
  const outputs = nest.outputs.filter((output) => !output.value.type.shape.includes(0));
  if (outputs.length === 0) return;
  emitter.body.loops(
    'parallel',
    nest.axes,
    (outer) => {
      for (const together of groupByInnerAxes(outputs, nest.apart ?? false)) {
        emitter.body.loops('parallel', innerExtents(together[0]), (inner) => {
          const stores = together.map((output) => {
            const indices = outputIndices(output, nest.axes, outer, inner, emitter);
            return { output, indices, value: emitter.emit(output.value, indices) };
          });
          for (const { output, indices, value } of stores) emitStore(output, indices, value, nameOf, emitter);
        });
      }
    },
    { together: nest.form === 'contraction', always: true },
  );
}

const innerExtents = ({ value, axes }: NestOutput): Dim[] =>
  value.type.shape.filter((size, axis) => axes[axis] === undefined && size !== 1);

/** Outputs that share inner loops stand together, unless `apart`; those without inner loops come first. */
function groupByInnerAxes(outputs: readonly NestOutput[], apart: boolean): readonly (readonly NestOutput[])[] {
  const groups = new Map<string, NestOutput[]>();
  for (const [at, output] of outputs.entries()) {
    const extents = innerExtents(output).join(',');
    const key = apart && extents !== '' ? `${extents} of ${at}` : extents;
    const group = groups.get(key);
    if (group) group.push(output);
    else groups.set(key, [output]);
  }
  return [...groups].sort(([a], [b]) => Number(a !== '') - Number(b !== '')).map(([, group]) => group);
}

function outputIndices(
  { value, axes }: NestOutput,
  extents: readonly Dim[],
  outer: readonly Index[],
  inner: readonly Index[],
  { body }: Emitter,
): Index[] {
  let next = 0;
  return value.type.shape.map((size, axis) => {
    if (size === 1) return zeroIndex;
    const loops = axes[axis];
    if (!loops) return inner[next++];
    return body.algebra.linearize(
      loops.map((loop) => outer[loop]),
      loops.map((loop) => extents[loop]),
    );
  });
}

function emitStore(
  { value, part }: NestOutput,
  indices: readonly Index[],
  id: ScalarId,
  nameOf: (value: Value) => string,
  { body }: Emitter,
): void {
  const target = part?.of ?? value;
  const at = part ? indices.with(part.axis, body.algebra.shift(indices[part.axis], part.offset)) : indices;
  const index = body.algebra.linearize(at, target.type.shape);
  body.store({ memory: nameOf(target), index, value: id, combine: 'assign' });
}
