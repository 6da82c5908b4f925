/**
 * Rematerialisation: what is kept in memory across the fullest moment of a program, only to be read later, is computed
 * again after it instead, from what is there anyway or is smaller.
 *
 *     launch 3   is the fullest          before: %h = gelu(%z), %z kept for gelu's gradient, %h for the weight's
 *     launch 9   reads %h again          after:  %1 = optimization_barrier %z, %late;  %h' = gelu(%1), in launch 9
 *
 * The moment splits the ops in two: those that some launch up to it computes, and those that come later. The values
 * that later ops need of earlier ones must be kept or computed again, and for that what they are computed from. The
 * cheapest choice is a minimum cut (a project selection problem, after C. Chekuri's notes and J. Picard, 1976), as in
 * functorch's min-cut partitioner (H. He, 2022) where the moment is the border of forward and backward pass:
 *
 *     source → in(v)      price of computing v again        cut: v is computed again
 *     in(v) → out(v)      bytes of v                        cut: v is kept
 *     out(u) → in(v)      infinite, for each operand u      who computes v again needs u
 *     out(v) → sink       infinite                          later ops need v
 *
 * What an operation is worth in bytes is sought such that no more is computed again than the wanted saving takes, first
 * what is needed last: it stays away longest. Bits do not change: the copies are the same operations on the same
 * values.
 */
import type { Dim } from '../../base/dim.ts';
import { flopsOf } from '../../ir/ops/index.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';
import { isView, readBy } from '../fuse/graph-uses.ts';
import { isInlineConstant } from '../lower/emitter.ts';
import { withoutDeadOps } from '../optimize/dead-code.ts';
import { asOp, createOp, withOperands } from '../rewrite-emit.ts';
import { type Cut, FlowNetwork } from './min-cut.ts';

/** How a graph runs, launch by launch. */
export interface Schedule {
  readonly launches: readonly ScheduledLaunch[];
  /** Bytes of the arena that are in use at each launch. */
  readonly alive: readonly number[];
}

export interface ScheduledLaunch {
  /** Ops that it computes; cheap ones may be in several. */
  readonly ops: readonly Op[];
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
}

export interface RecomputeRequest {
  readonly graph: Graph;
  readonly schedule: Schedule;
  /** Bytes that the fullest launch should hold less. */
  readonly wanted: number;
  /** A size as a number. */
  readonly numberOf: (size: Dim) => number;
  /** Bytes that a value takes up in the arena. */
  readonly bytesOf: (value: Value) => number;
}

/**
 * What a floating point operation is worth in bytes: from where nearly nothing is computed again to nearly everything.
 */
const [dearest, cheapest] = [64, 2 ** -20];
/** Halvings of the way between two rates in the search for the right one. */
const refinements = 12;
/** How much cheaper a copy is that is needed at the end than one that is needed at once. */
const patienceFactor = 16;

/**
 * The graph with less alive at its fullest launch.
 * @returns nothing when no choice of what to keep takes fewer bytes
 */
export function recompute(request: RecomputeRequest): Graph | undefined {
  const split = new Split(request);
  const choice = split.choose(request.wanted);
  return choice && new Rewriting(split, choice).run();
}

/** An op of the graph and the first launch that computes it. */
interface Placed {
  readonly op: Op;
  readonly launch: number;
}

/** Values to compute again; all others that are needed are kept. */
type Choice = ReadonlySet<Value>;

/** The ops before and after the fullest launch, and what passes between them. */
class Split {
  readonly graph: Graph;
  readonly launches: readonly ScheduledLaunch[];
  /** The fullest launch. */
  readonly at: number;
  /** In an order that follows the launches. */
  readonly ops: readonly Placed[];
  readonly producers = new Map<Value, Placed>();
  readonly #request: RecomputeRequest;
  /** Values of earlier ops that later ops need. */
  readonly #needed = new Set<Value>();
  /** Stored values that take no bytes of the arena, or do so at the fullest launch in any case. */
  readonly #free: ReadonlySet<Value>;
  readonly #parkedBytes: number;
  readonly #dueAt = new Map<Value, number>();

  constructor(request: RecomputeRequest) {
    this.#request = request;
    this.graph = request.graph;
    const { launches, alive } = request.schedule;
    this.launches = launches;
    this.at = alive.indexOf(alive.reduce((most, bytes) => Math.max(most, bytes), 0));
    this.ops = inLaunchOrder(request.graph, launches);
    for (const placed of this.ops) for (const result of placed.op.results) this.producers.set(result, placed);
    for (const { op, launch } of this.ops) {
      if (launch <= this.at) continue;
      for (const operand of readBy(op)) if (this.isEarly(operand)) this.#needed.add(operand);
    }
    const { reads, writes } = launches[this.at];
    const touched = new Set([...reads, ...writes]);
    this.#free = new Set([...request.graph.parameters, ...touched, ...request.graph.results.map(this.#storageOf)]);
    const held = [...touched].filter((value) => this.producers.has(value) && !this.#isResult(value));
    this.#parkedBytes = alive[this.at] - held.reduce((sum, value) => sum + request.bytesOf(value), 0);
    this.#findDue();
  }

  readonly #storageOf = (value: Value): Value => {
    let root = value;
    for (let op = this.producers.get(root)?.op; op && isView(op); op = this.producers.get(root)?.op) {
      [root] = op.operands;
    }
    return root;
  };

  #isResult(value: Value): boolean {
    return this.graph.results.some((result) => this.#storageOf(result) === value);
  }

  /** Whether an op up to the fullest launch makes a value. */
  isEarly(value: Value): boolean {
    const placed = this.producers.get(value);
    return placed !== undefined && placed.launch <= this.at && placed.op.opcode !== 'constant';
  }

  /** What to compute again at the dearest rate at which enough is saved, or else where most is. */
  choose(wanted: number): Choice | undefined {
    const target = this.#parkedBytes - wanted;
    let [dear, cheap] = [Math.log2(dearest), Math.log2(cheapest)];
    let best = this.#cutAt(cheapest);
    if (best.kept >= this.#parkedBytes) return undefined;
    if (best.kept > target) return best.choice;
    for (let i = 0; i < refinements; i++) {
      const middle = (dear + cheap) / 2;
      const found = this.#cutAt(2 ** middle);
      if (found.kept <= target) [best, cheap] = [found, middle];
      else dear = middle;
    }
    return best.choice;
  }

  #cutAt(rate: number): { readonly choice: Choice; readonly kept: number } {
    const values = this.#candidates();
    const numbers = new Map(values.map((value, at) => [value, at]));
    const [source, sink] = [2 * values.length, 2 * values.length + 1];
    const network = new FlowNetwork(2 * values.length + 2);
    values.forEach((value, at) => {
      network.addEdge(source, 2 * at, this.#price(value, rate));
      network.addEdge(2 * at, 2 * at + 1, this.#keepingBytes(value));
      if (this.#needed.has(value)) network.addEdge(2 * at + 1, sink, Infinity);
      for (const operand of new Set(this.#operandsOf(value))) {
        const from = numbers.get(operand);
        if (from !== undefined) network.addEdge(2 * from + 1, 2 * at, Infinity);
      }
    });
    return this.#choiceOf(values, network.cut(source, sink));
  }

  #choiceOf(values: readonly Value[], cut: Cut): { readonly choice: Choice; readonly kept: number } {
    const choice = new Set<Value>();
    let kept = 0;
    values.forEach((value, at) => {
      if (cut.behind(2 * at)) choice.add(value);
      else if (cut.behind(2 * at + 1)) kept += this.#keepingBytes(value);
    });
    return { choice, kept };
  }

  /** Early values that later ops need, and what those are computed from. */
  #candidates(): readonly Value[] {
    const found = new Set<Value>(this.#needed);
    for (const value of found) {
      for (const operand of this.#operandsOf(value)) if (this.isEarly(operand)) found.add(operand);
    }
    return [...found];
  }

  /** What has to be there to compute a value again. */
  #operandsOf(value: Value): readonly Value[] {
    const placed = this.producers.get(value);
    return !placed || this.#free.has(value) || !isRepeatable(placed.op) ? [] : readBy(placed.op);
  }

  /** Views are not kept: what they look at is. */
  #keepingBytes(value: Value): number {
    if (this.#free.has(value)) return 0;
    const op = this.producers.get(value)?.op;
    return op && isView(op) ? Infinity : this.#request.bytesOf(value);
  }

  #price(value: Value, rate: number): number {
    const op = this.producers.get(value)?.op;
    if (!op || !isRepeatable(op)) return Infinity;
    const wait = ((this.#dueAt.get(value) ?? this.at) - this.at) / Math.max(this.launches.length - this.at, 1);
    return Math.max(1, Math.ceil((rate * this.#request.numberOf(flopsOf(op))) / patienceFactor ** wait));
  }

  /** For each early value, the first later launch that needs it, or what is computed from it. */
  #findDue(): void {
    const note = (value: Value, launch: number): void => {
      this.#dueAt.set(value, Math.min(this.#dueAt.get(value) ?? Infinity, launch));
    };
    for (const { op, launch } of [...this.ops].reverse()) {
      if (launch > this.at) for (const operand of readBy(op)) note(operand, launch);
      else {
        const due = this.#dueAt.get(op.results[0]);
        for (const operand of readBy(op)) {
          if (due !== undefined && !this.#needed.has(operand)) note(operand, due);
        }
      }
    }
  }
}

/** Scatters apply their updates in order, on one thread: nobody wants to wait for that twice. */
const isRepeatable = (op: Op): boolean =>
  op.results.length === 1 && op.regions.length === 0 && op.opcode !== 'scatter' && op.opcode !== 'call';

/** The ops in the order of the first launches that compute them; what is in no launch comes as early as it can. */
function inLaunchOrder({ ops }: Graph, launches: readonly ScheduledLaunch[]): readonly Placed[] {
  const first = new Map<Op, number>();
  launches.forEach((launch, at) => {
    for (const op of launch.ops) if (!first.has(op)) first.set(op, at);
  });
  const launchOf = new Map<Value, number>();
  const placed = ops.map((op): Placed => {
    const after = op.operands.reduce((latest, operand) => Math.max(latest, launchOf.get(operand) ?? 0), 0);
    const launch = Math.max(first.get(op) ?? 0, after);
    for (const result of op.results) launchOf.set(result, launch);
    return { op, launch };
  });
  return placed.sort((a, b) => a.launch - b.launch);
}

/** Writes the copies of what is computed again in front of the later ops that need it. */
class Rewriting {
  readonly #split: Split;
  readonly #choice: Choice;
  readonly #ops: Op[] = [];
  readonly #copies = new Map<Value, Value>();
  /** Kept values behind a barrier, for the copies that one launch needs. */
  #hidden = new Map<Value, Value>();
  #launch = -1;

  constructor(split: Split, choice: Choice) {
    this.#split = split;
    this.#choice = choice;
  }

  run(): Graph {
    const { graph, ops, at } = this.#split;
    for (const { op, launch } of ops) {
      if (launch <= at) {
        this.#ops.push(op);
        continue;
      }
      if (launch !== this.#launch) this.#hidden = new Map();
      this.#launch = launch;
      const read = new Set(readBy(op));
      for (const operand of read) this.#copy(operand);
      const operands = op.operands.map((operand) => (read.has(operand) && this.#copies.get(operand)) || operand);
      this.#ops.push(operands.every((operand, i) => operand === op.operands[i]) ? op : withOperands(op, operands));
    }
    return withoutDeadOps({ ...graph, ops: this.#ops });
  }

  /** Makes sure that a value to be computed again has been; what it is computed from comes first. */
  #copy(wanted: Value): void {
    const waiting = [wanted];
    for (let value = waiting.at(-1); value !== undefined; value = waiting.at(-1)) {
      const op = this.#choice.has(value) && !this.#copies.has(value) ? this.#split.producers.get(value)?.op : undefined;
      const missing = op && readBy(op).filter((operand) => this.#choice.has(operand) && !this.#copies.has(operand));
      if (missing && missing.length > 0) {
        waiting.push(...missing);
        continue;
      }
      waiting.pop();
      if (op) this.#repeat(op);
    }
  }

  #repeat(op: Op): void {
    const [result] = op.results;
    const operands = readBy(op).map((operand) => this.#copies.get(operand) ?? this.#behindBarrier(operand));
    if (op.opcode === 'optimization_barrier') {
      this.#copies.set(result, operands[0]);
      return;
    }
    const copy = { ...result };
    this.#ops.push({ ...op, operands, results: [copy] } as Op);
    this.#copies.set(result, copy);
  }

  #behindBarrier(value: Value): Value {
    const constant = this.#split.producers.get(value)?.op;
    if (constant && isInlineConstant(constant)) return value;
    let hidden = this.#hidden.get(value);
    if (!hidden) {
      const barrier = createOp('optimization_barrier', [value, ...this.#before(this.#launch)], {}, undefined);
      this.#ops.push(asOp(barrier));
      [hidden] = barrier.results;
      this.#hidden.set(value, hidden);
    }
    return hidden;
  }

  /** What the latest launch before another writes: copies for that other need not come earlier. */
  #before(launch: number): readonly Value[] {
    const { launches, at, producers } = this.#split;
    for (let before = launch - 1; before >= at; before--) {
      const written = launches[before].writes.find((value) => (producers.get(value)?.launch ?? launch) <= before);
      if (written) return [written];
    }
    return [];
  }
}
