/**
 * Facts about a graph that fusion asks for again and again: who makes a value, who uses it, what it would cost to
 * compute it again, and which values are mere views of others.
 *
 *     %0 = add %x, %y         flops 1, cone 1, source bytes 8 an element
 *     %1 = multiply %0, %0    flops 1, cone 2 if %0 is not in memory
 *
 * Sizes are compared as numbers; a symbolic size counts as `symbolEstimate`, within its bounds.
 */
import { type Dim, dimProduct, equalDims, equalShapes, evaluateDim, symbolsOf } from '../../base/dim.ts';
import { byteSize, isNarrowInteger } from '../../base/dtype.ts';
import { flopsOf, traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { nothing, type Without } from '../features.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type ReshapeSegment, reshapeSegments } from '../lower/index-algebra.ts';
import { type FusionTarget, wasmTarget } from './target.ts';

/** What a symbolic size is taken for when costs are compared. */
const symbolEstimate = 64;
/** Operations for one element above which a value is not worth computing twice. */
export const cheapFlops = 4;
/** How often a value is repeated at least for its own bytes to count for nothing. */
const leastRepeats = 16;
/** Operations for one element of an operand that a contraction computes on the way. */
export const operandFlops = 3;
/** Shared operands count once for each way to them, so that sums are cut off somewhere. */
const mostWork = 1e6;

export function estimate(size: Dim): number {
  if (typeof size === 'number') return size;
  const values = symbolsOf(size).map(
    ({ name, min, max }) => [name, Math.min(Math.max(symbolEstimate, min), max)] as const,
  );
  return evaluateDim(size, new Map(values));
}

export class GraphAnalysis {
  readonly graph: Graph;
  readonly target: FusionTarget;
  /** Features of fusion that are left out. */
  readonly without: Without;
  readonly #positions = new Map<Value, number>();
  readonly #uses = new Map<Value, number[]>();
  readonly #results = new Set<Value>();
  readonly #storage = new Map<Value, Value>();
  readonly #elements = new Map<Value, number>();
  /** Operations to compute one element again from what is likely to be in memory. */
  readonly #cones = new Map<Value, number>();
  /** The same without what sums and contractions behind it cost, which are never computed twice. */
  readonly #work = new Map<Value, number>();
  /** Values in memory behind a value. */
  readonly #loads = new Map<Value, number>();
  /** Sums and contractions on the longest way to a value. */
  readonly #ranks = new Map<Value, number>();
  /** Bytes of what is likely to be in memory behind a value. */
  readonly #sources = new Map<Value, number>();

  /** Values that are an epilogue of a contraction: elementwise on its result and what follows from it alone. */
  readonly #epilogues = new Set<Value>();
  readonly #ready = new Set<Value>();
  /** Shapes of contractions behind values whose axes are products of theirs. */
  readonly #unmerged = new Map<Value, readonly Dim[]>();
  /** The reductions that values with one element a row follow from. */
  readonly #rowSources = new Map<Value, OpOf<'reduce'>>();
  /** Axes of values that follow from sums over their other axes, repeated along those: what a row kernel computes. */
  readonly #rowAxes = new Map<Value, readonly number[]>();

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
    for (const op of graph.ops) this.#measure(op);
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
    return this.#uses.get(value) ?? [];
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

  coneOf(value: Value): number {
    return this.#cones.get(value) ?? 0;
  }

  workOf(value: Value): number {
    return this.#work.get(value) ?? 0;
  }

  /** Loads for an element, where a value is computed from what is likely to be in memory. */
  loadsOf(value: Value): number {
    return this.#loads.get(value) ?? 1;
  }

  sourceBytesOf(value: Value): number {
    return this.#sources.get(value) ?? this.bytesOf(value);
  }

  /** Whether a value is in memory whatever fusion decides, or probably so because several ops use it. */
  isProbablyStored(value: Value): boolean {
    const root = this.storageOf(value);
    const op = this.producerOf(root);
    return !op || op.opcode === 'call' || this.isResult(root) || (this.usesOf(root).length > 1 && !isFree(op));
  }

  /** Whether a value is stored, or a few operations away from values that are. */
  isReady(value: Value): boolean {
    return this.#ready.has(value) || this.isProbablyStored(value);
  }

  /**
   * The loops of a group with a value as root: one for each axis, or the axes of the contraction that a reshape has
   * merged into the value's, so that the contraction can be part of the group.
   */
  loopsOf(value: Value): { readonly domain: readonly Dim[]; readonly axes: readonly (readonly number[])[] } {
    const { shape } = value.type;
    const domain = this.#unmerged.get(value) ?? shape;
    const axes = shape.map((): readonly number[] => []);
    for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(domain, shape)) {
      const loops = domain.flatMap((size, at) => (at >= fromStart && at < fromEnd && size !== 1 ? [at] : []));
      const wide = shape.findIndex((size, axis) => axis >= toStart && axis < toEnd && size !== 1);
      if (wide >= 0) axes[wide] = loops;
    }
    return { domain, axes };
  }

  /** Whether a contraction could write a value in place of its own result. */
  isEpilogue(value: Value): boolean {
    return this.#epilogues.has(value);
  }

  /** A reduction that a value follows from element by element: the value belongs to the same rows. */
  rowSourceOf(value: Value): OpOf<'reduce'> | undefined {
    return this.#rowSources.get(value);
  }

  /** The axes that rows run over in the kernel that is likely to compute a value, if it computes rows. */
  rowAxesOf(value: Value): readonly number[] | undefined {
    return this.#rowAxes.get(value);
  }

  #findRowAxes(op: Op): readonly number[] | undefined {
    const [result] = op.results;
    if (op.opcode === 'broadcast_in_dim') {
      const [operand] = op.operands;
      const source = this.#rowSources.get(operand);
      if (!source || this.elementsOf(source.operands[0]) !== this.elementsOf(result)) return undefined;
      return op.attributes.axes.filter((_, at) => operand.type.shape[at] !== 1);
    }
    if (!traitsOf(op.opcode).elementwise) return undefined;
    const operand = op.operands.find((candidate) => this.#rowAxes.has(candidate));
    return operand && this.#rowAxes.get(operand);
  }

  #findRowSource(op: Op): OpOf<'reduce'> | undefined {
    if (op.opcode === 'reduce') return op;
    if (!traitsOf(op.opcode).elementwise && !isView(op)) return undefined;
    const operand = readBy(op).find((candidate) => this.#rowSources.has(candidate));
    return operand && this.#rowSources.get(operand);
  }

  /** Operations for one element of an op's result. Narrow integers are widened by the load that reads them. */
  flopsOf(op: Op): number {
    if (op.opcode === 'convert' && isNarrowInteger(op.operands[0].type.dtype)) return 0;
    return traitsOf(op.opcode).flops ?? estimate(flopsOf(op)) / Math.max(this.elementsOf(op.results[0]), 1);
  }

  /** Whether an op continues a contraction, and nothing else it takes could depend on that contraction. */
  #continuesContraction(op: Op): boolean {
    if (!traitsOf(op.opcode).elementwise) return false;
    const bytes = this.bytesOf(op.results[0]);
    const rank = this.#rankOf(op);
    return op.operands.some((operand) => {
      const producer = this.producerOf(operand);
      if (!producer || this.isResult(operand) || bytes > this.bytesOf(operand)) return false;
      if ((this.#ranks.get(operand) ?? 0) !== rank) return false;
      if (isContraction(producer)) return this.#isUsedByElementwise(operand);
      return this.#epilogues.has(operand) && this.usesOf(operand).length === 1;
    });
  }

  /** Whether nothing sums or moves a value, so that it need not be stored itself. */
  #isUsedByElementwise(value: Value): boolean {
    return this.usesOf(value).every((use) => traitsOf(this.graph.ops[use].opcode).elementwise);
  }

  /** The shape of a contraction that an op continues after a reshape that merged axes. */
  #unmergedShape(op: Op): readonly Dim[] | undefined {
    const { shape } = op.results[0].type;
    if (isContraction(op)) return shape;
    if (op.opcode !== 'reshape' && !traitsOf(op.opcode).elementwise) return undefined;
    for (const operand of op.operands) {
      const known = this.#unmerged.get(operand);
      if (known && reshapeSegments(known, shape).every((part) => isMerge(part, shape))) return known;
    }
    return undefined;
  }

  #rankOf({ operands }: Op): number {
    return operands.reduce((rank, operand) => Math.max(rank, this.#ranks.get(operand) ?? 0), 0);
  }

  /** Whether a value is repeated so often that it is stored rather than computed for each element, like a mean of rows. */
  #isWorthStoring(value: Value, { opcode, results }: Op): boolean {
    if (opcode !== 'broadcast_in_dim' || this.coneOf(value) <= cheapFlops) return false;
    return this.elementsOf(value) * leastRepeats <= this.elementsOf(results[0]);
  }

  #measure(op: Op): void {
    if (op.opcode === 'call') {
      for (const result of op.results) {
        this.#ranks.set(result, this.#rankOf(op) + 1);
        this.#cones.set(result, Infinity);
        this.#sources.set(result, this.bytesOf(result));
      }
      return;
    }
    const [result] = op.results;
    if (!result) return;
    const bytes = this.bytesOf(result);
    const rowSource = this.#findRowSource(op);
    if (rowSource) this.#rowSources.set(result, rowSource);
    const rowAxes = this.#findRowAxes(op);
    if (rowAxes) this.#rowAxes.set(result, rowAxes);
    const unmerged = this.#unmergedShape(op);
    if (unmerged) this.#unmerged.set(result, unmerged);
    this.#ranks.set(result, this.#rankOf(op) + (isAnchor(op) ? 1 : 0));
    if (isAnchor(op) || (op.opcode === 'constant' && !isInlineConstant(op))) {
      this.#cones.set(result, Infinity);
      this.#sources.set(result, bytes);
      return;
    }
    if (this.#continuesContraction(op)) this.#epilogues.add(result);
    const flops = isFree(op) ? 0 : this.flopsOf(op);
    let [cone, work, source, loads] = [flops, flops, 0, 0];
    for (const operand of new Set(readBy(op))) {
      const stored = this.isProbablyStored(operand) || !this.#cones.has(operand) || this.#isWorthStoring(operand, op);
      if (stored) {
        source += this.bytesOf(operand);
        loads++;
      } else {
        cone += this.coneOf(operand);
        work += this.workOf(operand);
        source += this.sourceBytesOf(operand);
        loads += this.loadsOf(operand);
      }
    }
    this.#loads.set(result, Math.min(loads, mostWork));
    const isReady = (operand: Value): boolean => this.isReady(operand) || this.#isWorthStoring(operand, op);
    if (cone <= cheapFlops && readBy(op).every(isReady)) this.#ready.add(result);
    this.#cones.set(result, cone);
    this.#work.set(result, Math.min(work, mostWork));
    this.#sources.set(result, selectsElements(op) ? Math.min(source, bytes) : source);
  }
}

/** Whether a run of axes becomes one axis, but for axes of size 1. */
const isMerge = ({ toStart, toEnd }: ReshapeSegment, shape: readonly Dim[]): boolean =>
  shape.slice(toStart, toEnd).filter((size) => size !== 1).length <= 1;

/** Ops whose elements are sums or the like: they are computed once, in one place. */
export const isAnchor = ({ opcode }: Op): boolean =>
  opcode === 'reduce' ||
  opcode === 'dot_general' ||
  opcode === 'convolution' ||
  opcode === 'reduce_window' ||
  opcode === 'scatter';

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
const readBy = (op: Op): readonly Value[] =>
  op.opcode === 'optimization_barrier' ? op.operands.slice(0, 1) : op.operands;

const selectsElements = ({ opcode }: Op): boolean =>
  opcode === 'slice' || opcode === 'dynamic_slice' || opcode === 'gather' || opcode === 'pad';

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
