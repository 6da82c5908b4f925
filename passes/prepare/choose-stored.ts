/**
 * Which fixed values are worth keeping from call to call. Every fixed value that other ops read is looked at, from the
 * end of the graph to its start; one that is not kept makes way for the values that it is computed from.
 *
 *     %0 = add %variance, 1e-5;  %1 = rsqrt %0;  %2 = multiply %weight, %1         f32[64]
 *     %3 = broadcast_in_dim %2 to f32[1,64,56,56];  %4 = multiply %x, %3           keeps %2, of which 200,704 are read
 *
 * What keeping a value saves is counted in the unit of fusion (`fuse/target.ts`): the operations that compute it, and
 * the bytes they read, less the bytes of the value. Bytes kept are bounded by those of the captured tensors.
 */

import { flopsOf, traitsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';
import { estimate, type GraphUses, isAnchor, isContraction, isFree, isView, readBy } from '../fuse/graph-uses.ts';

/** Operations and bytes that keeping a value must save at each call. */
export const leastSaved = 8192;
/**
 * Operations for one element of what follows from constants alone, at least: kernels that know it to be made of
 * positions, such as a causal mask, leave out whole parts of their work.
 */
const leastOfPositions = 8;
/** The part of a contraction's operations that keeping its operand must save. */
const leastShare = 1 / 64;
/** What moving one element costs where it is no mere index. */
const moveCost = 4;
/** Ops behind a value that are looked at; what more there are only makes it dearer. */
const mostOps = 256;
/** Bytes kept for each byte that they follow from. */
const mostGrowth = 2;
/** Bytes kept of what follows from constants alone, or is much more than it follows from. */
const freeBytes = 1 << 20;

/** How many bytes a program may keep from call to call. */
export class StorageBudget {
  #derived: number;
  #free = freeBytes;

  /** @param heldBytes bytes of the parameters that are the same at every call */
  constructor(heldBytes: number) {
    this.#derived = mostGrowth * heldBytes;
  }

  /** Sets bytes aside, if there are so many. @param sources bytes of the held parameters behind them */
  take(bytes: number, sources: number): boolean {
    if (bytes <= mostGrowth * sources && bytes <= this.#derived) {
      this.#derived -= bytes;
      return true;
    }
    if (bytes > this.#free) return false;
    this.#free -= bytes;
    return true;
  }
}

export interface StoreRequest {
  readonly graph: Graph;
  readonly uses: GraphUses;
  readonly fixed: ReadonlySet<Value>;
  readonly budget: StorageBudget;
  /** How often the program calls the graph: each call keeps values of its own. */
  readonly copies: number;
  /** Operations and bytes that keeping a value must save at each call. */
  readonly leastSaved: number;
  /** Values that are kept in any case. */
  readonly given: ReadonlySet<Value>;
}

/** How the rest of the graph needs a fixed value. */
interface Demand {
  /** Elements that are computed of it at each call. */
  elements: number;
  /** Operations of the contractions that read it. */
  contractions: number;
  /** A called function wants it in memory that stays. */
  isHandedOver: boolean;
}

/** What computing a value takes at each call. */
interface Cost {
  readonly work: number;
  /** How many elements are computed. */
  readonly evaluations: number;
  /** Bytes of memory behind it, and those of held parameters among them. */
  readonly bytes: number;
  readonly sources: number;
}

/** The fixed values to keep; none is a result of the graph. */
export const chooseStored = (request: StoreRequest): ReadonlySet<Value> => new Chooser(request).choose();

class Chooser {
  readonly #request: StoreRequest;
  readonly #demands = new Map<Value, Demand>();
  readonly #stored: Set<Value>;
  /** Results belong to the caller, and are made anew at each call. */
  readonly #results: ReadonlySet<Value>;

  constructor(request: StoreRequest) {
    this.#request = request;
    this.#stored = new Set(request.given);
    this.#results = new Set(request.graph.results.map((result) => request.uses.storageOf(result)));
  }

  choose(): ReadonlySet<Value> {
    const { graph, fixed } = this.#request;
    for (let position = graph.ops.length - 1; position >= 0; position--) {
      const op = graph.ops[position];
      if (fixed.has(op.results[0])) this.#decide(op);
      else for (const operand of readBy(op)) if (fixed.has(operand)) this.#demandFrom(op, operand);
    }
    return this.#stored;
  }

  #demandFrom(op: Op, operand: Value): void {
    const { uses } = this.#request;
    const repeated = isFree(op) ? op.results[0] : operand;
    this.#demand(operand, {
      elements: uses.elementsOf(repeated),
      contractions: isContraction(op) ? estimate(flopsOf(op)) : 0,
      isHandedOver: op.opcode === 'call',
    });
  }

  #demand(value: Value, { elements, contractions, isHandedOver }: Demand): void {
    if (this.#stored.has(value)) return;
    const { uses } = this.#request;
    const source = isHandedOver ? uses.storageOf(value) : this.#sourceOf(value);
    const op = uses.producerOf(source);
    if (!op || (op.operands.length === 0 && !isHandedOver)) return;
    const known = this.#demands.get(source);
    if (!known) this.#demands.set(source, { elements, contractions, isHandedOver });
    else {
      known.elements += elements;
      known.contractions += contractions;
      known.isHandedOver ||= isHandedOver;
    }
  }

  /** What a value is a rearrangement or a repetition of. */
  #sourceOf(value: Value): Value {
    const { uses, fixed } = this.#request;
    let source = value;
    for (let op = uses.producerOf(source); op && (isFree(op) || isView(op)); op = uses.producerOf(source)) {
      const [operand] = op.operands;
      if (!operand || !fixed.has(operand)) break;
      source = operand;
    }
    return source;
  }

  #decide(op: Op): void {
    const [value] = op.results;
    const demand = this.#demands.get(value);
    if (!demand || this.#stored.has(value)) return;
    const { uses, budget, copies } = this.#request;
    const { work, evaluations, bytes, sources } = this.#costOf(value, demand);
    const least = Math.max(this.#request.leastSaved, leastShare * demand.contractions);
    const isDear = sources > 0 || work >= leastOfPositions * evaluations;
    const isWorth =
      demand.isHandedOver || (isDear && work + uses.target.byteCost * (bytes - uses.bytesOf(value)) >= least);
    if (isWorth && !this.#results.has(value) && budget.take(copies * uses.bytesOf(value), copies * sources)) {
      this.#stored.add(value);
      return;
    }
    for (const operand of readBy(op)) {
      const elements = isAnchor(op) ? uses.elementsOf(operand) : demand.elements;
      this.#demand(operand, { elements, contractions: demand.contractions, isHandedOver: false });
    }
  }

  #costOf(value: Value, { elements }: Demand): Cost {
    const { uses } = this.#request;
    const size = uses.elementsOf(value);
    // A single element is computed once, outside of all loops.
    const evaluations = size === 1 ? 1 : Math.max(size, elements);
    let [work, bytes, sources] = [0, 0, 0];
    const seen = new Set<Value>([value]);
    const open: { readonly value: Value; readonly isOnce: boolean }[] = [{ value, isOnce: false }];
    for (let next = open.pop(); next && seen.size < mostOps; next = open.pop()) {
      const op = this.#stored.has(next.value) ? undefined : uses.producerOf(next.value);
      if (!op) {
        bytes += uses.bytesOf(next.value);
        if (uses.positionOf(next.value) === undefined) sources += uses.bytesOf(next.value);
        continue;
      }
      const isOnce = next.isOnce || isAnchor(op);
      work += isOnce ? Math.max(estimate(flopsOf(op)), 0) : this.#flopsOf(op) * evaluations;
      for (const operand of readBy(op)) {
        if (seen.has(operand)) continue;
        seen.add(operand);
        open.push({ value: operand, isOnce });
      }
    }
    return { work, evaluations, bytes, sources };
  }

  /** Operations for one element. */
  #flopsOf(op: Op): number {
    if (isFree(op)) return 0;
    return traitsOf(op.opcode).movesData ? moveCost : this.#request.uses.flopsOf(op);
  }
}
