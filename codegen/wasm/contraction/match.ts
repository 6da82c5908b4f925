/**
 * Recognises contractions: a sum of products in blocks, whose factors share the reduce axes and each have parallel axes
 * of their own. A matrix product and a convolution are the same here; what a factor computes before it is multiplied,
 * and what happens to the sum afterwards, may be anything.
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
  /** Parallel axes it depends on. */
  readonly axes: ReadonlySet<string>;
}

export interface Contraction {
  readonly dtype: DType;
  readonly left: Factor;
  readonly right: Factor;
  readonly row: Axis;
  readonly column: Axis;
  /** Parallel axes that are neither row nor column, outermost first. */
  readonly outer: readonly Axis[];
  readonly reduced: readonly Axis[];
  /** Elements of the sweep. */
  readonly depth: Dim;
  readonly result: ScalarId;
  readonly epilogue: readonly KernelNode[];
}

/** Fewer multiplications than this are not worth a template. */
const leastProducts = 512;

/** The contraction that a unit is, if it is one. */
export function matchContraction({ lets, nodes }: Unit, written: ReadonlySet<string>): Contraction | undefined {
  const loops: Loop[] = [];
  let body: readonly KernelNode[] = nodes;
  while (body.length === 1 && body[0].kind === 'loop' && body[0].mode === 'parallel') {
    loops.push(body[0]);
    body = body[0].body;
  }
  const at = body.findIndex((node) => node.kind === 'reduce');
  const reduce = body[at];
  if (loops.length < 2 || reduce?.kind !== 'reduce' || reduce.order !== 'blocks') return undefined;
  const before = [...lets, ...body.slice(0, at)];
  const epilogue = body.slice(at + 1);
  if (!before.every((node): node is Let => node.kind === 'let')) return undefined;
  if (!epilogue.every((node) => node.kind === 'let' || node.kind === 'store')) return undefined;
  const factors = factorsOf(reduce, before, written);
  const [accumulator] = reduce.accumulators;
  if (!factors || accumulator.kind !== 'sum') return undefined;
  const axes = loops.map((loop) => loop.axis);
  const chosen = chooseAxes(axes, factors, epilogue);
  if (!chosen) return undefined;
  const depth = dimProduct(reduce.axes.map((axis) => axis.extent));
  const products = [...axes, ...reduce.axes].reduce((count, axis) => count * likelyExtent(axis.extent), 1);
  if (products < leastProducts || (isStatic(depth) && depth === 0)) return undefined;
  return {
    dtype: accumulator.dtype,
    ...chosen,
    outer: axes.filter((axis) => axis !== chosen.row && axis !== chosen.column),
    reduced: reduce.axes,
    depth,
    result: accumulator.result,
    epilogue: [...before.filter((l) => isNeeded(l, epilogue, before)), ...epilogue],
  };
}

function factorsOf(reduce: Reduce, before: readonly Let[], written: ReadonlySet<string>): [Factor, Factor] | undefined {
  const [accumulator] = reduce.accumulators;
  if (reduce.accumulators.length !== 1 || accumulator.kind !== 'sum') return undefined;
  if (!['float32', 'int32', 'uint32'].includes(accumulator.dtype)) return undefined;
  const definitions = new Map<ScalarId, Let>();
  for (const node of [...before, ...reduce.body]) {
    if (node.kind !== 'let') return undefined;
    const { expression } = node;
    if (expression.kind === 'load' && written.has(expression.memory)) return undefined;
    definitions.set(node.id, node);
  }
  const product = definitions.get(accumulator.value)?.expression;
  if (product?.kind !== 'apply' || product.opcode !== 'multiply') return undefined;
  const reduced = new Set(reduce.axes.map((axis) => axis.name));
  const make = (value: ScalarId): Factor => {
    const lets = closure(value, definitions);
    const axes = new Set<string>();
    for (const { expression } of lets) {
      if (expression.kind !== 'load' && expression.kind !== 'index') continue;
      for (const axis of axesOfIndex(expression.index)) if (!reduced.has(axis)) axes.add(axis);
    }
    return { value, lets, axes };
  };
  return [make(product.operands[0]), make(product.operands[1])];
}

/** The definitions a value needs, operands first. */
function closure(value: ScalarId, definitions: ReadonlyMap<ScalarId, Let>): Let[] {
  const needed = new Set<ScalarId>();
  const pending = [value];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const definition = definitions.get(id);
    if (!definition || needed.has(id)) continue;
    needed.add(id);
    pending.push(...operandsOf(definition.expression));
  }
  return [...definitions.values()].filter((l) => needed.has(l.id));
}

/** Whether the epilogue needs a value that is computed before the sweep. */
function isNeeded(node: Let, epilogue: readonly KernelNode[], before: readonly Let[]): boolean {
  const needed = new Set(epilogue.flatMap((n) => [...freeValues(n)]));
  for (const l of [...before].reverse())
    if (needed.has(l.id)) for (const id of operandsOf(l.expression)) needed.add(id);
  return needed.has(node.id);
}

/**
 * Row and column, each an axis of one factor alone. The column runs across the lanes: best is the axis along which
 * results are stored, unless it is short.
 */
function chooseAxes(
  axes: readonly Axis[],
  [a, b]: readonly [Factor, Factor],
  epilogue: readonly KernelNode[],
): Pick<Contraction, 'left' | 'right' | 'row' | 'column'> | undefined {
  const alone = (factor: Factor, other: Factor): Axis[] =>
    axes.filter(({ name }) => factor.axes.has(name) && !other.axes.has(name));
  const sides = [
    { factor: a, own: alone(a, b) },
    { factor: b, own: alone(b, a) },
  ] as const;
  if (sides[0].own.length === 0 || sides[1].own.length === 0) return undefined;
  const isStored = ({ name }: Axis): boolean =>
    epilogue.some((node) => node.kind === 'store' && coefficientOf(node.index, name) === 1);
  const score = (axis: Axis): number => Math.min(likelyExtent(axis.extent), 8) * 8 + (isStored(axis) ? 16 : 0);
  const longest = (own: readonly Axis[]): Axis =>
    own.reduce((best, axis) => (likelyExtent(axis.extent) >= likelyExtent(best.extent) ? axis : best));
  const best = (own: readonly Axis[]): Axis => own.reduce((top, axis) => (score(axis) >= score(top) ? axis : top));
  const [first, second] = [best(sides[0].own), best(sides[1].own)];
  const columnSide = score(first) > score(second) ? 0 : 1;
  const column = columnSide === 0 ? first : second;
  if (likelyExtent(column.extent) < 4) return undefined;
  const rows = sides[1 - columnSide];
  return { left: rows.factor, right: sides[columnSide].factor, row: longest(rows.own), column };
}
