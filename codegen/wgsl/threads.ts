/**
 * The schedule that takes every kernel: a thread for each iteration of the outer parallel loops, which does all that is
 * inside by itself. Where the innermost of them moves through memory element by element, a thread does four of its
 * iterations at once, with loads and stores of four elements. What is in no parallel loop is done by one thread.
 *
 *     parallel i < M { parallel j < N { ... } }    thread = i * N + j; neighbours in j are neighbours in memory
 */
import { addDims, ceilDivDims, type Dim, dimProduct, equalDims, isStatic, modDims, mulDims } from '../../base/dim.ts';
import type { Axis, KernelNode, Store } from '../../ir/kernel.ts';
import type { Unit } from '../common/units.ts';
import { walk } from '../common/walk.ts';
import { Body, type LaneAxis, type Lanes } from './body.ts';
import { planLanes } from './lanes.ts';
import { nameOfAxis, nameOfScratch } from './names.ts';
import { type BufferUse, type ScheduleContext, type Stage, usualWorkgroup } from './schedule.ts';
import { globalScratch, variableScratch } from './scratch.ts';
import type { Shader } from './shader.ts';
import { scalarType } from './storage.ts';

/** Elements of scratch arrays that a thread keeps to itself; more lie in memory. */
const mostPrivateElements = 64;
/** Words of scratch memory that all threads together may take, and how many threads share it where sizes vary. */
const mostScratchWords = 2 ** 24;
const threadsWithScratch = 4096;
/** With reductions inside, four rows a thread only from so many rows on. */
const leastReducedThreads = 32_768;

interface Nest {
  readonly axes: readonly Axis[];
  readonly inside: readonly KernelNode[];
}

/** The outer parallel loops, and what is in the innermost of them. */
export function nestOf(nodes: readonly KernelNode[]): Nest {
  const axes: Axis[] = [];
  let inside = nodes;
  for (let [only] = inside; inside.length === 1 && only.kind === 'loop' && only.mode === 'parallel'; [only] = inside) {
    if (only.carried && only.carried.length > 0) break;
    axes.push(only.axis);
    inside = only.body;
  }
  return { axes, inside };
}

export function planThreads(unit: Unit, context: ScheduleContext): Stage {
  const { axes, inside } = nestOf(unit.nodes);
  const lanes = lanesOf(axes, inside, context);
  const extents = axes.map(({ extent }, at) => (lanes && at === axes.length - 1 ? ceilDivDims(extent, 4) : extent));
  const total = dimProduct(extents);
  const scratch = placeScratch(unit, total, context);
  const workgroupSize = axes.length === 0 ? 1 : isStatic(total) && total <= 64 * 132 ? 64 : usualWorkgroup;
  const items = scratch.threads ?? total;
  const emit = (shader: Shader): string => {
    const body = new Body(shader, context.facts, lanes?.axis);
    const scalars = scratch.declare(body, shader);
    body.nodes(unit.lets);
    if (axes.length === 0) {
      scalars('0');
      body.nodes(inside);
      return body.text;
    }
    const thread = body.unique('thread');
    body.line(`let ${thread} = i32(workgroup * ${workgroupSize}u + local);`);
    body.block(`if (${thread} >= ${shader.size(items)})`, () => body.line('return;'));
    scalars(thread);
    const work = (item: string): void => {
      bindAxes(body, axes, item, lanes ? 4 : 1);
      body.nodes(inside);
    };
    if (scratch.threads === undefined) work(thread);
    else {
      const item = body.unique('item');
      const step = shader.size(scratch.threads);
      body.block(`for (var ${item} = ${thread}; ${item} < ${shader.size(total)}; ${item} += ${step})`, () =>
        work(item),
      );
    }
    return body.text;
  };
  return {
    workgroups: axes.length === 0 ? 1 : ceilDivDims(items, workgroupSize),
    workgroupSize,
    use: useOf(unit, lanes),
    guardsWorkgroups: axes.length > 0,
    emit,
  };
}

/**
 * Takes the number of an iteration apart into counters, the last axis fastest.
 * @param lanes iterations of the last axis that a thread does at once
 */
export function bindAxes(body: Body, axes: readonly Axis[], item: string, lanes: Lanes = 1): void {
  let rest = item;
  for (let at = axes.length - 1; at >= 0; at--) {
    const isLane = lanes === 4 && at === axes.length - 1;
    const size = (): string => body.shader.size(isLane ? ceilDivDims(axes[at].extent, 4) : axes[at].extent);
    const name = body.unique(nameOfAxis(axes[at].name));
    const counter = at === 0 ? rest : `${rest} % ${size()}`;
    body.line(`let ${name} = ${isLane ? `${at === 0 ? counter : `(${counter})`} * 4` : counter};`);
    body.axes.set(axes[at].name, name);
    if (at === 0) continue;
    const next = body.unique('rest');
    body.line(`let ${next} = ${rest} / ${size()};`);
    rest = next;
  }
}

interface ThreadLanes {
  readonly axis: LaneAxis;
  readonly reads: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
}

function lanesOf(
  axes: readonly Axis[],
  inside: readonly KernelNode[],
  { kernel, scratchArrays }: ScheduleContext,
): ThreadLanes | undefined {
  const last = axes[axes.length - 1];
  if (!last) return undefined;
  const nodes = [...walk(inside)];
  const usesScratch = nodes.some((node) => node.kind === 'store' && scratchArrays.has(node.memory));
  if (usesScratch) return undefined;
  const isRagged = !equalDims(modDims(last.extent, 4), 0);
  if (isRagged && (axes.length > 1 || !nodes.every((node) => node.kind !== 'store' || fillsBuffer(node))))
    return undefined;
  const total = dimProduct(axes.map(({ extent }) => extent));
  const isReduced = nodes.some(({ kind }) => kind === 'reduce');
  if (isReduced && isStatic(total) && total < 4 * leastReducedThreads) return undefined;
  const memories = new Set(kernel.buffers.map(({ name }) => name));
  const plan = planLanes(inside, last.name, last.extent, memories);
  return plan && { ...plan, axis: { axis: last.name, ...(isRagged && { ragged: last.extent }) } };

  /** Whether a store goes through a buffer from its first element to its last: what lies behind is nobody's. */
  function fillsBuffer({ memory, index }: Store): boolean {
    const size = kernel.buffers.find(({ name }) => name === memory)?.size;
    return size !== undefined && equalDims(size, last.extent) && equalDims(index.offset, 0) && index.terms.length === 1;
  }
}

function useOf(unit: Unit, lanes: ThreadLanes | undefined): BufferUse {
  const stored = new Set<string>();
  for (const node of walk(unit.nodes)) if (node.kind === 'store') stored.add(node.memory);
  if (lanes) return { vectorReads: lanes.reads, vectorWrites: lanes.writes, scalarWrites: new Set() };
  return { vectorReads: new Set(), vectorWrites: new Set(), scalarWrites: stored };
}

interface PlacedScratch {
  /** How many threads there are, where not one for each iteration. */
  readonly threads?: Dim;
  /** Declares the arrays; what it gives is told the number of the thread. */
  declare(body: Body, shader: Shader): (thread: string) => void;
}

/** Small scratch arrays are variables of the thread; others lie in memory, element by element of all threads. */
function placeScratch(unit: Unit, total: Dim, { scratchArrays, scratch }: ScheduleContext): PlacedScratch {
  const used = new Set<string>();
  for (const node of walk(unit.nodes)) {
    if (node.kind === 'store' && scratchArrays.has(node.memory)) used.add(node.memory);
  }
  const arrays = [...scratchArrays.values()].filter(({ name }) => used.has(name));
  if (arrays.length === 0) return { declare: () => () => undefined };
  const isPrivate = arrays.every(({ size }) => isStatic(size) && size <= mostPrivateElements);
  if (isPrivate) {
    return {
      declare: (body) => {
        for (const { name, dtype, size } of arrays) {
          const variable = body.unique(nameOfScratch(name));
          body.line(`var ${variable}: array<${scalarType(dtype)}, ${Math.max(1, Number(size))}>;`);
          body.scratch.set(name, variableScratch(dtype, variable));
        }
        return () => undefined;
      },
    };
  }
  const words = arrays.reduce<Dim>((sum, { size }) => addDims(sum, size), 0);
  const threads = threadsFor(total, words);
  const places = arrays.map(({ size }) => scratch.allocate(mulDims(size, threads)));
  return {
    threads,
    declare: (body, shader) => (thread) => {
      arrays.forEach(({ name, dtype }, i) => {
        const start = shader.size(places[i]);
        const step = shader.size(threads);
        body.scratch.set(
          name,
          globalScratch(shader, dtype, (index) => `${start} + (${index}) * ${step} + ${thread}`),
        );
      });
    },
  };
}

function threadsFor(total: Dim, words: Dim): Dim {
  if (!isStatic(total) || !isStatic(words)) return threadsWithScratch;
  return Math.max(1, Math.min(total, Math.max(64, Math.floor(mostScratchWords / words))));
}
