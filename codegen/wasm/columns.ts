/**
 * Work down the columns of a matrix: reductions, running sums and what follows from them for many columns side by side.
 * Column by column, each step of a sweep would be in another row, a cache line and perhaps a page away. So the loops
 * change places: tiles of columns go through memory row by row, and what belongs to a column waits in scratch memory.
 *
 *     parallel j < 2048 { reduce i < 1000 { load x[2048*i + j] } -> sum;  parallel i { load x[...]; ...; store y } }
 *
 *     for 8 rows i: for j in the tile: each of eight partial sums in scratch memory takes an element
 *     for j in the tile: the partial sums become the sum
 *     for rows i: for j in the tile: load, ..., store
 *
 * Every column sees the same operations in the same order, so no bit changes.
 */
import { ceilDivDims, dimBounds, dimProduct, isStatic } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import {
  type Kernel,
  type KernelNode,
  type Let,
  type Loop,
  type Reduce,
  reductionBlock,
  reductionLanes,
  type ScalarId,
} from '../../ir/kernel.ts';
import { likelyExtent } from '../common/cost.ts';
import { coefficientOf } from '../common/linear-index.ts';
import type { Unit } from '../common/units.ts';
import { freeValues, indicesOf, walk, writtenMemory } from '../common/walk.ts';
import type { AccumulatorCode, Sweep } from './accumulator-state.ts';
import { beginAccumulator } from './accumulators.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter, Span } from './nest.ts';
import type { Plan } from './plan.ts';
import { Round } from './reduce.ts';
import { outerLoops, type Tiling } from './tiles.ts';

/** Shorter columns and narrower matrices are left to plain loops. */
const leastRows = 16;
const leastColumns = 32;
/** Bodies with more nodes than this are not repeated for eight partial sums. */
const repeatedNodes = 40;

type Step =
  | { readonly kind: 'reduce'; readonly node: Reduce }
  | { readonly kind: 'running'; readonly node: Loop }
  | { readonly kind: 'rows'; readonly node: Loop }
  | { readonly kind: 'points'; readonly nodes: readonly KernelNode[] };

export interface Columns {
  readonly prefix: readonly Loop[];
  readonly loop: Loop;
  readonly lets: readonly Let[];
  readonly steps: readonly Step[];
}

const isFlat = (nodes: readonly KernelNode[]): boolean =>
  nodes.every((node) => node.kind === 'let' || node.kind === 'store');

function stepOf(node: KernelNode): Step | undefined {
  if (node.kind === 'store') return { kind: 'points', nodes: [node] };
  if (node.kind === 'loop' && isFlat(node.body)) {
    return { kind: node.mode === 'parallel' ? 'rows' : 'running', node };
  }
  if (node.kind !== 'reduce' || !node.body.every(({ kind }) => kind === 'let')) return undefined;
  const isOrdered = node.accumulators.some(
    (a) => a.kind === 'tuple' || (a.dtype === 'float32' && node.order === 'blocks'),
  );
  const fits = !isOrdered && [...walk(node.body)].length <= repeatedNodes;
  return fits ? { kind: 'reduce', node } : undefined;
}

const rowsOf = (step: Step): number => {
  if (step.kind === 'points') return 1;
  const axes = step.node.kind === 'loop' ? [step.node.axis] : step.node.axes;
  return axes.reduce((count, { extent }) => count * likelyExtent(extent), 1);
};

/**
 * Whether a unit reduces down columns that lie side by side in memory.
 * @param kernel the kernel that it belongs to
 */
export function matchColumns({ nodes }: Unit, plan: Plan, kernel: Kernel): Columns | undefined {
  const [node] = nodes;
  if (nodes.length !== 1 || node.kind !== 'loop' || node.mode !== 'parallel') return undefined;
  const chain = outerLoops(node, plan);
  const loop = chain[chain.length - 1];
  if (!plan.isVector(loop) || dimBounds(loop.axis.extent)[1] < leastColumns) return undefined;
  const lets: Let[] = [];
  const steps: Step[] = [];
  for (const inner of loop.body) {
    if (inner.kind === 'let') lets.push(inner);
    else {
      const step = stepOf(inner);
      if (!step) return undefined;
      const last = steps.at(-1);
      // One sweep for stores side by side: what they read is read before any of them.
      if (step.kind === 'points' && last?.kind === 'points') {
        steps[steps.length - 1] = { kind: 'points', nodes: [...last.nodes, ...step.nodes] };
      } else steps.push(step);
    }
  }
  if (readsOverwritten(steps, lets, kernel)) return undefined;
  const isLong = steps.some((step) => (step.kind === 'reduce' || step.kind === 'running') && rowsOf(step) >= leastRows);
  if (!isLong) return undefined;
  let contiguous = 0;
  for (const index of indicesOf(loop.body)) {
    const stride = coefficientOf(index, loop.axis.name);
    if (stride !== 0 && stride !== 1) return undefined;
    contiguous += stride;
  }
  const written = writtenMemory(kernel);
  const readsWritten = [...walk(loop.body)].some(
    (inner) => inner.kind === 'let' && inner.expression.kind === 'load' && written.has(inner.expression.memory),
  );
  return contiguous > 0 && !readsWritten ? { prefix: chain.slice(0, -1), loop, lets, steps } : undefined;
}

/**
 * Whether a sweep would compute a value anew from memory that a sweep before it, or one for another row, has
 * overwritten, since an output shares it.
 */
function readsOverwritten(steps: readonly Step[], lets: readonly Let[], { buffers }: Kernel): boolean {
  const shared = new Map(
    buffers.flatMap(({ name, inPlaceOf }) =>
      inPlaceOf === undefined ? [] : [[name, buffers[inPlaceOf].name] as const],
    ),
  );
  const overwritten = new Set<string>();
  for (const step of steps) {
    const nodes = step.kind === 'points' ? step.nodes : [step.node];
    const reads = loadsOf(neededBy(readsOf(nodes), lets), lets);
    const stored = [...walk(nodes)].flatMap((node) => (node.kind === 'store' ? (shared.get(node.memory) ?? []) : []));
    if (step.kind !== 'points') for (const memory of stored) overwritten.add(memory);
    if (reads.some((memory) => overwritten.has(memory))) return true;
    for (const memory of stored) overwritten.add(memory);
  }
  return false;
}

const loadsOf = (needed: ReadonlySet<ScalarId>, lets: readonly Let[]): string[] =>
  lets.flatMap(({ id, expression }) => (needed.has(id) && expression.kind === 'load' ? [expression.memory] : []));

/** What must be computed for some values: they, and of `lets` what they follow from. */
function neededBy(reads: Iterable<ScalarId>, lets: readonly Let[]): ReadonlySet<ScalarId> {
  const needed = new Set(reads);
  for (const node of [...lets].reverse()) {
    if (needed.has(node.id)) for (const id of freeValues(node)) needed.add(id);
  }
  return needed;
}

export function tileColumns({ prefix, loop }: Columns): Tiling & { readonly columns: number } {
  const { extent } = loop.axis;
  const rows = dimProduct(prefix.map(({ axis }) => axis.extent));
  const sixteens = (count: number): number => 16 * Math.ceil(count / 16);
  const most = likelyExtent(extent);
  const columns =
    likelyExtent(rows) >= 8 ? Math.min(512, sixteens(most)) : Math.min(512, Math.max(64, sixteens(most / 4)));
  return { tiles: dimProduct([rows, ceilDivDims(extent, columns)]), prefix, rows: 1, columns };
}

/** Emits the columns of a span, of at most `width` columns. */
export class ColumnEmitter {
  readonly #emitter: NestEmitter;
  readonly #columns: Columns;
  readonly #width: number;
  readonly #prefix: string;
  /** Where results of reductions and carried values are kept: vectors of the array `kept`. */
  readonly #kept = new Map<ScalarId, number>();
  #keptCount = 0;
  #stateCount = 0;
  #span: Span | undefined;

  constructor(emitter: NestEmitter, columns: Columns, width: number, prefix: string) {
    this.#emitter = emitter;
    this.#columns = columns;
    this.#width = width;
    this.#prefix = prefix;
  }

  get #f() {
    return this.#emitter.env.f;
  }

  emit(span: Span): void {
    this.#span = span;
    for (const step of this.#columns.steps) {
      if (step.kind === 'reduce') this.#reduce(step.node);
      else if (step.kind === 'running') this.#running(step.node);
      else if (step.kind === 'rows') {
        const { axis, body } = step.node;
        this.#emitter.scalarLoop(axis.name, axis.extent, () =>
          this.#sweep(2, readsOf(body), () => this.#emitter.emit(body)),
        );
      } else this.#sweep(2, readsOf(step.nodes), () => this.#emitter.emit(step.nodes));
    }
    const { layout } = this.#f;
    layout.addScratch(`${this.#prefix}kept`, 'float32', this.#keptCount * this.#width);
    layout.addScratch(`${this.#prefix}state`, 'float32', this.#stateCount * this.#width);
  }

  /** A vector loop over the columns, with the values defined that `body` reads. */
  #sweep(copies: number, reads: Iterable<ScalarId>, body: () => void): void {
    const { env } = this.#emitter;
    const { loop, lets } = this.#columns;
    if (!this.#span) throw internalError('columns are emitted without a span');
    this.#emitter.vectorLoop(loop.axis.name, this.#span, copies, () => {
      const needed = neededBy(reads, lets);
      for (const [id, place] of this.#kept) {
        if (!needed.has(id)) continue;
        const locals = this.#each((copy) => this.#f.let('v128', this.#load('kept', place, copy)));
        env.values.set(id, { dtype: env.dtypeOf(id), locals, varying: true, depth: this.#f.scope.depth });
      }
      this.#emitter.emit(lets.filter(({ id }) => needed.has(id)));
      body();
    });
  }

  #each<T>(make: (copy: number) => T): T[] {
    return Array.from({ length: this.#emitter.env.lanes?.copies ?? 1 }, (_, copy) => make(copy));
  }

  /** The address of the current columns in an array of vectors: an expression and an offset. */
  #place(array: 'kept' | 'state', vector: number, copy: number): readonly [Expression, number] {
    const f = this.#f;
    const { i32 } = f.module;
    const { local } = this.#emitter.env.axis(this.#columns.loop.axis.name);
    if (local === undefined || !this.#span) throw internalError('columns are not in a loop');
    const key = `${this.#prefix}${array} of ${local}`;
    let at = f.scope.derived.get(key);
    if (at === undefined) {
      const column = i32.sub(f.get(local), this.#span.start());
      at = f.let('i32', i32.add(f.base(`${this.#prefix}${array}`), i32.shl(column, f.i32(2))));
      f.scope.derived.set(key, at);
    }
    return [f.get(at), 4 * this.#width * vector + 16 * copy];
  }

  #load(array: 'kept' | 'state', vector: number, copy: number): Expression {
    const [base, offset] = this.#place(array, vector, copy);
    return this.#f.module.v128.load(offset, 4, base);
  }

  #store(array: 'kept' | 'state', vector: number, copy: number, value: Expression): void {
    const [base, offset] = this.#place(array, vector, copy);
    this.#f.statement(this.#f.module.v128.store(offset, 4, base, value));
  }

  #keep(id: ScalarId): number {
    const known = this.#kept.get(id) ?? this.#keptCount++;
    this.#kept.set(id, known);
    return known;
  }

  #reduce(node: Reduce): void {
    const emitter = this.#emitter;
    const f = this.#f;
    const { i32 } = f.module;
    const last = node.axes[node.axes.length - 1];
    const flushes = node.axes.length > 1 || dimBounds(last.extent)[1] > reductionBlock;
    const probe: Probe = { inner: 0, outer: 0 };
    const begin = (): AccumulatorCode[] => {
      const sweep: Sweep = { across: false, copies: emitter.env.lanes?.copies ?? 1, flushes };
      const codes = node.accumulators.map((accumulator) => beginAccumulator(emitter, accumulator, node.order, sweep));
      [probe.inner, probe.outer] = [statesOf(codes, 'inner').length, statesOf(codes, 'outer').length];
      return codes;
    };
    /** All state of a part; or that of one of eight lanes; or the `whole` of what does not go by lanes. */
    const move = (
      codes: readonly AccumulatorCode[],
      part: 'inner' | 'outer',
      direction: 'load' | 'store',
      only?: number | 'whole',
    ): void => {
      let vector = part === 'inner' ? 0 : probe.inner;
      for (const code of codes) {
        statesOf([code], part).forEach((locals, at) => {
          const place = vector++;
          const lane = code.slots > 1 ? at % reductionLanes : 'whole';
          if (only !== undefined && only !== lane) return;
          locals.forEach((local, copy) => {
            if (direction === 'load') f.set(local, this.#load('state', place, copy));
            else this.#store('state', place, copy, f.get(local));
          });
        });
      }
    };
    this.#sweep(1, [], () => {
      const codes = begin();
      move(codes, 'inner', 'store');
      move(codes, 'outer', 'store');
    });
    /** Takes `count` rows from a multiple of eight on, into all columns. */
    const take = (first: number, from: number, count: number, step?: number): void => {
      const { scope } = f;
      this.#sweep(2, readsOf([node]), () => {
        const codes = begin();
        const sweep: Sweep = { across: false, copies: emitter.env.lanes?.copies ?? 1, flushes };
        const round = new Round(emitter, node, last, sweep, codes);
        move(codes, 'inner', 'load', 'whole');
        for (let slot = from; slot < from + count; slot++) {
          move(codes, 'inner', 'load', slot);
          round.along({ local: first, delta: slot, scope, ...(step && { step, fromZero: true }) }, slot);
          move(codes, 'inner', 'store', slot);
        }
        move(codes, 'inner', 'store', 'whole');
      });
    };
    const flush = (): void => {
      if (probe.outer === 0) return;
      this.#sweep(1, [], () => {
        const codes = begin();
        move(codes, 'inner', 'load');
        move(codes, 'outer', 'load');
        for (const code of codes) code.flush();
        move(codes, 'inner', 'store');
        move(codes, 'outer', 'store');
      });
    };
    const rows = (): void => {
      const first = f.newLocal('i32', last.name);
      const beforeLast = i32.sub(f.size(last.extent), f.i32(reductionLanes - 1));
      const whole = f.let('i32', beforeLast);
      f.loop({ counter: first, start: f.i32(0), step: reductionLanes, limit: () => f.get(whole) }, () => {
        take(first, 0, reductionLanes, reductionLanes);
        const end = i32.add(f.get(first), f.i32(reductionLanes));
        if (probe.outer > 0) f.when(i32.eqz(i32.and(end, f.i32(reductionBlock - 1))), flush);
      });
      if (isStatic(last.extent)) {
        const rest = last.extent % reductionLanes;
        if (rest > 0) f.group(() => take(first, 0, rest));
      } else {
        for (let slot = 0; slot + 1 < reductionLanes; slot++) {
          const exists = i32.lt_s(i32.add(f.get(first), f.i32(slot)), f.size(last.extent));
          f.when(exists, () => take(first, slot, 1));
        }
      }
      flush();
    };
    const nest = (level: number): void => {
      const axis = node.axes[level];
      if (level < node.axes.length - 1) emitter.scalarLoop(axis.name, axis.extent, () => nest(level + 1));
      else rows();
    };
    nest(0);
    this.#stateCount = Math.max(this.#stateCount, probe.inner + probe.outer);
    this.#sweep(1, [], () => {
      const codes = begin();
      move(codes, probe.outer > 0 ? 'outer' : 'inner', 'load');
      if (probe.outer > 0) move(codes, 'inner', 'load');
      for (const code of codes) code.finish();
      for (const accumulator of node.accumulators) {
        if (accumulator.kind === 'tuple') throw internalError('tuples are not reduced by columns');
        const place = this.#keep(accumulator.result);
        this.#each((copy) => this.#store('kept', place, copy, emitter.env.read(accumulator.result, copy)));
      }
    });
  }

  #running({ axis, body, carried = [] }: Loop): void {
    const emitter = this.#emitter;
    const { env } = emitter;
    const places = carried.map(({ id }) => this.#keep(id));
    const reads = new Set([...readsOf(body), ...carried.flatMap(({ id, next }) => [id, next])]);
    const initials = carried.map(({ initial }) => initial);
    this.#sweep(1, initials, () => {
      carried.forEach(({ initial }, at) => {
        this.#each((copy) => this.#store('kept', places[at], copy, env.read(initial, copy)));
      });
    });
    emitter.scalarLoop(axis.name, axis.extent, () => {
      this.#sweep(2, reads, () => {
        emitter.emit(body);
        const next = carried.map((c) => this.#each((copy) => this.#f.let('v128', env.read(c.next, copy))));
        carried.forEach((_, at) => {
          this.#each((copy) => this.#store('kept', places[at], copy, this.#f.get(next[at][copy])));
        });
      });
    });
  }
}

const readsOf = (nodes: readonly KernelNode[]): ScalarId[] => nodes.flatMap((node) => [...freeValues(node)]);

interface Probe {
  inner: number;
  outer: number;
}

function statesOf(codes: readonly AccumulatorCode[], part: 'inner' | 'outer'): readonly (readonly number[])[] {
  return codes.flatMap((code) => code.state?.[part] ?? []);
}
