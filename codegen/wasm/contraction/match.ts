/**
 * Recognises contractions: sums of products in blocks, whose factors share the reduce axes and each have parallel axes
 * of their own. A matrix product and a convolution are the same here; what a factor computes before it is multiplied,
 * and what happens to the sums afterwards, may be anything.
 *
 *     parallel i { parallel j { reduce k blocks { %0 = load a[K*i + k]; %1 = load b[N*k + j]; %2 = multiply %0, %1 }
 *                               -> %3 = sum(%2);  %4 = tanh %3;  store y[N*i + j] = %4 } }
 *
 *     left   %0 over row axis i        right  %1 over column axis j        outer []        epilogue [%4, store]
 */
import { type Dim, dimProduct, isStatic } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import type { Axis, KernelNode, Let, Loop, Reduce, ScalarId } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { axesOfIndex, coefficientOf } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import { freeValues, operandsOf } from '../../common/walk.ts';

/** One factor of the products. */
export interface Factor {
  readonly value: ScalarId;
  /** What must be computed for it, in order. */
  readonly lets: readonly Let[];
  /** Axes it depends on, but for the reduce axes. */
  readonly axes: ReadonlySet<string>;
}

/** A sum of products over the reduce axes. */
interface Products {
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

export interface Contraction {
  /** At least one; all of them over the same row and column. */
  readonly sums: readonly Sum[];
  readonly row: Axis;
  readonly column: Axis;
  /** Parallel axes that are neither row nor column, outermost first. */
  readonly outer: readonly Axis[];
  /** Values that the epilogue needs and that do not depend on the column. */
  readonly lets: readonly Let[];
  readonly epilogue: readonly KernelNode[];
}

/** Fewer multiplications than this are not worth a template. */
export const leastProducts = 512;
/** A shorter column can not fill the lanes. */
const leastColumns = 4;

/** The contraction that a unit is, if it is one. */
export function matchContraction({ lets, nodes }: Unit, written: ReadonlySet<string>): Contraction | undefined {
  const loops: Loop[] = [];
  let body: readonly KernelNode[] = nodes;
  while (body.length === 1 && body[0].kind === 'loop' && body[0].mode === 'parallel') {
    loops.push(body[0]);
    body = body[0].body;
  }
  const found = loops.length === 0 ? undefined : sumsOfProducts(body, lets, (memory) => !written.has(memory));
  if (!found) return undefined;
  const axes = loops.map((loop) => loop.axis);
  const chosen = chooseAxes(axes, found.sums[0], found.epilogue);
  const sums = chosen && placeFactors(found.sums, chosen.row.name, chosen.column.name);
  if (!sums || productsOf(axes, sums) < leastProducts) return undefined;
  return {
    sums,
    ...chosen,
    outer: axes.filter((axis) => axis !== chosen.row && axis !== chosen.column),
    lets: [],
    epilogue: found.epilogue,
  };
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

/** Says which factor is the left one: that of the row, or at least not of the column. */
export function placeFactors(sums: readonly Products[], row: string, column: string): readonly Sum[] | undefined {
  const placed: Sum[] = [];
  for (const { factors, ...rest } of sums) {
    const [a, b] = factors;
    const [left, right] = a.axes.has(column) || b.axes.has(row) ? [b, a] : [a, b];
    if (left.axes.has(column) || right.axes.has(row)) return undefined;
    placed.push({ ...rest, left, right });
  }
  return placed;
}

/** Whether an axis is long enough for a column. */
export const mayBeColumn = ({ extent }: Axis): boolean => likelyExtent(extent) >= leastColumns;

/**
 * Row and column, each an axis of one factor alone. The column runs across the lanes: best is the axis along which
 * results are stored, unless it is short.
 */
function chooseAxes(
  axes: readonly Axis[],
  { factors: [a, b], depth }: Products,
  epilogue: readonly KernelNode[],
): { row: Axis; column: Axis } | undefined {
  const alone = (factor: Factor, other: Factor): Axis[] =>
    axes.filter(({ name }) => factor.axes.has(name) && !other.axes.has(name));
  const sides = [alone(a, b), alone(b, a)] as const;
  const isStored = ({ name }: Axis): boolean =>
    epilogue.some((node) => node.kind === 'store' && coefficientOf(node.index, name) === 1);
  const score = (axis: Axis): number => Math.min(likelyExtent(axis.extent), 8) * 8 + (isStored(axis) ? 16 : 0);
  const longest = (own: readonly Axis[]): Axis =>
    own.reduce((best, axis) => (likelyExtent(axis.extent) >= likelyExtent(best.extent) ? axis : best));
  const best = (own: readonly Axis[]): Axis => own.reduce((top, axis) => (score(axis) >= score(top) ? axis : top));
  if (sides[0].length === 0 || sides[1].length === 0) {
    const [own, matrix] = sides[0].length === 0 ? [sides[1], b] : [sides[0], a];
    return own.length === 0 ? undefined : vectorTimesMatrix(best(own), matrix, depth);
  }
  const [first, second] = [best(sides[0]), best(sides[1])];
  const isFirst = score(first) > score(second);
  const column = isFirst ? first : second;
  if (!mayBeColumn(column)) return undefined;
  return { row: longest(isFirst ? sides[1] : sides[0]), column };
}

/** The row of a product without one. */
const onlyRow: Axis = { name: '$row', extent: 1 };
/** Elements beyond which a matrix is not left to a plain loop. */
const leastMatrix = 1 << 13;

/** A product with one row, if the matrix is large and lies along the column. */
function vectorTimesMatrix(column: Axis, { lets }: Factor, depth: Dim): { row: Axis; column: Axis } | undefined {
  const isLarge = likelyExtent(depth) * likelyExtent(column.extent) > leastMatrix;
  const isAlong = ({ expression }: Let): boolean =>
    expression.kind === 'load' && coefficientOf(expression.index, column.name) === 1;
  return isLarge && mayBeColumn(column) && lets.some(isAlong) ? { row: onlyRow, column } : undefined;
}
