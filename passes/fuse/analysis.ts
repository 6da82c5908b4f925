/**
 * Facts about a graph that fusion asks for again and again: beside those of `GraphUses`, what it would cost to compute
 * a value again, and what is likely to be in memory.
 *
 *     %0 = add %x, %y         flops 1, cone 1, source bytes 8 an element
 *     %1 = multiply %0, %0    flops 1, cone 2 if %0 is not in memory
 */
import type { Dim } from '../../base/dim.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import type { Without } from '../features.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { type ReshapeSegment, reshapeSegments } from '../lower/index-algebra.ts';
import { GraphUses, isAnchor, isContraction, isFree, isView, readBy } from './graph-uses.ts';
import type { FusionTarget } from './target.ts';

/** How often a value is repeated at least for its own bytes to count for nothing. */
const leastRepeats = 16;
/**
 * Operations for one element of an operand that a contraction computes on the way. The same on all targets: each time
 * an element is loaded it goes into some tens of products, a tile of columns or rows.
 */
export const operandFlops = 3;
/** Shared operands count once for each way to them, so that sums are cut off somewhere. */
const mostWork = 1e6;
/** Values in memory behind a value that are remembered one by one. */
const mostSources = 4;

export class GraphAnalysis extends GraphUses {
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
  /** Values in memory that a value follows from, where they are few. */
  readonly #origins = new Map<Value, readonly Value[]>();
  readonly #roots = new Map<Value, Value>();

  /** Values that are an epilogue of a contraction: elementwise on its result and what follows from it alone. */
  readonly #epilogues = new Set<Value>();
  readonly #ready = new Set<Value>();
  /** Shapes of contractions behind values whose axes are products of theirs. */
  readonly #unmerged = new Map<Value, readonly Dim[]>();
  /** The reductions that values with one element a row follow from. */
  readonly #rowSources = new Map<Value, OpOf<'reduce'>>();
  /** Axes of values that follow from sums over their other axes, repeated along those: what a row kernel computes. */
  readonly #rowAxes = new Map<Value, readonly number[]>();

  constructor(graph: Graph, without?: Without, target?: FusionTarget) {
    super(graph, without, target);
    for (const op of graph.ops) this.#measure(op);
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

  /**
   * The values that have to be in memory to compute a value: those behind all elementwise ops and reductions, or itself
   * where they are many.
   */
  sourcesOf(value: Value): readonly Value[] {
    return this.#origins.get(value) ?? [this.storageOf(value)];
  }

  /** The value in memory that a value is an arrangement of: itself, or what is behind indices alone. */
  rootOf(value: Value): Value {
    return this.#roots.get(value) ?? this.storageOf(value);
  }

  #findSources(op: Op): readonly Value[] | undefined {
    if (op.opcode === 'constant') return isInlineConstant(op) ? [] : undefined;
    if (isAnchor(op) && op.opcode !== 'reduce') return undefined;
    const sources = new Set(readBy(op).flatMap((operand) => this.sourcesOf(operand)));
    return sources.size <= mostSources ? [...sources] : undefined;
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

  /**
   * Whether a value is repeated so often that it is stored rather than computed for each element, like a mean of rows.
   */
  #isWorthStoring(value: Value, { opcode, results }: Op): boolean {
    if (opcode !== 'broadcast_in_dim' || this.coneOf(value) <= this.target.cheapFlops) return false;
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
    const sources = this.#findSources(op);
    if (sources) this.#origins.set(result, sources);
    if (isFree(op) && op.operands.length > 0) this.#roots.set(result, this.rootOf(op.operands[0]));
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
    if (cone <= this.target.cheapFlops && readBy(op).every(isReady)) this.#ready.add(result);
    this.#cones.set(result, cone);
    this.#work.set(result, Math.min(work, mostWork));
    this.#sources.set(result, selectsElements(op) ? Math.min(source, bytes) : source);
  }
}

/** Whether a run of axes becomes one axis, but for axes of size 1. */
const isMerge = ({ toStart, toEnd }: ReshapeSegment, shape: readonly Dim[]): boolean =>
  shape.slice(toStart, toEnd).filter((size) => size !== 1).length <= 1;

const selectsElements = ({ opcode }: Op): boolean =>
  opcode === 'slice' || opcode === 'dynamic_slice' || opcode === 'gather' || opcode === 'pad';
