/**
 * The choice of the axis that runs across the lanes, by cost. Every parallel loop may take it, and every reduction for
 * its own last axis; below that point all code is vector code, above it nothing is. So the choice is a cut through the
 * tree, found from the leaves up:
 *
 *     parallel i { reduce j {load x[N*i + j]} }      the reduction: contiguous loads
 *     parallel i { reduce j {load x[M*j + i]} }      the loop: contiguous loads again, eight partial sums a lane
 */
import { isStatic } from '../../base/dim.ts';
import type { Accumulator, IndexExpression, KernelNode, Loop, Reduce, ScalarId } from '../../ir/kernel.ts';
import { contractionBlock } from '../../ir/kernel.ts';
import { likelyExtent, priceOf, sortPrice } from '../common/cost.ts';
import { axesOfIndex, coefficientOf, valuesOfIndex } from '../common/linear-index.ts';
import { axesOf, operandsOf, walk } from '../common/walk.ts';
import type { NestSchedule } from './nest-schedule.ts';

type Splittable = Loop | Reduce;

export class Plan {
  readonly #vectors: ReadonlySet<Splittable>;
  readonly #costs: ReadonlyMap<KernelNode, number>;
  /** What was measured, in the place of what follows from the sizes. */
  readonly schedule: NestSchedule | undefined;

  constructor(vectors: ReadonlySet<Splittable>, costs: ReadonlyMap<KernelNode, number>, schedule?: NestSchedule) {
    this.#vectors = vectors;
    this.#costs = costs;
    this.schedule = schedule;
  }

  /** The same plan with a schedule that was measured. */
  scheduled(schedule: NestSchedule | undefined): Plan {
    return schedule ? new Plan(this.#vectors, this.#costs, schedule) : this;
  }

  isVector(node: Splittable): boolean {
    return this.#vectors.has(node);
  }

  /** Instructions that running a node takes, about. */
  cost(node: KernelNode): number {
    return this.#costs.get(node) ?? 1;
  }

  /**
   * How many vectors one round of a vector loop handles. Two hide the latency of most bodies. Vector math takes six,
   * the best of 2 to 8: its constants are more than there are registers, and V8 shares a reload among the copies. Long
   * sums down the columns of a matrix take four, a cache line a row: that beats keeping partial sums in registers.
   */
  copies(loop: Loop): number {
    if (isStatic(loop.axis.extent) && loop.axis.extent < 8) return 1;
    if (this.schedule) return this.schedule.copies;
    const nodes = [...walk(loop.body)];
    const isContiguous = (node: KernelNode): boolean => {
      if (node.kind !== 'let' || node.expression.kind !== 'load') return true;
      const stride = coefficientOf(node.expression.index, loop.axis.name);
      return stride === 0 || stride === 1;
    };
    const wide = nodes.length <= wideNodes && likelyExtent(loop.axis.extent) >= 32 && nodes.every(isContiguous);
    const isLoop = nodes.some((node) => node.kind === 'loop' || node.kind === 'reduce');
    const hasMath = nodes.some((node) => mathPrice(node) >= 12);
    let copies = nodes.length > longNodes ? 1 : 2;
    if (hasMath && !isLoop && nodes.length <= mathNodes && likelyExtent(loop.axis.extent) >= 64) copies = 6;
    for (const node of nodes) {
      if (node.kind !== 'reduce' || !node.accumulators.some(isOrdered)) continue;
      const isLong = node.axes.some(({ extent }) => likelyExtent(extent) >= 64);
      copies = wide && isLong ? 4 : node.order === 'lanes' ? 1 : copies;
    }
    return copies;
  }
}

/** Bodies of long sums and of math up to these sizes take several vectors a round, beyond `longNodes` only one. */
const wideNodes = 80;
const mathNodes = 40;
const longNodes = 200;

const mathPrice = (node: KernelNode): number =>
  node.kind === 'let' && node.dtype === 'float32' && node.expression.kind === 'apply'
    ? priceOf(node.expression.opcode)
    : 0;

const isOrdered = (a: Accumulator): boolean =>
  a.kind === 'tuple' || ((a.kind === 'sum' || a.kind === 'product') && a.dtype === 'float32');

/** Plans a tree. `fixed` loops never run across the lanes. */
export function planNodes(nodes: readonly KernelNode[], fixed: ReadonlySet<KernelNode>): Plan {
  const vectors = new Set<Splittable>();
  const costs = new Map<KernelNode, number>();
  const best = (node: KernelNode): number => {
    const cost = choose(node);
    costs.set(node, cost);
    return cost;
  };
  const bestOf = (body: readonly KernelNode[]): number => body.reduce((sum, node) => sum + best(node), 0);
  const choose = (node: KernelNode): number => {
    if (node.kind === 'let') return node.expression.kind === 'apply' ? priceOf(node.expression.opcode) : 1;
    if (node.kind === 'store') return 1;
    if (node.kind === 'sort') return sortPrice * likelyExtent(node.length);
    const axes = axesOf(node);
    const rounds = axes.reduce((product, axis) => product * likelyExtent(axis.extent), 1);
    const scalar = rounds * (bestOf(node.body) + 1) + 2;
    if (!mayRunAcross(node) || fixed.has(node)) return scalar;
    const last = axes[axes.length - 1];
    const extent = likelyExtent(last.extent);
    const body = vectorCost(node.body, last.name, new Set());
    const outer = rounds / Math.max(extent, 1);
    const vector =
      node.kind === 'loop'
        ? Math.ceil(extent / 4) * (body + 0.5) + 4
        : outer * Math.ceil(extent / 8) * 2 * (body + acrossCost(node)) + 10 * node.accumulators.length;
    if (vector >= scalar) return scalar;
    vectors.add(node);
    return vector;
  };
  for (const node of nodes) best(node);
  return new Plan(vectors, costs);
}

const acrossCost = (node: Reduce): number => node.accumulators.length * (node.order === 'blocks' ? 12 : 1);

function mayRunAcross(node: Splittable): boolean {
  if ([...walk(node.body)].some((inner) => inner.kind === 'sort')) return false;
  if (node.kind === 'loop') return node.mode === 'parallel';
  const last = node.axes[node.axes.length - 1].extent;
  const hasStores = [...walk(node.body)].some((inner) => inner.kind === 'store');
  if (hasStores) return false;
  if (node.axes.length === 1) return true;
  if (node.accumulators.some((a) => a.kind === 'argmax' || a.kind === 'argmin')) return false;
  return node.order === 'lanes' || (isStatic(last) && last % contractionBlock === 0);
}

/** The price of a body for one vector of `axis`; `varying` collects the values that differ from lane to lane. */
function vectorCost(nodes: readonly KernelNode[], axis: string, varying: Set<ScalarId>): number {
  let cost = 0;
  for (const node of nodes) {
    if (node.kind === 'let') {
      const { expression } = node;
      const reads = operandsOf(expression).some((id) => varying.has(id));
      const moves =
        (expression.kind === 'load' || expression.kind === 'index') && axesOfIndex(expression.index).has(axis);
      if (reads || moves) varying.add(node.id);
      if (expression.kind === 'load') {
        cost += accessCost(expression.index, axis, varying) + (expression.when === undefined ? 0 : 2);
      } else if (expression.kind === 'apply')
        cost += priceOf(expression.opcode) * (isByLane(node.dtype, expression.opcode) ? 6 : 1);
      else if (expression.kind === 'index') cost += 2;
    } else if (node.kind === 'store') cost += accessCost(node.index, axis, varying) + 0.5;
    else if (node.kind === 'loop') {
      for (const carried of node.carried ?? []) varying.add(carried.id);
      cost += likelyExtent(node.axis.extent) * (vectorCost(node.body, axis, varying) + 1);
    } else if (node.kind === 'reduce') {
      const rounds = node.axes.reduce((product, { extent }) => product * likelyExtent(extent), 1);
      for (const a of node.accumulators) for (const id of a.kind === 'tuple' ? a.results : [a.result]) varying.add(id);
      cost += rounds * (vectorCost(node.body, axis, varying) + node.accumulators.length) + 8;
    }
  }
  return cost;
}

const isByLane = (dtype: string, opcode: string): boolean =>
  dtype !== 'float32' && (opcode === 'divide' || opcode === 'remainder' || opcode === 'power');

function accessCost(index: IndexExpression, axis: string, varying: ReadonlySet<ScalarId>): number {
  if (valuesOfIndex(index).some((id) => varying.has(id))) return 10;
  const stride = coefficientOf(index, axis);
  if (stride === undefined) return 14;
  return stride === 0 || stride === 1 ? 1 : 6;
}
