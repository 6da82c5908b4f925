/**
 * Recognises updates that are applied in order, as lowering makes them of a scatter: sequential loops over updates, in
 * them the place where an update goes, parallel loops over its window, and a store that combines.
 *
 *     sequential s < M { %1 = load indices[s] ...
 *       parallel w < W { %9 = load updates[W*s + w]; store y[W*%1 + w] add= %9 when %5 } }
 */
import { addDims, type Dim, dimBounds, dimProduct, mulDims, subDims } from '../../../base/dim.ts';
import type { Axis, KernelNode, Let, ScalarId, Store } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { axesOfIndex, normalizeIndex, valuesOfIndex } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import { freeValues, operandsOf } from '../../common/walk.ts';

export interface Scatter {
  /** The sequential axes, outermost first, and how many updates there are. */
  readonly updates: readonly Axis[];
  readonly count: Dim;
  /** The parallel axes of a window, and how many elements it has. */
  readonly window: readonly Axis[];
  readonly elements: Dim;
  /** Values that are the same for all elements of a window; the rest. */
  readonly lets: readonly Let[];
  readonly inside: readonly Let[];
  readonly store: Store;
  /**
   * Whether two updates that write the same element do so from the same element of their windows, so that elements of
   * windows have nothing to do with each other.
   */
  readonly isApart: boolean;
}

export function matchScatter({ lets, nodes }: Unit): Scatter | undefined {
  const updates: Axis[] = [];
  const window: Axis[] = [];
  const outside: Let[] = [...lets];
  const inside: Let[] = [];
  let level = nodes;
  for (;;) {
    const last = level[level.length - 1];
    const before = level.slice(0, -1);
    if (!last || !before.every((node): node is Let => node.kind === 'let')) return undefined;
    (window.length > 0 ? inside : outside).push(...before);
    if (last.kind === 'store') {
      const found = { updates, window, lets: outside, inside, store: last };
      return updates.length > 0 ? finish(found) : undefined;
    }
    if (last.kind !== 'loop' || (last.carried?.length ?? 0) > 0) return undefined;
    if (last.mode === 'parallel') window.push(last.axis);
    else if (window.length > 0) return undefined;
    else updates.push(last.axis);
    level = last.body;
  }
}

type Found = Pick<Scatter, 'updates' | 'window' | 'lets' | 'inside' | 'store'>;

function finish(given: Found): Scatter | undefined {
  const found = sortLets(given);
  const { updates, window, lets, inside, store } = found;
  const all = [...lets, ...inside];
  // What the updates change must not be what they are made of.
  if (all.some(({ expression }) => expression.kind === 'load' && expression.memory === store.memory)) return undefined;
  const outside = new Map(lets.map((node) => [node.id, node]));
  const needed = [...valuesOfIndex(store.index), ...(store.when === undefined ? [] : [store.when])];
  if (!needed.every((id) => outside.has(id))) return undefined;
  const product = (axes: readonly Axis[]): Dim => dimProduct(axes.map(({ extent }) => extent));
  const count = product(updates);
  return { ...found, count, elements: product(window), isApart: count === 1 || isApart(found, outside) };
}

/** Puts values that do not depend on the element of the window where the others of that kind are. */
function sortLets(found: Found): Found {
  const window = new Set(found.window.map(({ name }) => name));
  const moving = new Set<ScalarId>();
  for (const node of [...found.lets, ...found.inside]) {
    const { expression } = node;
    const axes =
      expression.kind === 'load' || expression.kind === 'index' ? axesOfIndex(expression.index) : new Set<string>();
    if ([...axes].some((axis) => window.has(axis)) || operandsOf(expression).some((id) => moving.has(id)))
      moving.add(node.id);
  }
  const isFixed = ({ id }: Let): boolean => !moving.has(id);
  return {
    ...found,
    lets: [...found.lets, ...found.inside.filter(isFixed)],
    inside: found.inside.filter((node) => !isFixed(node)),
  };
}

/**
 * Whether the place of an element tells the element of the window: the terms of the index are digits of a number whose
 * bases may differ, each of them greater than all that lower digits add up to.
 */
function isApart({ updates, window, store }: Found, lets: ReadonlyMap<ScalarId, Let>): boolean {
  if (window.every(({ extent }) => extent === 1)) return true;
  const extents = new Map([...updates, ...window].map(({ name, extent }) => [name, extent]));
  const digits: { readonly base: Dim; readonly most: Dim }[] = [];
  for (const { coefficient, factor } of normalizeIndex(store.index).terms) {
    if (factor.kind !== 'axis' && factor.kind !== 'value') return false;
    const extent = factor.kind === 'axis' ? extents.get(factor.axis) : undefined;
    const most = factor.kind === 'value' ? mostOf(factor.id, lets, extents) : extent && subDims(extent, 1);
    if (most === undefined) return false;
    digits.push({ base: coefficient, most });
  }
  digits.sort((a, b) => likelyExtent(a.base) - likelyExtent(b.base));
  let reach: Dim = 0;
  for (const { base, most } of digits) {
    if (dimBounds(subDims(base, reach))[0] < 1) return false;
    reach = addDims(reach, mulDims(base, most));
  }
  return true;
}

/** A number that a value is at most, if it is certainly not negative. */
function mostOf(id: ScalarId, lets: ReadonlyMap<ScalarId, Let>, extents: ReadonlyMap<string, Dim>): Dim | undefined {
  const low = (of: ScalarId): boolean => {
    const bounds = lets.get(of)?.expression;
    if (bounds?.kind === 'constant') return bounds.value >= 0;
    if (bounds?.kind === 'size') return dimBounds(bounds.size)[0] >= 0;
    if (bounds?.kind === 'index') return indexMost(bounds.index) !== undefined;
    if (bounds?.kind !== 'apply') return false;
    const { opcode, operands } = bounds;
    if (opcode === 'maximum') return operands.some(low);
    if (opcode === 'minimum') return operands.every(low);
    if (opcode === 'select') return operands.slice(1).every(low);
    const difference = opcode === 'subtract' ? high(of) : undefined;
    return difference !== undefined && dimBounds(difference)[0] >= 0 && isFixed(operands[0]);
  };
  const isFixed = (of: ScalarId): boolean => ['constant', 'size'].includes(lets.get(of)?.expression.kind ?? '');
  const high = (of: ScalarId): Dim | undefined => {
    const bounds = lets.get(of)?.expression;
    if (bounds?.kind === 'constant') return bounds.value;
    if (bounds?.kind === 'size') return bounds.size;
    if (bounds?.kind === 'index') return indexMost(bounds.index);
    if (bounds?.kind !== 'apply') return undefined;
    const { opcode, operands } = bounds;
    if (opcode === 'minimum') return operands.map(high).find((most) => most !== undefined);
    if (opcode !== 'subtract' || !low(operands[1])) return undefined;
    const [from, less] = [high(operands[0]), lets.get(operands[1])?.expression];
    return from !== undefined && less?.kind === 'constant' ? subDims(from, less.value) : from;
  };
  return low(id) ? high(id) : undefined;

  /** Of an index that is one axis. */
  function indexMost({ offset, terms }: Store['index']): Dim | undefined {
    if (offset !== 0 || terms.length !== 1) return undefined;
    const [{ coefficient, factor }] = terms;
    const extent = factor.kind === 'axis' ? extents.get(factor.axis) : undefined;
    return coefficient === 1 && extent !== undefined ? subDims(extent, 1) : undefined;
  }
}

/** What nodes need of some values, in order. */
export function letsFor(lets: readonly Let[], ids: readonly ScalarId[]): readonly Let[] {
  const needed = new Set(ids);
  const kept: KernelNode[] = [];
  for (const node of [...lets].reverse()) {
    if (!needed.has(node.id)) continue;
    for (const id of freeValues(node)) needed.add(id);
    kept.push(node);
  }
  return kept.reverse() as Let[];
}
