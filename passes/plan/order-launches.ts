/**
 * The order of launches decides how much is alive at once. Fusion hands launches over in the order of the program; here
 * several other orders that dependence allows are tried, and the one with the smallest peak is kept:
 *
 *     program        as it is
 *     forward        always the launch that adds the fewest bytes to what is alive
 *     backward       the same from the end: always the launch that needs the fewest bytes to be alive before it
 *
 *     a = f(x); b = g(x); c = sum(a); d = sum(b)     program: a and b are alive at once
 *     a = f(x); c = sum(a); b = g(x); d = sum(b)     forward: one of them
 *
 * Finding the best order is NP-complete (R. Sethi, "Complete register allocation problems", 1975). Time is near-linear
 * in the edges. Ties keep the order of the program, so that the result depends on the launches alone.
 */
import { arenaAlignment } from '../../base/arena.ts';
import type { Value } from '../../ir/types.ts';
import type { LoweredGroup } from '../lower/lower-group.ts';
import { PriorityQueue } from '../priority-queue.ts';

/** What of a launch matters here. */
export type OrderedLaunch = Pick<LoweredGroup, 'reads' | 'writes' | 'after' | 'inPlaceVariant'> & {
  readonly kernel: Pick<LoweredGroup['kernel'], 'buffers'>;
};

export interface OrderRequest {
  readonly launches: readonly OrderedLaunch[];
  /** Bytes of a value in the arena; 0 for inputs, constants and outputs, which are alive all the time. */
  bytesOf(value: Value): number;
  /** Whether a value is an input whose memory outputs may take over. */
  isDonated(value: Value): boolean;
}

/** Launches as a graph of what must come before what, with what each allocates. */
export class LaunchGraph {
  readonly count: number;
  /** Launches that must come after a launch. */
  readonly after: readonly (readonly number[])[];
  readonly before: readonly (readonly number[])[];
  /** Values by number: their bytes, the launches that read them, and the one that writes them. */
  readonly bytes: readonly number[];
  readonly readers: readonly (readonly number[])[];
  readonly writer: readonly number[];
  /** Values that a launch reads and writes, and for each written one the read value whose memory it may take. */
  readonly reads: readonly (readonly number[])[];
  readonly writes: readonly (readonly { readonly value: number; readonly inPlaceOf: number | undefined }[])[];

  constructor({ launches, bytesOf, isDonated }: OrderRequest) {
    this.count = launches.length;
    const numbers = new Map<Value, number>();
    const bytes: number[] = [];
    const readers: number[][] = [];
    const writer: number[] = [];
    const numberOf = (value: Value): number => {
      const known = numbers.get(value);
      if (known !== undefined) return known;
      numbers.set(value, bytes.length);
      readers.push([]);
      writer.push(-1);
      return bytes.push(bytesOf(value)) - 1;
    };
    this.reads = launches.map(({ reads }, launch) => {
      const values = [...new Set(reads.map(numberOf))];
      for (const value of values) readers[value].push(launch);
      return values;
    });
    this.writes = launches.map((group, launch) =>
      group.writes.map((written, at) => {
        const value = numberOf(written);
        writer[value] = launch;
        const operand = overwrittenBy(group, at);
        return { value, inPlaceOf: operand && numberOf(operand) };
      }),
    );
    const after = Array.from({ length: this.count }, () => new Set<number>());
    bytes.forEach((_, value) => {
      if (writer[value] >= 0)
        for (const reader of readers[value]) if (reader !== writer[value]) after[writer[value]].add(reader);
    });
    launches.forEach(({ after: awaited = [] }, launch) => {
      for (const value of awaited) {
        const before = writer[numbers.get(value) ?? -1] ?? -1;
        if (before >= 0 && before !== launch) after[before].add(launch);
      }
    });
    // What overwrites a donated input comes after all others that read it.
    launches.forEach((group, launch) => {
      for (const operand of overwritten(group)) {
        if (!isDonated(operand)) continue;
        for (const reader of readers[numberOf(operand)]) if (reader < launch) after[reader].add(launch);
      }
    });
    const before = Array.from({ length: this.count }, (): number[] => []);
    after.forEach((followers, launch) => {
      for (const follower of followers) before[follower].push(launch);
    });
    this.bytes = bytes;
    this.readers = readers;
    this.writer = writer;
    this.after = after.map((followers) => [...followers]);
    this.before = before;
  }
}

/** The operand whose memory a written value may take. */
function overwrittenBy({ kernel, reads, inPlaceVariant }: OrderedLaunch, at: number): Value | undefined {
  const pair = kernel.buffers[reads.length + at].inPlaceOf;
  return inPlaceVariant?.operand ?? (pair === undefined ? undefined : reads[pair]);
}

const overwritten = (group: OrderedLaunch): Value[] => group.writes.flatMap((_, at) => overwrittenBy(group, at) ?? []);

/** What is alive while launches run one after the other. */
export class Liveness {
  readonly #graph: LaunchGraph;
  /** Readers of each value that have not run. */
  readonly #open: number[];
  alive = 0;
  peak = 0;

  constructor(graph: LaunchGraph) {
    this.#graph = graph;
    this.#open = graph.readers.map((readers) => readers.length);
  }

  /** Bytes that a launch would add while it runs, and those that would be left of them. */
  effect(launch: number): { readonly during: number; readonly after: number } {
    const { bytes, reads, writes, readers } = this.#graph;
    let during = 0;
    let freed = 0;
    for (const value of reads[launch]) if (this.#open[value] === 1) freed += bytes[value];
    for (const { value, inPlaceOf } of writes[launch]) {
      const takes = inPlaceOf !== undefined && this.#open[inPlaceOf] === 1 && bytes[inPlaceOf] > 0;
      if (!takes) during += bytes[value];
      else freed -= bytes[inPlaceOf];
      if (readers[value].length === 0) freed += bytes[value];
    }
    return { during, after: during - freed };
  }

  openReaders(value: number): number {
    return this.#open[value];
  }

  /** Runs a launch. @returns what takes it back */
  run(launch: number): () => void {
    const { alive, peak } = this;
    const { during, after } = this.effect(launch);
    this.peak = Math.max(peak, alive + during);
    this.alive += after;
    for (const value of this.#graph.reads[launch]) this.#open[value]--;
    return () => {
      for (const value of this.#graph.reads[launch]) this.#open[value]++;
      this.alive = alive;
      this.peak = peak;
    };
  }
}

/** The most bytes alive at once in an order. */
export function peakOfOrder(graph: LaunchGraph, order: readonly number[]): number {
  const liveness = new Liveness(graph);
  for (const launch of order) liveness.run(launch);
  return liveness.peak;
}

/** So many launches a key can tell apart. */
const mostLaunches = 2 ** 20;

/** Launches that may run by now, those first that leave the fewest bytes; equal ones in the order of the program. */
class Ready {
  readonly #queue = new PriorityQueue<{ readonly launch: number; readonly key: number }>();
  readonly #keys = new Map<number, number>();

  put(launch: number, bytes: number): void {
    if (this.#keys.get(launch) === bytes) return;
    this.#keys.set(launch, bytes);
    this.#queue.push({ launch, key: bytes }, Math.floor(bytes / arenaAlignment) * mostLaunches + launch);
  }

  has(launch: number): boolean {
    return this.#keys.has(launch);
  }

  /** Entries whose key has changed since are passed over. */
  take(): number | undefined {
    for (let entry = this.#queue.pop(); entry; entry = this.#queue.pop()) {
      if (this.#keys.get(entry.launch) !== entry.key) continue;
      this.#keys.delete(entry.launch);
      return entry.launch;
    }
    return undefined;
  }
}

function orderForward(graph: LaunchGraph): number[] {
  const liveness = new Liveness(graph);
  const waiting = graph.before.map((before) => before.length);
  const ready = new Ready();
  const rate = (launch: number): void => ready.put(launch, liveness.effect(launch).after);
  waiting.forEach((count, launch) => {
    if (count === 0) rate(launch);
  });
  const order: number[] = [];
  for (let launch = ready.take(); launch !== undefined; launch = ready.take()) {
    order.push(launch);
    liveness.run(launch);
    for (const follower of graph.after[launch]) if (--waiting[follower] === 0) rate(follower);
    // The last reader of a value frees it.
    for (const value of graph.reads[launch]) {
      if (liveness.openReaders(value) !== 1) continue;
      for (const reader of graph.readers[value]) if (ready.has(reader)) rate(reader);
    }
  }
  return order;
}

function orderBackward(graph: LaunchGraph): number[] {
  const waiting = graph.after.map((after) => after.length);
  const alive = new Set<number>();
  const ready = new Ready();
  const rate = (launch: number): void => {
    let bytes = 0;
    for (const value of graph.reads[launch]) if (!alive.has(value)) bytes += graph.bytes[value];
    for (const { value } of graph.writes[launch]) bytes -= graph.bytes[value];
    ready.put(launch, bytes);
  };
  waiting.forEach((count, launch) => {
    if (count === 0) rate(launch);
  });
  const order: number[] = [];
  for (let launch = ready.take(); launch !== undefined; launch = ready.take()) {
    order.push(launch);
    for (const value of graph.reads[launch]) {
      if (alive.has(value)) continue;
      alive.add(value);
      for (const reader of graph.readers[value]) if (ready.has(reader)) rate(reader);
    }
    for (const earlier of graph.before[launch]) if (--waiting[earlier] === 0) rate(earlier);
  }
  return order.reverse();
}

/** An order of launches with a small peak: positions in `launches`. */
export function orderLaunches(request: OrderRequest): readonly number[] {
  const program = request.launches.map((_, launch) => launch);
  const graph = new LaunchGraph(request);
  let best: readonly number[] = program;
  let least = peakOfOrder(graph, program);
  for (const candidate of [orderForward(graph), orderBackward(graph)]) {
    const peak = peakOfOrder(graph, candidate);
    if (peak < least) [best, least] = [candidate, peak];
  }
  return best;
}
