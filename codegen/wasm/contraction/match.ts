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
import type { Dim } from '../../../base/dim.ts';
import type { Axis, KernelNode, Let, Loop } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import {
  type Factor,
  type Products,
  placeFactors,
  productsOf,
  type Sum,
  sumsOfProducts,
} from '../../common/products.ts';
import type { Unit } from '../../common/units.ts';

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
  const sums = chosen && placeFactors(found.sums, new Set([chosen.row.name]), new Set([chosen.column.name]));
  if (!sums || productsOf(axes, sums) < leastProducts) return undefined;
  return {
    sums,
    ...chosen,
    outer: axes.filter((axis) => axis !== chosen.row && axis !== chosen.column),
    lets: [],
    epilogue: found.epilogue,
  };
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
