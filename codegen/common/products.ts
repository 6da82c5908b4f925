/**
 * Sums of products in blocks: what the body of a nest of parallel loops computes, when it is a contraction. A matrix
 * product and a convolution are the same here; what a factor computes before it is multiplied, and what happens to the
 * sums afterwards, may be anything.
 *
 *     reduce k blocks { %0 = load a[K*i + k]; %1 = load b[N*k + j]; %2 = multiply %0, %1 } -> %3 = sum(%2)
 *     %4 = tanh %3;  store y[N*i + j] = %4
 *
 *     factors %0 with axes {i}, %1 with axes {j}        reduced [k]        epilogue [%4, store]
 */
import { type Dim, dimProduct, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { Axis, KernelNode, Let, Reduce, ScalarId } from '../../ir/kernel.ts';
import { likelyExtent } from './cost.ts';
import { axesOfIndex } from './linear-index.ts';
import { freeValues, operandsOf } from './walk.ts';

/** One factor of the products. */
export interface Factor {
  readonly value: ScalarId;
  /** What must be computed for it, in order. */
  readonly lets: readonly Let[];
  /** Axes it depends on, but for the reduce axes. */
  readonly axes: ReadonlySet<string>;
}

/** A sum of products over the reduce axes. */
export interface Products {
  readonly dtype: DType;
  readonly factors: readonly [Factor, Factor];
  readonly reduced: readonly Axis[];
  /** Elements of the sweep. */
  readonly depth: Dim;
  readonly result: ScalarId;
}

/** A sum of products, with its factors in their places. */
export interface Sum extends Omit<Products, 'factors'> {
  readonly left: Factor;
  readonly right: Factor;
}

/** Multiplications of sums over parallel axes, about. */
export function productsOf(axes: readonly Axis[], sums: readonly Pick<Sum, 'reduced'>[]): number {
  const length = (list: readonly Axis[]): number => list.reduce((count, axis) => count * likelyExtent(axis.extent), 1);
  return length(axes) * sums.reduce((total, { reduced }) => total + length(reduced), 0);
}

/**
 * The sums of products that the body of a loop computes, and what it does with them; `undefined` for a body of another
 * kind.
 * @param before values the body may use
 * @param isReadable whether the factors may load from a memory, whatever else the kernel does
 */
export function sumsOfProducts(
  body: readonly KernelNode[],
  before: readonly Let[],
  isReadable: (memory: string) => boolean,
): { sums: readonly Products[]; epilogue: readonly KernelNode[] } | undefined {
  const reduces = body.filter((node): node is Reduce => node.kind === 'reduce');
  const others = body.filter((node) => node.kind !== 'reduce');
  if (reduces.length === 0 || !others.every((node) => node.kind === 'let' || node.kind === 'store')) return undefined;
  const stored = new Set(others.map((node) => (node.kind === 'store' ? node.memory : undefined)));
  const outside = [...before, ...others].filter((node): node is Let => node.kind === 'let');
  const sums: Products[] = [];
  for (const reduce of reduces) {
    if (reduce.order !== 'blocks' || !reduce.body.every((node): node is Let => node.kind === 'let')) return undefined;
    const definitions = new Map([...outside, ...reduce.body].map((node) => [node.id, node]));
    const found = productsIn(reduce, definitions);
    if (!found) return undefined;
    sums.push(...found);
  }
  const reads = sums.flatMap(({ factors }) => factors.flatMap(({ lets }) => lets));
  const isFine = ({ expression }: Let): boolean =>
    expression.kind !== 'load' || (isReadable(expression.memory) && !stored.has(expression.memory));
  return reads.every(isFine) ? { sums, epilogue: neededNodes([...before, ...others]) } : undefined;
}

/** The sums of one reduction. */
function productsIn(reduce: Reduce, definitions: ReadonlyMap<ScalarId, Let>): readonly Products[] | undefined {
  const reduced = new Set(reduce.axes.map((axis) => axis.name));
  const depth = dimProduct(reduce.axes.map((axis) => axis.extent));
  if (isStatic(depth) && depth === 0) return undefined;
  const sums: Products[] = [];
  for (const accumulator of reduce.accumulators) {
    if (accumulator.kind !== 'sum' || !['float32', 'int32', 'uint32'].includes(accumulator.dtype)) return undefined;
    const { dtype, result } = accumulator;
    const product = definitions.get(accumulator.value)?.expression;
    if (product?.kind !== 'apply' || product.opcode !== 'multiply') return undefined;
    const [a, b] = product.operands.map((value) => factorOf(value, definitions, reduced));
    if (!a || !b) return undefined;
    sums.push({ dtype, result, factors: [a, b], reduced: reduce.axes, depth });
  }
  return sums;
}

function factorOf(
  value: ScalarId,
  definitions: ReadonlyMap<ScalarId, Let>,
  reduced: ReadonlySet<string>,
): Factor | undefined {
  const lets = closure(value, definitions);
  const axes = new Set<string>();
  for (const { expression } of lets ?? []) {
    if (expression.kind !== 'load' && expression.kind !== 'index') continue;
    for (const axis of axesOfIndex(expression.index)) if (!reduced.has(axis)) axes.add(axis);
  }
  return lets && { value, lets, axes };
}

/** The definitions a value needs, operands first; `undefined` where one is not a plain value. */
function closure(value: ScalarId, definitions: ReadonlyMap<ScalarId, Let>): readonly Let[] | undefined {
  const needed = new Set<ScalarId>();
  const pending = [value];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const definition = definitions.get(id);
    if (!definition) return undefined;
    if (needed.has(id)) continue;
    needed.add(id);
    pending.push(...operandsOf(definition.expression));
  }
  return [...definitions.values()].filter((l) => needed.has(l.id));
}

/** Stores, and the values they need. */
function neededNodes(nodes: readonly KernelNode[]): readonly KernelNode[] {
  const needed = new Set<ScalarId>();
  const kept: KernelNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (node.kind === 'let' && !needed.has(node.id)) continue;
    for (const id of freeValues(node)) needed.add(id);
    kept.push(node);
  }
  return kept.reverse();
}

/** Says which factor is the left one: that of the rows' axes, or at least not of the columns'. */
export function placeFactors(
  sums: readonly Products[],
  rows: ReadonlySet<string>,
  columns: ReadonlySet<string>,
): readonly Sum[] | undefined {
  const has = ({ axes }: Factor, names: ReadonlySet<string>): boolean => [...axes].some((name) => names.has(name));
  const placed: Sum[] = [];
  for (const { factors, ...rest } of sums) {
    const [a, b] = factors;
    const [left, right] = has(a, columns) || has(b, rows) ? [b, a] : [a, b];
    if (has(left, columns) || has(right, rows)) return undefined;
    placed.push({ ...rest, left, right });
  }
  return placed;
}
