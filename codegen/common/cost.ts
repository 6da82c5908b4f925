/**
 * Rough prices: how many vector instructions a scalar op takes, how long an axis is likely to be, how many floating
 * point operations a tree does. Schedules are chosen by these numbers; results never depend on them.
 */
import { addDims, type Dim, dimBounds, isStatic, mulDims } from '../../base/dim.ts';
import type { KernelNode, ScalarOpcode } from '../../ir/kernel.ts';

const prices: { readonly [K in ScalarOpcode]?: number } = {
  exponential: 16,
  exponential_minus_one: 20,
  log: 18,
  log_plus_one: 22,
  rsqrt: 6,
  round_float16: 24,
  round_bfloat16: 7,
  sqrt: 4,
  sine: 20,
  cosine: 20,
  tanh: 18,
  erf: 22,
  divide: 4,
  remainder: 16,
  power: 40,
  atan2: 30,
  maximum: 3,
  minimum: 3,
};

/** Vector instructions that an op takes, about. */
export const priceOf = (opcode: ScalarOpcode): number => prices[opcode] ?? 1;

/** Instructions that sorting takes for an element of the row, about. */
export const sortPrice = 24;

/** The length an axis probably has. */
export function likelyExtent(extent: Dim): number {
  if (isStatic(extent)) return extent;
  const [low, high] = dimBounds(extent);
  return Math.min(Math.max(low, 64), high);
}

/** Floating point operations of a tree, over its symbolic sizes. */
export function flopsOf(nodes: readonly KernelNode[]): Dim {
  let total: Dim = 0;
  for (const node of nodes) {
    if (node.kind === 'let') {
      if (node.expression.kind === 'apply') total = addDims(total, priceOf(node.expression.opcode));
    } else if (node.kind === 'loop') total = addDims(total, mulDims(node.axis.extent, flopsOf(node.body)));
    else if (node.kind === 'reduce') {
      const once = addDims(flopsOf(node.body), node.accumulators.length);
      total = addDims(
        total,
        node.axes.reduce<Dim>((flops, axis) => mulDims(flops, axis.extent), once),
      );
    } else total = addDims(total, node.kind === 'sort' ? mulDims(node.length, sortPrice) : 1);
  }
  return total;
}
