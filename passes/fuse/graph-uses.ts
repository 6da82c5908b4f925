/**
 * What a graph says without any reckoning: who makes a value, who uses it, how large it is, and which values are mere
 * views of others. `GraphAnalysis` adds what fusion asks about costs; who needs no costs takes this, which is far less
 * work for a graph of many thousand ops.
 *
 *     %0 = add %x, %y         positionOf(%0) is 0, usesOf(%0) is [1]
 *     %1 = reshape %0         storageOf(%1) is %0
 *
 * Sizes are compared as numbers; a symbolic size counts as `symbolEstimate`, within its bounds.
 */
import { type Dim, dimProduct, equalDims, equalShapes, evaluateDim, symbolsOf } from '../../base/dim.ts';
import { byteSize, type DType, isHalf, isNarrowInteger } from '../../base/dtype.ts';
import { flopsOf, traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { nothing, type Without } from '../features.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type FusionTarget, wasmTarget } from './target.ts';

/** What a symbolic size is taken for when costs are compared. */
const symbolEstimate = 64;

export function estimate(size: Dim): number {
  if (typeof size === 'number') return size;
  const values = symbolsOf(size).map(
    ({ name, min, max }) => [name, Math.min(Math.max(symbolEstimate, min), max)] as const,
  );
  return evaluateDim(size, new Map(values));
}

const isWidened = (dtype: DType): boolean => isNarrowInteger(dtype) || isHalf(dtype);

/** The number of elements of a shape. */
export const estimateCount = (shape: readonly Dim[]): number =>
  shape.reduce<number>((count, size) => count * estimate(size), 1);

const noUses: readonly number[] = [];

export class GraphUses {
  readonly graph: Graph;
  readonly target: FusionTarget;
  /** Features of fusion that are left out. */
  readonly without: Without;
  readonly #positions = new Map<Value, number>();
  readonly #uses = new Map<Value, number[]>();
  readonly #results = new Set<Value>();
  /** For views what they are views of. */
  readonly #storage = new Map<Value, Value>();
  readonly #elements = new Map<Value, number>();

  constructor(graph: Graph, without: Without = nothing, target: FusionTarget = wasmTarget) {
    this.graph = graph;
    this.target = target;
    this.without = without;
    graph.ops.forEach((op, position) => {
      for (const result of op.results) this.#positions.set(result, position);
      for (const operand of readBy(op)) {
        const uses = this.#uses.get(operand);
        if (!uses) this.#uses.set(operand, [position]);
        else if (uses[uses.length - 1] !== position) uses.push(position);
      }
      if (isView(op)) this.#storage.set(op.results[0], this.storageOf(op.operands[0]));
    });
    for (const result of graph.results) this.#results.add(this.storageOf(result));
    for (const op of graph.ops) {
      if (op.opcode === 'call') for (const operand of op.operands) this.#results.add(this.storageOf(operand));
    }
  }

  /** Position of the op that makes a value; `undefined` for parameters. */
  positionOf(value: Value): number | undefined {
    return this.#positions.get(value);
  }

  /** The op to compute a value with; `undefined` for parameters and for constants that lie in memory. */
  producerOf(value: Value): Op | undefined {
    const position = this.#positions.get(value);
    const op = position === undefined ? undefined : this.graph.ops[position];
    return op && op.opcode === 'constant' && !isInlineConstant(op) ? undefined : op;
  }

  usesOf(value: Value): readonly number[] {
    return this.#uses.get(value) ?? noUses;
  }

  storageOf(value: Value): Value {
    return this.#storage.get(value) ?? value;
  }

  /** Whether a value has to be in memory whatever fusion decides: a result, or an operand of a call. */
  isResult(value: Value): boolean {
    return this.#results.has(value);
  }

  elementsOf(value: Value): number {
    let count = this.#elements.get(value);
    if (count === undefined) {
      count = estimate(dimProduct(value.type.shape));
      this.#elements.set(value, count);
    }
    return count;
  }

  bytesOf(value: Value): number {
    return this.elementsOf(value) * byteSize(value.type.dtype);
  }

  /** Operations for one element of an op's result. What is narrow is widened by the load that reads it. */
  flopsOf(op: Op): number {
    if (op.opcode === 'convert' && isWidened(op.operands[0].type.dtype)) return 0;
    return traitsOf(op.opcode).flops ?? estimate(flopsOf(op)) / Math.max(this.elementsOf(op.results[0]), 1);
  }
}

/** Ops whose elements are sums or the like: they are computed once, in one place. */
export const isAnchor = ({ opcode }: Op): boolean =>
  opcode === 'reduce' ||
  opcode === 'dot_general' ||
  opcode === 'convolution' ||
  opcode === 'reduce_window' ||
  opcode === 'scatter' ||
  opcode === 'sort' ||
  opcode === 'cumulative';

/** Whether an op makes whole rows at once, along its axis. */
export const isRowOp = (op: Op): op is OpOf<'sort'> | OpOf<'cumulative'> =>
  op.opcode === 'sort' || op.opcode === 'cumulative';

export const isContraction = ({ opcode }: Op): boolean => opcode === 'dot_general' || opcode === 'convolution';

/** Ops that cost nothing but another index. */
export const isFree = (op: Op): boolean =>
  op.opcode === 'broadcast_in_dim' ||
  op.opcode === 'reshape' ||
  op.opcode === 'transpose' ||
  op.opcode === 'slice' ||
  op.opcode === 'reverse' ||
  op.opcode === 'iota' ||
  op.opcode === 'dimension_size' ||
  op.opcode === 'stop_gradient' ||
  op.opcode === 'optimization_barrier' ||
  op.opcode === 'constant';

/** The operands that an op's elements come from: of a barrier the first, after whatever else it waits for. */
export const readBy = (op: Op): readonly Value[] =>
  op.opcode === 'optimization_barrier' ? op.operands.slice(0, 1) : op.operands;

/** Whether the result's bytes are the operand's bytes, in the same order. */
export function isView(op: Op): boolean {
  const [operand] = op.operands;
  switch (op.opcode) {
    case 'reshape':
    case 'stop_gradient':
    case 'optimization_barrier':
      return true;
    case 'convert':
      return operand.type.dtype === op.attributes.dtype;
    case 'transpose': {
      const kept = op.attributes.permutation.filter((axis) => operand.type.shape[axis] !== 1);
      return kept.every((axis, at) => at === 0 || axis > kept[at - 1]);
    }
    case 'broadcast_in_dim': {
      const { axes, shape } = op.attributes;
      const others = shape.filter((size, axis) => size !== 1 && !axes.includes(axis));
      const same = axes.every((axis, at) => equalDims(shape[axis], operand.type.shape[at]));
      return same && others.length === 0 && axes.every((axis, at) => at === 0 || axis > axes[at - 1]);
    }
    case 'slice':
      return (
        equalShapes(op.results[0].type.shape, operand.type.shape) && op.attributes.strides.every((step) => step === 1)
      );
    default:
      return false;
  }
}
