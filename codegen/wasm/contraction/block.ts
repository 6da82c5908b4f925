/**
 * The parts that schedules of contractions are made of: packing the right factors of some columns, and the work on four
 * rows of the result, which is register tiles into strips, then the epilogue on each row of the strips.
 *
 *     for each 4 rows:  pack the left factors' rows;  for each 8 columns: register tile → strip
 *                       for each row: epilogue on the strips' row → results
 *
 * A factor that is a plain load whose elements already lie right is read in place and not packed.
 */
import { ceilDivDims, type Dim, dimBounds, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { Axis, IndexExpression, Loop } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf, substituteAxes } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf } from '../addressing.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import type { Contraction, Factor, Sum } from './match.ts';
import { buildTile, type TileStrides } from './micro.ts';
import { buildPack, type Panel } from './pack.ts';

export const tileRows = 4;
export const tileColumns = 8;
/** Elements of the right factors that a chunk should hold: half a megabyte. */
const chunkElements = 1 << 17;
/** Elements of the right factor up to which it is read in place, however many rows use it. */
const inPlaceElements = 1 << 13;
/** Rows up to which the right factor is read in place, however large it is. */
const inPlaceRows = 24;
/** Steps up to which the left factor may lie apart from step to step. */
const inPlaceSteps = 64;

/** A factor that is read where it is. */
interface InPlace {
  readonly memory: string;
  readonly index: IndexExpression;
  readonly own: Dim;
  readonly step: Dim;
}

/** How a sum is computed. */
interface Product {
  readonly sum: Sum;
  readonly leftInPlace: InPlace | undefined;
  readonly rightInPlace: InPlace | undefined;
  /** Columns of a register tile: more where there are few rows, so that whole cache lines are read. */
  readonly columns: number;
  /** Names of its scratch arrays. */
  readonly strip: string;
  readonly left: string;
  readonly right: string;
}

/** A function to finish under its name. */
export type NamedHelper = readonly [string, FunctionBuilder];

export interface BlockOptions {
  /** Makes names of functions and scratch arrays unique in the module. */
  readonly prefix: string;
  /** Whether the right factors are packed for all columns at once, and not for one chunk after the other. */
  readonly packsAll: boolean;
}

export class ContractionBlock {
  readonly f: FunctionBuilder;
  readonly env: Environment;
  readonly facts: KernelFacts;
  readonly c: Contraction;
  readonly options: BlockOptions;
  /** Columns of a chunk, whose right factors should stay in the cache. */
  readonly chunk: number;
  readonly products: readonly Product[];
  readonly helpers: NamedHelper[] = [];

  /** @param env the environment of the function that drives the block; it binds the outer axes */
  constructor(env: Environment, facts: KernelFacts, contraction: Contraction, options: BlockOptions) {
    this.f = env.f;
    this.env = env;
    this.facts = facts;
    this.c = contraction;
    this.options = options;
    this.chunk = this.#chunkColumns();
    this.products = contraction.sums.map((sum, i) => this.#product(sum, `${options.prefix}${i === 0 ? '' : i}`));
    this.#buildHelpers();
  }

  #product(sum: Sum, prefix: string): Product {
    const { c, f, options } = this;
    const { layout } = f;
    const leftInPlace = asLeft(inPlaceLoad(f, sum.left, c.row, sum), sum);
    const rightInPlace = asRight(inPlaceLoad(f, sum.right, c.column, sum), sum, c);
    const columns = rightInPlace && likelyExtent(c.row.extent) <= 2 ? 2 * tileColumns : tileColumns;
    const [strip, left, right] = ['strip', 'left', 'right'].map((name) => `${prefix}${name}`);
    layout.addScratch(strip, sum.dtype, tileRows * this.chunk);
    if (!leftInPlace) layout.addScratch(left, sum.dtype, mulDims(sum.depth, tileRows));
    if (!rightInPlace) {
      const all = mulDims(ceilDivDims(c.column.extent, tileColumns), tileColumns);
      layout.addScratch(right, sum.dtype, mulDims(sum.depth, options.packsAll ? all : this.chunk));
    }
    return { sum, leftInPlace, rightInPlace, columns, strip, left, right };
  }

  #chunkColumns(): number {
    const { sums, column } = this.c;
    const depth = sums.reduce((total, sum) => total + likelyExtent(sum.depth), 0);
    const most = Math.max(64, Math.floor(chunkElements / Math.max(depth, 1)));
    const [, highest] = dimBounds(column.extent);
    const columns = Math.min(Math.ceil(highest / tileColumns) * tileColumns, Math.floor(most / 64) * 64, 1024);
    if (!isStatic(column.extent)) return columns;
    const chunks = Math.ceil(column.extent / columns);
    return Math.ceil(column.extent / chunks / tileColumns) * tileColumns;
  }

  get chunks(): Dim {
    return ceilDivDims(this.c.column.extent, this.chunk);
  }

  /** Whether a factor must be packed before `rows`. */
  get packs(): boolean {
    return this.products.some(({ rightInPlace }) => !rightInPlace);
  }

  #buildHelpers(): void {
    const { c, facts, f } = this;
    for (const { sum, leftInPlace, rightInPlace, left, right } of this.products) {
      const build = (panel: Panel): void => {
        this.helpers.push([`pack_${panel.memory}`, buildPack(f, facts, c.outer, sum, panel)]);
      };
      if (!rightInPlace) build({ factor: sum.right, axis: c.column, width: 8, memory: right });
      if (!leftInPlace) build({ factor: sum.left, axis: c.row, width: 4, memory: left });
    }
    this.helpers.push([this.#finishName, this.#buildFinish()]);
  }

  get #finishName(): string {
    return `${this.options.prefix}finish`;
  }

  /** `finish(record, ...outer, row, from, to, shift)`: the epilogue on a row of the strips. */
  #buildFinish(): FunctionBuilder {
    const { c, facts } = this;
    const names = ['record', ...c.outer.map((axis) => axis.name), c.row.name, 'from', 'to', 'shift'];
    const parameters = names.length;
    const f = new FunctionBuilder(this.f.binaryen, this.f.module, this.f.layout, names);
    const written = new Set([...facts.written, ...this.products.map(({ strip }) => strip)]);
    const env = new Environment(f, { ...facts, written });
    const loop: Loop = { kind: 'loop', mode: 'parallel', axis: c.column, body: c.epilogue };
    const plan = planNodes([loop], new Set());
    const emitter = new NestEmitter(env, plan);
    const [row, from, to, shift] = [4, 3, 2, 1].map((back) => parameters - back);
    c.outer.forEach((axis, i) => {
      env.axes.set(axis.name, { local: 1 + i, delta: 0, scope: f.root });
    });
    env.axes.set(c.row.name, { local: row, delta: 0, scope: f.root });
    env.axes.set('$shift', { local: shift, delta: 0, scope: f.root });
    const axis = (name: string): IndexExpression['terms'][number] => ({
      coefficient: 1,
      factor: { kind: 'axis', axis: name },
    });
    const index = { offset: 0, terms: [axis('$shift'), axis(c.column.name)] };
    const span = {
      start: () => f.get(from),
      limit: () => f.get(to),
      multiple: isStatic(c.column.extent) && c.column.extent % 8 === 0 ? 8 : 1,
    };
    emitter.emit(c.lets);
    emitter.vectorLoop(c.column.name, span, plan.copies(loop), () => {
      for (const { sum, strip } of this.products) {
        const expression = { kind: 'load', memory: strip, index } as const;
        emitter.emitLet({ kind: 'let', id: sum.result, dtype: sum.dtype, expression });
      }
      emitter.emit(c.epilogue);
    });
    return f;
  }

  /** The smaller of a position and an extent, in a local. */
  atMost(value: Expression, extent: Dim): number {
    const { f } = this;
    const local = f.let('i32', value);
    const isLess = f.module.i32.lt_s(f.get(local), f.size(extent));
    return f.let('i32', f.module.select(isLess, f.get(local), f.size(extent)));
  }

  #outerValues(): Expression[] {
    return this.c.outer.map((axis) => this.f.get(this.env.axis(axis.name).local!));
  }

  #call(name: string, ...operands: readonly Expression[]): void {
    const { f } = this;
    f.statement(f.module.call(name, [f.get(0), ...operands], f.binaryen.none));
  }

  /** The column a packed right factor begins with. */
  #origin(from: number): Expression {
    return this.options.packsAll ? this.f.i32(0) : this.f.get(from);
  }

  /** Packs the right factors of the columns `from` to `to`. */
  packRight(from: number, to: number): void {
    const { f, c } = this;
    const { i32 } = f.module;
    const packed = this.products.filter(({ rightInPlace }) => !rightInPlace);
    if (packed.length === 0) return;
    const column = f.newLocal('i32', c.column.name);
    f.loop({ counter: column, start: f.get(from), step: tileColumns, limit: () => f.get(to) }, () => {
      for (const { sum, right } of packed) {
        const place = i32.mul(i32.sub(f.get(column), this.#origin(from)), f.size(sum.depth));
        const count = i32.sub(f.get(to), f.get(column));
        this.#call(`pack_${right}`, ...this.#outerValues(), f.get(column), place, count);
      }
    });
  }

  /** The rows `firstRow` to `lastRow` (locals) of the columns `from` to `to`. */
  rows(firstRow: Expression, lastRow: number, from: number, to: number): void {
    const { f } = this;
    const row = f.newLocal('i32', this.c.row.name);
    const shape = { counter: row, start: firstRow, step: tileRows, limit: () => f.get(lastRow), nonEmpty: true };
    f.loop(shape, () => this.#fourRows(row, lastRow, from, to));
  }

  /** Four rows: register tiles into the strips, then the epilogue row by row. */
  #fourRows(row: number, lastRow: number, from: number, to: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const rows = this.atMost(i32.sub(f.get(lastRow), f.get(row)), tileRows);
    for (const product of this.products) this.#strip(product, row, rows, from, to);
    const done = f.newLocal('i32');
    f.loop({ counter: done, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
      const shift = i32.sub(i32.mul(f.get(done), f.i32(this.chunk)), f.get(from));
      const position = i32.add(f.get(row), f.get(done));
      this.#call(this.#finishName, ...this.#outerValues(), position, f.get(from), f.get(to), shift);
    });
  }

  #strip(product: Product, row: number, rows: number, from: number, to: number): void {
    const { f, c } = this;
    const { i32 } = f.module;
    const { sum, leftInPlace, rightInPlace, strip, left, right, columns } = product;
    if (!leftInPlace) this.#call(`pack_${left}`, ...this.#outerValues(), f.get(row), f.i32(0), f.get(rows));
    const leftLocal = f.let('i32', leftInPlace ? this.#address(product, leftInPlace, c.row.name, row) : f.base(left));
    const column = f.newLocal('i32', c.column.name);
    f.loop({ counter: column, start: f.get(from), step: columns, limit: () => f.get(to), nonEmpty: true }, () => {
      const panel = i32.sub(f.get(column), this.#origin(from));
      const rightAt = rightInPlace
        ? this.#address(product, rightInPlace, c.column.name, column)
        : i32.add(f.base(right), i32.mul(panel, f.size(mulDims(sum.depth, byteSize(sum.dtype)))));
      const rightLocal = f.let('i32', rightAt, 'right');
      const offset = i32.sub(f.get(column), f.get(from));
      const stripLocal = f.let('i32', i32.add(f.base(strip), i32.shl(offset, f.i32(2))), 'strip_at');
      const operands = [leftLocal, rightLocal, stripLocal];
      const vectors = this.#tileWidths(columns).map((count) => Math.ceil(count / 4));
      this.#choose(
        [...new Set(vectors)].sort((a, b) => a - b),
        () => i32.shr_u(i32.add(i32.sub(f.get(to), f.get(column)), f.i32(3)), f.i32(2)),
        (v) =>
          this.#choose(
            variants(c.row.extent, tileRows),
            () => f.get(rows),
            (r) => this.#callTile(product, r, v, operands),
          ),
      );
    });
  }

  /** The numbers of columns that register tiles may have, ascending: in the last chunk and in those before it. */
  #tileWidths(columns: number): number[] {
    const { extent } = this.c.column;
    if (!isStatic(extent)) return variants(extent, columns);
    const before = Math.floor((extent - 1) / this.chunk);
    const widths = variants(extent - before * this.chunk, columns);
    if (before > 0) widths.push(...variants(this.chunk, columns));
    return widths.sort((a, b) => a - b);
  }

  /** A chain of tests for the smaller counts; the last is what remains. */
  #choose(counts: readonly number[], actual: () => Expression, build: (count: number) => void): void {
    const { f } = this;
    const [first, ...more] = counts;
    if (more.length === 0) build(first);
    else {
      f.when(
        f.module.i32.le_s(actual(), f.i32(first)),
        () => build(first),
        () => this.#choose(more, actual, build),
      );
    }
  }

  #callTile(product: Product, rows: number, vectors: number, operands: readonly number[]): void {
    const { f } = this;
    const { sum, leftInPlace, rightInPlace, strip } = product;
    const name = `tile_${strip}_${rows}x${4 * vectors}`;
    if (!this.helpers.some(([known]) => known === name)) {
      const bytes = byteSize(sum.dtype);
      const strides: TileStrides = {
        leftRow: leftInPlace ? mulDims(leftInPlace.own, bytes) : bytes,
        leftStep: leftInPlace ? mulDims(leftInPlace.step, bytes) : tileRows * bytes,
        rightStep: rightInPlace ? mulDims(rightInPlace.step, bytes) : tileColumns * bytes,
        resultRow: this.chunk * bytes,
      };
      this.helpers.push([name, buildTile(f, { rows, vectors, dtype: sum.dtype, depth: sum.depth, strides })]);
    }
    this.#call(name, ...operands.map((local) => f.get(local)));
  }

  /** The address of a factor read in place, at the first step and a position on its own axis. */
  #address({ sum }: Product, { memory, index }: InPlace, own: string, local: number): Expression {
    const { env, f } = this;
    const start = substituteAxes(index, new Map(sum.reduced.map(({ name }) => [name, { offset: 0, terms: [] }])));
    let expression = -1;
    env.withAxis(own, { local, delta: 0, scope: f.scope }, () => {
      const address = addressOf(env, memory, byteSize(sum.dtype), start);
      const base = addressExpression(env, address);
      expression = address.offset === 0 ? base : f.module.i32.add(base, f.i32(address.offset));
    });
    return expression;
  }
}

/** The counts, ascending, that a last tile of an extent may have; the full one always where it can occur. */
function variants(extent: Dim, full: number): number[] {
  if (!isStatic(extent)) return Array.from({ length: full }, (_, i) => i + 1);
  const counts = extent % full === 0 ? [] : [extent % full];
  return extent >= full ? [...counts, full] : counts;
}

/** The plain load that a factor is, if its elements can be read in place. */
function inPlaceLoad(f: FunctionBuilder, factor: Factor, own: Axis, { reduced, dtype }: Sum): InPlace | undefined {
  const [only] = factor.lets;
  if (factor.lets.length !== 1 || reduced.length !== 1 || only.expression.kind !== 'load') return undefined;
  const { memory, index, when } = only.expression;
  if (when !== undefined || f.layout.dtypeOf(memory) !== dtype) return undefined;
  if (!index.terms.every((term) => term.factor.kind === 'axis')) return undefined;
  const [ownStride, step] = [coefficientOf(index, own.name), coefficientOf(index, reduced[0].name)];
  if (ownStride === undefined || step === undefined) return undefined;
  return { memory, index, own: ownStride, step };
}

function asLeft(load: InPlace | undefined, { depth }: Sum): InPlace | undefined {
  const apart = load?.step !== 1 && likelyExtent(depth) > inPlaceSteps;
  return apart ? undefined : load;
}

function asRight(load: InPlace | undefined, { depth }: Sum, { row, column }: Contraction): InPlace | undefined {
  if (load?.own !== 1) return undefined;
  const small = likelyExtent(depth) * likelyExtent(column.extent) <= inPlaceElements;
  return small || likelyExtent(row.extent) <= inPlaceRows ? load : undefined;
}
