/**
 * What of a row the threads of a team share out among themselves, and what each of them does for itself: a sweep is a
 * parallel loop or a reduction whose iterations are dealt to the threads. Everything beside the sweeps is the same for
 * all threads of the row.
 *
 *     parallel i < M {
 *       reduce r < N { %0 = load x[N*i + r] } -> %1 = sum(%0)         a sweep
 *       %2 = multiply %1, %scale                                      done by every thread
 *       parallel j < N { ... store y[N*i + j] = %3 }                  a sweep; x and y are the thread's own
 *     }
 */
import type { Axis, IndexExpression, KernelNode, Loop, Reduce } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { axesOfIndex, indexKey, normalizeIndex, substituteAxes } from '../../common/linear-index.ts';
import { axesOf, bodyOf, walk, writtenBy } from '../../common/walk.ts';
import { type Scan, scanOf } from '../scan/match.ts';

export interface Sweep {
  readonly node: Loop | Reduce;
  /** Outermost first. */
  readonly axes: readonly Axis[];
  readonly body: readonly KernelNode[];
  /** Of a sequential loop, how its positions are combined. */
  readonly scan?: Scan;
}

/** A reduction with so many iterations inside each of its own leaves sharing out to what is inside. */
const leastInside = 32;

/** A node as a sweep, or `undefined` where every thread does it. */
export function sweepOf(node: KernelNode): Sweep | undefined {
  if (node.kind === 'reduce') {
    const nodes = [...walk(node.body)];
    const isOfRows = nodes.some((inner) => likelyCount(axesOf(inner)) >= leastInside);
    const isPlain = nodes.every(({ kind }) => kind === 'let' || kind === 'reduce' || kind === 'loop');
    return isOfRows || !isPlain ? undefined : { node, axes: node.axes, body: node.body };
  }
  if (node.kind !== 'loop') return undefined;
  if (node.mode === 'sequential') {
    const scan = scanOf(node);
    return scan && { node, axes: [node.axis], body: node.body, scan };
  }
  const axes = [node.axis];
  let { body } = node;
  for (let [only] = body; body.length === 1 && only.kind === 'loop' && only.mode === 'parallel'; [only] = body) {
    axes.push(only.axis);
    body = only.body;
  }
  return { node, axes, body };
}

const likelyCount = (axes: readonly Axis[]): number =>
  axes.length === 0 ? 0 : axes.reduce((count, { extent }) => count * likelyExtent(extent), 1);

export const likelySweep = ({ axes }: Sweep): number => likelyCount(axes);

/** Sweeps of equal extents deal the same positions to the same threads. */
export const groupOf = ({ axes, scan }: Sweep): string =>
  `${scan ? 'scan ' : ''}${axes.map(({ extent }) => String(extent)).join(',')}`;

/** All sweeps of a row, also those in what every thread repeats. */
export function* sweepsOf(nodes: readonly KernelNode[]): Generator<Sweep> {
  for (const node of nodes) {
    const sweep = sweepOf(node);
    if (sweep) yield sweep;
    else yield* sweepsOf(bodyOf(node));
  }
}

/** An index in which the axes of a sweep have numbers for names: equal in sweeps that read the same elements. */
export function keyInSweep(index: IndexExpression, { axes }: Pick<Sweep, 'axes'>): string {
  const numbered = new Map(
    axes.map(({ name }, i): [string, IndexExpression] => [
      name,
      { offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis: `#${i}` } }] },
    ]),
  );
  const { offset, terms } = normalizeIndex(substituteAxes(index, numbered));
  // The order of terms says nothing.
  const parts = terms.map((term) => indexKey({ offset: 0, terms: [term] })).sort();
  return [...parts, String(offset)].join(' + ');
}

const positionKey = keyInSweep(
  { offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis: '#0' } }] },
  { axes: [] },
);

interface Access {
  /** Without one, where the element does not follow from the row and the position in the sweep. */
  readonly key: string | undefined;
  readonly group: string | undefined;
  /** Whether it touches the element whatever comes, and nothing else. */
  readonly isPlain: boolean;
}

export interface Ownership {
  /** Written memory whose every element one thread alone touches: no thread waits for another because of it. */
  readonly own: ReadonlySet<string>;
  /** Of those, scratch arrays that are always accessed at the position that the sweep is at, and their sweeps. */
  readonly atPosition: ReadonlyMap<string, string>;
}

/** @param rowAxes axes around the row */
export function ownershipOf(
  nodes: readonly KernelNode[],
  scratch: ReadonlySet<string>,
  rowAxes: readonly Axis[],
): Ownership {
  const accesses = new Map<string, Access[]>();
  const written = new Set<string>();
  const keyOf = (index: IndexExpression, sweep: Sweep | undefined): string | undefined => {
    const axes = new Set([...rowAxes, ...(sweep?.axes ?? [])].map(({ name }) => name));
    return sweep && movesOnlyWith(index, axes) ? keyInSweep(index, sweep) : undefined;
  };
  const add = (memory: string, access: Access): void => {
    const list = accesses.get(memory);
    if (list) list.push(access);
    else accesses.set(memory, [access]);
  };
  const visit = (list: readonly KernelNode[]): void => {
    for (const node of list) {
      const sweep = sweepOf(node);
      const group = sweep && groupOf(sweep);
      for (const inner of sweep ? walk(sweep.body) : [node]) {
        for (const memory of writtenBy(inner)) written.add(memory);
        if (inner.kind === 'store') {
          const { index, combine, when } = inner;
          const key = keyOf(index, sweep);
          const isPlain = combine === 'assign' && when === undefined && sweep?.body.includes(inner) === true;
          add(inner.memory, { key, group, isPlain });
        } else if (inner.kind === 'let' && inner.expression.kind === 'load') {
          const { memory, index, when } = inner.expression;
          const key = keyOf(index, sweep);
          add(memory, { key, group, isPlain: when === undefined && sweep?.body.includes(inner) === true });
        }
      }
      if (!sweep) visit(bodyOf(node));
    }
  };
  visit(nodes);
  const own = new Set<string>();
  const atPosition = new Map<string, string>();
  for (const memory of written) {
    const [first, ...others] = accesses.get(memory) ?? [];
    if (first?.group === undefined || first.key === undefined) continue;
    if (!others.every(({ key, group }) => key === first.key && group === first.group)) continue;
    own.add(memory);
    if (
      first.key === positionKey &&
      !first.group.includes(',') &&
      scratch.has(memory) &&
      [first, ...others].every(({ isPlain }) => isPlain)
    ) {
      atPosition.set(memory, first.group);
    }
  }
  return { own, atPosition };
}

/** Memory that a node reads and writes, inside it too. */
export function memoryOf(node: KernelNode): {
  readonly reads: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
} {
  const reads = new Set<string>();
  const writes = new Set<string>();
  for (const inner of walk([node])) {
    for (const memory of writtenBy(inner)) writes.add(memory);
    if (inner.kind === 'store' && inner.combine !== 'assign') reads.add(inner.memory);
    if (inner.kind === 'let' && inner.expression.kind === 'load') reads.add(inner.expression.memory);
  }
  return { reads, writes };
}

/** Whether an index moves with no axes but those given. */
const movesOnlyWith = (index: IndexExpression, axes: ReadonlySet<string>): boolean =>
  [...axesOfIndex(index)].every((axis) => axes.has(axis));
