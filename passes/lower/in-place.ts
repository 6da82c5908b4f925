/**
 * Which outputs of a kernel may take the memory of which inputs: every element is read by the iteration that writes
 * it, before it is written.
 *
 *     parallel i { %0 = load x0[i]; ...; store y0[i] }                          y0 may be x0
 *     parallel i { reduce r { load x0[N*i + r] } ...
 *                  parallel j { %0 = load x0[N*i + j]; ...; store y0[N*i + j] } }    y0 may be x0: a row is read first
 */
import { type Dim, equalDims, isAtMostDim, mulDims, subDims } from '../../base/dim.ts';
import type { IndexExpression, Kernel, KernelBuffer, KernelNode, Loop } from '../../ir/kernel.ts';
import { indexText } from './loops.ts';

/** The kernel with `inPlaceOf` set where it is legal; each input is offered to one output. */
export function findInPlacePairs(kernel: Kernel): Kernel {
  const taken = new Set<number>();
  const buffers = kernel.buffers.map((buffer): KernelBuffer => {
    if (buffer.access !== 'write') return buffer;
    const found = kernel.buffers.findIndex(
      (other, at) =>
        !taken.has(at) &&
        haveSameType(other, buffer) &&
        other.access === 'read' &&
        isLegal(kernel, other.name, buffer.name),
    );
    if (found < 0) return buffer;
    taken.add(found);
    return { ...buffer, inPlaceOf: found };
  });
  return taken.size > 0 ? { ...kernel, buffers } : kernel;
}

const haveSameType = (a: KernelBuffer, b: KernelBuffer): boolean => a.dtype === b.dtype && equalDims(a.size, b.size);

interface Access {
  readonly index: IndexExpression;
  /** Loops and reduces around it, outermost first. */
  readonly path: readonly KernelNode[];
  readonly order: number;
}

function isLegal(kernel: Kernel, read: string, written: string): boolean {
  const { loads, stores } = accesses(kernel.body, read, written);
  if (stores.length !== 1 || loads.length === 0) return false;
  const [store] = stores;
  return loads.every((load) => load.order < store.order && (sameElement(load, store) || sameRow(load, store)));
}

function accesses(body: readonly KernelNode[], read: string, written: string): { loads: Access[]; stores: Access[] } {
  const loads: Access[] = [];
  const stores: Access[] = [];
  let order = 0;
  const visit = (nodes: readonly KernelNode[], path: readonly KernelNode[]): void => {
    for (const node of nodes) {
      order++;
      if (node.kind === 'let' && node.expression.kind === 'load' && node.expression.memory === read) {
        loads.push({ index: node.expression.index, path, order });
      }
      if (node.kind === 'store' && node.memory === written && node.combine === 'assign') {
        stores.push({ index: node.index, path, order });
      }
      if (node.kind === 'loop' || node.kind === 'reduce') visit(node.body, [...path, node]);
    }
  };
  visit(body, []);
  return { loads, stores };
}

/** Loaded by the very iteration that stores it. */
const sameElement = (load: Access, store: Access): boolean =>
  load.path.length === store.path.length &&
  load.path.every((node, at) => node === store.path[at]) &&
  indexText(load.index) === indexText(store.index);

/** Loaded by the outer iteration that stores the row, in a loop that has ended before the store's begins. */
function sameRow(load: Access, store: Access): boolean {
  let shared = 0;
  while (shared < load.path.length && load.path[shared] === store.path[shared]) shared++;
  if (shared === 0 || shared === store.path.length || shared === load.path.length) return false;
  const around = store.path.slice(0, shared).filter((node): node is Loop => node.kind === 'loop');
  const outer = new Set(around.filter(({ axis }) => axis.extent !== 1).map(({ axis }) => axis.name));
  const [loadRow, storeRow] = [split(load, outer), split(store, outer)];
  if (!loadRow || !storeRow || indexText(loadRow.base) !== indexText(storeRow.base)) return false;
  const strides = storeRow.base.terms.map((term) => term.coefficient);
  const fits = (stride: Dim): boolean =>
    isAtMostDim(loadRow.extent, stride) === 'always' && isAtMostDim(storeRow.extent, stride) === 'always';
  return outer.size === strides.length && strides.every(fits);
}

/** An index as a base that moves with the outer axes, and how far it reaches within them. */
function split(
  { index, path }: Access,
  outer: ReadonlySet<string>,
): { base: IndexExpression; extent: Dim } | undefined {
  const extents = new Map<string, Dim>();
  for (const node of path) {
    if (node.kind === 'loop') extents.set(node.axis.name, node.axis.extent);
    if (node.kind === 'reduce') for (const axis of node.axes) extents.set(axis.name, axis.extent);
  }
  const base = index.terms.filter(({ factor }) => factor.kind === 'axis' && outer.has(factor.axis));
  let extent: Dim = 1;
  for (const term of index.terms) {
    if (base.includes(term)) continue;
    const size = term.factor.kind === 'axis' ? extents.get(term.factor.axis) : undefined;
    if (size === undefined || typeof term.coefficient !== 'number' || term.coefficient < 0) return undefined;
    extent = subDims(size, 1) === 0 ? extent : addReach(extent, term.coefficient, size);
  }
  return { base: { offset: index.offset, terms: base }, extent };
}

const addReach = (extent: Dim, coefficient: Dim, size: Dim): Dim =>
  subDims(extent, mulDims(-1, mulDims(coefficient, subDims(size, 1))));
