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
import type { IndexExpression } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf, substituteAxes } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf, indexValue } from '../addressing.ts';
import type { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { buildFinish } from './finish.ts';
import { type InPlace, leftInPlace, rightInPlace } from './in-place.ts';
import type { Contraction, Sum } from './match.ts';
import { buildTile, type TileStrides } from './micro.ts';
import { buildPack, type Panel } from './pack.ts';
import { type VisibleColumns, visibleColumns } from './visible.ts';
import { emitIsFinite, emitNeededSteps } from './zeros.ts';

export const tileRows = 4;
export const tileColumns = 8;
/** Elements of the right factors that a chunk should hold: half a megabyte. */
const chunkElements = 1 << 17;

/** How a sum is computed. */
interface Product {
  readonly sum: Sum;
  /** The factors, where they are read in place. */
  readonly left: InPlace | undefined;
  readonly right: InPlace | undefined;
  /** Steps at the ends of the depth are left out where the left factor is zero: a local that says whether they may. */
  readonly finite: number | undefined;
  /** Columns of a register tile: more where there are few rows, so that whole cache lines are read. */
  readonly columns: number;
  /** Names of its scratch arrays. */
  readonly strip: string;
  readonly leftPanel: string;
  readonly rightPanel: string;
}

/** Locals that say which part of the result is in work. */
interface Span {
  readonly row: number;
  readonly rows: number;
  /** Columns of the chunk. */
  readonly from: number;
  readonly to: number;
  /** Those of them that count. */
  readonly first: number;
  readonly end: number;
}

/** A function to finish under its name. */
export type NamedHelper = readonly [string, FunctionBuilder];

export interface BlockOptions {
  /** Makes names of functions and scratch arrays unique in the module. */
  readonly prefix: string;
  /** Whether the right factors are packed for all columns at once, and not for one chunk after the other. */
  readonly packsAll: boolean;
  /** Whether rows of scratch memory are likely to have zeros at their ends, steps of which can be left out. */
  readonly skipsZeros: boolean;
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
  readonly visible: VisibleColumns | undefined;
  readonly helpers: NamedHelper[] = [];

  /** @param env the environment of the function that drives the block; it binds the outer axes */
  constructor(env: Environment, facts: KernelFacts, contraction: Contraction, options: BlockOptions) {
    this.f = env.f;
    this.env = env;
    this.facts = facts;
    this.c = contraction;
    this.options = options;
    this.chunk = this.#chunkColumns();
    this.visible = visibleColumns(contraction);
    this.products = contraction.sums.map((sum, i) => this.#product(sum, `${options.prefix}${i === 0 ? '' : i}`));
    this.#buildHelpers();
  }

  #product(sum: Sum, prefix: string): Product {
    const { c, f, options } = this;
    const { layout } = f;
    const left = leftInPlace(layout, sum, c);
    const isOwn = left?.step === 1 && this.facts.written.has(left.memory);
    const mayBeZero = isOwn && sum.dtype === 'float32' && options.packsAll && options.skipsZeros;
    const right = rightInPlace(layout, sum, c, mayBeZero);
    const columns = right && likelyExtent(c.row.extent) <= 2 ? 2 * tileColumns : tileColumns;
    const finite = mayBeZero && !right ? f.newLocal('i32', 'finite') : undefined;
    const [strip, leftPanel, rightPanel] = ['strip', 'left', 'right'].map((name) => `${prefix}${name}`);
    layout.addScratch(strip, sum.dtype, tileRows * this.chunk);
    if (!left) layout.addScratch(leftPanel, sum.dtype, mulDims(sum.depth, tileRows));
    if (!right) {
      const all = mulDims(ceilDivDims(c.column.extent, tileColumns), tileColumns);
      layout.addScratch(rightPanel, sum.dtype, mulDims(sum.depth, options.packsAll ? all : this.chunk));
    }
    return { sum, left, right, finite, columns, strip, leftPanel, rightPanel };
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
    return this.products.some(({ right }) => !right);
  }

  #buildHelpers(): void {
    const { c, facts, f } = this;
    for (const { sum, left, right, leftPanel, rightPanel } of this.products) {
      const build = (panel: Panel): void => {
        this.helpers.push([`pack_${panel.memory}`, buildPack(f, facts, c.outer, sum, panel)]);
      };
      if (!right) build({ factor: sum.right, axis: c.column, width: 8, memory: rightPanel });
      if (!left) build({ factor: sum.left, axis: c.row, width: 4, memory: leftPanel });
    }
    this.helpers.push([
      this.#finishName,
      buildFinish(
        f,
        facts,
        c,
        this.products.map(({ strip }) => strip),
      ),
    ]);
  }

  get #finishName(): string {
    return `${this.options.prefix}finish`;
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
    const packed = this.products.filter(({ right }) => !right);
    if (packed.length === 0) return;
    const column = f.newLocal('i32', c.column.name);
    f.loop({ counter: column, start: f.get(from), step: tileColumns, limit: () => f.get(to) }, () => {
      for (const { sum, rightPanel } of packed) {
        const place = i32.mul(i32.sub(f.get(column), this.#origin(from)), f.size(sum.depth));
        const count = i32.sub(f.get(to), f.get(column));
        this.#call(`pack_${rightPanel}`, ...this.#outerValues(), f.get(column), place, count);
      }
    });
    for (const { sum, rightPanel, finite } of packed) {
      const panels = mulDims(ceilDivDims(c.column.extent, tileColumns), tileColumns * byteSize(sum.dtype));
      if (finite !== undefined) emitIsFinite(f, rightPanel, mulDims(sum.depth, panels), finite);
    }
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
    const span = this.#visibleSpan(row, rows, from, to);
    for (const product of this.products) this.#strip(product, { row, rows, from, to, ...span });
    const done = f.newLocal('i32');
    f.loop({ counter: done, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
      const shift = i32.sub(i32.mul(f.get(done), f.i32(this.chunk)), f.get(from));
      const position = i32.add(f.get(row), f.get(done));
      this.#call(this.#finishName, ...this.#outerValues(), position, f.get(from), f.get(to), shift);
    });
  }

  /** Locals with the part of the columns that counts for some rows. */
  #visibleSpan(row: number, rows: number, from: number, to: number): { first: number; end: number } {
    const { f, c } = this;
    const { i32 } = f.module;
    if (!this.visible) return { first: from, end: to };
    const [first, end] = [f.let('i32', f.get(from), 'first'), f.let('i32', f.get(to), 'end')];
    const lastRow = f.let('i32', i32.sub(i32.add(f.get(row), f.get(rows)), f.i32(1)));
    /** The bound of the row where it is least, or greatest. */
    const bound = (index: IndexExpression, extreme: 'least' | 'greatest'): number => {
      const rises = Number(coefficientOf(index, c.row.name) ?? 0) >= 0;
      let local = -1;
      const position = rises === (extreme === 'least') ? row : lastRow;
      this.env.withAxis(c.row.name, { local: position, delta: 0, scope: f.scope }, () => {
        local = f.let('i32', indexValue(this.env, index));
      });
      return local;
    };
    for (const index of this.visible.from) {
      const least = bound(index, 'least');
      f.set(first, f.module.select(i32.gt_s(f.get(least), f.get(first)), f.get(least), f.get(first)));
    }
    for (const index of this.visible.to) {
      const greatest = bound(index, 'greatest');
      f.set(end, f.module.select(i32.lt_s(f.get(greatest), f.get(end)), f.get(greatest), f.get(end)));
    }
    return { first, end };
  }

  /** The sums of four rows: tiles over the columns of a span, which begin at multiples of their width from `from` on. */
  #strip(product: Product, span: Span): void {
    const { f, c } = this;
    const { i32 } = f.module;
    const { sum, left, right, strip, columns } = product;
    const { row, rows, from, to, first, end } = span;
    if (!left) this.#call(`pack_${product.leftPanel}`, ...this.#outerValues(), f.get(row), f.i32(0), f.get(rows));
    const leftAt = left ? this.#address(product, left, c.row.name, row) : f.base(product.leftPanel);
    const leftLocal = f.let('i32', leftAt, 'left');
    const steps = this.#neededSteps(product, leftLocal);
    const column = f.newLocal('i32', c.column.name);
    const aligned = i32.add(f.get(from), i32.and(i32.sub(f.get(first), f.get(from)), f.i32(-columns)));
    const start = first === from ? f.get(from) : aligned;
    f.loop({ counter: column, start, step: columns, limit: () => f.get(end), nonEmpty: end === to }, () => {
      const panel = i32.sub(f.get(column), this.#origin(from));
      const rightAt = right
        ? this.#address(product, right, c.column.name, column)
        : i32.add(f.base(product.rightPanel), i32.mul(panel, f.size(mulDims(sum.depth, byteSize(sum.dtype)))));
      const rightLocal = f.let('i32', rightAt, 'right');
      if (steps) f.set(rightLocal, i32.add(f.get(rightLocal), f.get(steps.skipped)));
      const offset = i32.sub(f.get(column), f.get(from));
      const stripLocal = f.let('i32', i32.add(f.base(strip), i32.shl(offset, f.i32(2))), 'strip_at');
      const operands = [leftLocal, rightLocal, stripLocal, ...(steps ? [steps.begin, steps.end] : [])];
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

  /**
   * Locals with the steps that four rows need and with the bytes of the right factor that are left out. Moves the left
   * factor's address to the first step.
   */
  #neededSteps(
    { sum, finite, left }: Product,
    at: number,
  ): { begin: number; end: number; skipped: number } | undefined {
    if (finite === undefined || !left) return undefined;
    const { f } = this;
    const { i32 } = f.module;
    const bytes = byteSize(sum.dtype);
    const rows = { at, rows: tileRows, stride: mulDims(left.own, bytes), length: sum.depth };
    const { begin, end } = emitNeededSteps(f, rows, f.get(finite));
    const skipped = f.let('i32', i32.mul(f.get(begin), f.i32(tileColumns * bytes)));
    f.set(at, i32.add(f.get(at), i32.mul(f.get(begin), f.i32(bytes))));
    return { begin, end, skipped };
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
    const { sum, left, right, finite, strip } = product;
    const name = `tile_${strip}_${rows}x${4 * vectors}`;
    if (!this.helpers.some(([known]) => known === name)) {
      const bytes = byteSize(sum.dtype);
      const strides: TileStrides = {
        leftRow: left ? mulDims(left.own, bytes) : bytes,
        leftStep: left ? mulDims(left.step, bytes) : tileRows * bytes,
        rightStep: right ? mulDims(right.step, bytes) : tileColumns * bytes,
        resultRow: this.chunk * bytes,
      };
      const isRanged = finite !== undefined;
      this.helpers.push([name, buildTile(f, { rows, vectors, dtype: sum.dtype, depth: sum.depth, strides, isRanged })]);
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
