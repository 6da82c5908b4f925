/**
 * Recognises contractions for tiles: sums of products whose left factor has parallel axes of its own, the rows, and
 * whose right factor others, the columns. Several axes of a side count as one long axis; those of both factors, or of
 * none, are batches.
 *
 *     parallel n { parallel o { parallel h { parallel w { reduce c, r, t { w[o, c, r, t] * x[n, c, h + r, w + t] } } } } }
 *
 *     rows [o]      columns [n, h, w]      batches []      reduced [c, r, t]
 */
import { type Dim, dimProduct, isStatic } from '../../../base/dim.ts';
import type { Axis, KernelNode } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import { type Factor, placeFactors, productsOf, type Sum, sumsOfProducts } from '../../common/products.ts';
import type { Unit } from '../../common/units.ts';
import type { ScheduleContext } from '../schedule.ts';
import { nestOf } from '../threads.ts';

/** Axes that are swept as one, the last fastest. */
export interface Side {
  readonly axes: readonly Axis[];
  readonly extent: Dim;
}

export interface Contraction {
  /** At least one; all of them over the same rows and columns. */
  readonly sums: readonly Sum[];
  readonly rows: Side;
  readonly columns: Side;
  readonly batches: Side;
  /** What is done with a sum of each row and column: values and stores. */
  readonly epilogue: readonly KernelNode[];
}

export const sideOf = (axes: readonly Axis[]): Side => ({ axes, extent: dimProduct(axes.map(({ extent }) => extent)) });

/** About how long a side is. */
export const likelyLength = ({ axes }: Side): number =>
  axes.reduce((length, { extent }) => length * likelyExtent(extent), 1);

/** Fewer multiplications than this are done before the first tile has been read. */
const leastProducts = 4096;
/** Shorter sums are bound by their results. */
const leastDepth = 4;

/** The contraction that a unit is, if it is one. */
export function matchContraction({ lets, nodes }: Unit, context: ScheduleContext): Contraction | undefined {
  const { axes, inside } = nestOf(nodes);
  if (axes.length === 0) return undefined;
  const found = sumsOfProducts(inside, lets, (memory) => !context.written.has(memory));
  if (!found || !isOfBuffers(found.epilogue, context)) return undefined;
  const [{ factors, depth }] = found.sums;
  if (productsOf(axes, found.sums) < leastProducts || (isStatic(depth) && depth < leastDepth)) return undefined;
  const chosen = chooseSides(axes, factors, found.epilogue);
  const namesOf = ({ axes: own }: Side): ReadonlySet<string> => new Set(own.map(({ name }) => name));
  const sums = chosen && placeFactors(found.sums, namesOf(chosen.rows), namesOf(chosen.columns));
  if (!sums?.every(({ left, right }) => isOfBuffers([...left.lets, ...right.lets], context))) return undefined;
  return { sums, ...chosen!, epilogue: found.epilogue };
}

/** Whether nothing lies in scratch arrays, which are those of one thread. */
function isOfBuffers(nodes: readonly KernelNode[], { scratchArrays }: ScheduleContext): boolean {
  return nodes.every((node) => {
    if (node.kind === 'store') return !scratchArrays.has(node.memory);
    return node.kind !== 'let' || node.expression.kind !== 'load' || !scratchArrays.has(node.expression.memory);
  });
}

/** The columns are the side along which results are neighbours in memory. */
function chooseSides(
  axes: readonly Axis[],
  [a, b]: readonly [Factor, Factor],
  epilogue: readonly KernelNode[],
): { rows: Side; columns: Side; batches: Side } {
  const own = (factor: Factor, other: Factor): Axis[] =>
    axes.filter(({ name }) => factor.axes.has(name) && !other.axes.has(name));
  const [first, second] = [own(a, b), own(b, a)];
  const isStored = ({ name }: Axis): boolean =>
    epilogue.some((node) => node.kind === 'store' && coefficientOf(node.index, name) === 1);
  const last = axes[axes.length - 1];
  const isColumns = (side: readonly Axis[]): boolean => side.some(isStored) || side.includes(last);
  const [rows, columns] = isColumns(first) && !second.some(isStored) ? [second, first] : [first, second];
  return {
    rows: sideOf(lastOf(rows, (axis) => isRead(axis, rows === first ? a : b))),
    columns: sideOf(lastOf(columns, isStored)),
    batches: sideOf(axes.filter((axis) => !first.includes(axis) && !second.includes(axis))),
  };
}

const isRead = ({ name }: Axis, { lets }: Factor): boolean =>
  lets.some(({ expression }) => expression.kind === 'load' && coefficientOf(expression.index, name) === 1);

/** The axes with the one that moves element by element behind the others. */
function lastOf(axes: readonly Axis[], isContiguous: (axis: Axis) => boolean): readonly Axis[] {
  const found = [...axes].reverse().find(isContiguous);
  return found ? [...axes.filter((axis) => axis !== found), found] : axes;
}
