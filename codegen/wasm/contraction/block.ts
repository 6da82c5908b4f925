/**
 * The parts that schedules of contractions are made of: packing the right factors of some columns, and the work on a
 * block of rows, which is register tiles into strips, then the epilogue on each row of the strips.
 *
 *     pack the left factors of the block's rows
 *     for the rows of each tile:   register tiles along the columns → strips
 *                                  for each row: epilogue on the strips' row → results
 *
 * A factor that is a plain load whose elements already lie right is read in place and not packed. Whole tiles of sums
 * that are the results are stored where these go, and not in strips.
 */
import { ceilDivDims, type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import { contractionBlock, type IndexExpression } from '../../../ir/kernel.ts';
import { coefficientOf, substituteAxes } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf, indexValue } from '../addressing.ts';
import type { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { buildFinish } from './finish.ts';
import type { Contraction } from './match.ts';
import { buildStrip } from './micro.ts';
import { buildPack, type Panel } from './pack.ts';
import {
  type BlockOptions,
  hasPartial,
  leftWidth,
  type Product,
  planProduct,
  reserve,
  stridesOf,
  variants,
} from './product.ts';
import { type VisibleColumns, visibleColumns } from './visible.ts';
import { emitIsFinite, emitNeededSteps } from './zeros.ts';

/** Locals that say which part of the result is in work. */
interface Part {
  /** The first row of the block. */
  readonly block: number;
  readonly row: number;
  readonly rows: number;
  /** Columns of the chunk. */
  readonly from: number;
  readonly to: number;
}

/** Locals with steps of the depth. */
interface Steps {
  readonly begin: number;
  readonly end: number;
}

/** A function to finish under its name. */
export type NamedHelper = readonly [string, FunctionBuilder];

export class ContractionBlock {
  readonly f: FunctionBuilder;
  readonly env: Environment;
  readonly facts: KernelFacts;
  readonly c: Contraction;
  readonly options: BlockOptions;
  readonly products: readonly Product[];
  readonly visible: VisibleColumns | undefined;
  readonly helpers: NamedHelper[] = [];
  /** A local with the number of the right factors of a tile, where several are packed into shared arrays. */
  rightNumber: number | undefined;

  /** @param env the environment of the function that drives the block; it binds the outer axes */
  constructor(env: Environment, facts: KernelFacts, contraction: Contraction, options: BlockOptions) {
    this.f = env.f;
    this.env = env;
    this.facts = facts;
    this.c = contraction;
    this.options = options;
    this.visible = visibleColumns(contraction);
    this.products = contraction.sums.map((sum, i) =>
      planProduct(env.f, facts, contraction, sum, options, `${options.prefix}${i === 0 ? '' : i}`),
    );
    const rows = this.isWhole ? this.tileRows : options.blockRows;
    for (const product of this.products) reserve(env.f.layout, contraction, product, options, rows);
    this.#buildHelpers();
  }

  get tileRows(): number {
    return this.options.schedule.tileRows;
  }

  get chunk(): number {
    return this.options.chunk;
  }

  get chunks(): Dim {
    return ceilDivDims(this.c.column.extent, this.chunk);
  }

  /** Whether a factor must be packed before `rows`. */
  get packs(): boolean {
    return this.products.some(({ right }) => !right);
  }

  /** Whether all sums of a tile are complete when the tile is. */
  get isWhole(): boolean {
    return this.products.every(({ order }) => order === 'whole');
  }

  #buildHelpers(): void {
    const { c, facts, f, tileRows } = this;
    const { tileColumns } = this.options.schedule;
    for (const { sum, inPairs, left, right, leftPanel, rightPanel } of this.products) {
      const build = (panel: Panel): void => {
        this.helpers.push([`pack_${panel.memory}`, buildPack(f, facts, c.outer, sum, panel)]);
      };
      const rights = { tile: tileColumns, width: tileColumns, memory: rightPanel, clears: true, inPairs };
      const lefts = { tile: tileRows, width: leftWidth(tileRows), memory: leftPanel, clears: false, inPairs };
      if (!right) build({ factor: sum.right, axis: c.column, ...rights });
      if (!left) build({ factor: sum.left, axis: c.row, ...lefts });
    }
    const strips = this.products.map(({ strip }) => strip);
    this.helpers.push([this.#finishName, buildFinish(f, facts, c, strips)]);
  }

  get #finishName(): string {
    return `${this.options.prefix}finish`;
  }

  /** The smaller of a position and an extent, in a local. */
  atMost(value: Expression, extent: Dim): number {
    const { f } = this;
    const local = f.let('i32', value);
    return f.let(
      'i32',
      f.least(
        () => f.get(local),
        () => f.size(extent),
      ),
    );
  }

  #outerValues(): Expression[] {
    return this.c.outer.map((axis) => this.f.get(this.env.axis(axis.name).local!));
  }

  #call(name: string, ...operands: readonly Expression[]): void {
    const { f } = this;
    f.statement(f.module.call(name, [f.get(0), ...operands], f.binaryen.none));
  }

  /** The element of the packed right factors at which a column of a chunk begins. */
  #place({ depth }: Product, column: number, from: number): Expression {
    const { f, rightNumber, options } = this;
    const { i32 } = f.module;
    const { tileColumns } = options.schedule;
    const before = (): Expression => {
      const width = mulDims(ceilDivDims(this.c.column.extent, tileColumns), tileColumns);
      return i32.add(f.get(column), i32.mul(f.get(rightNumber!), f.size(width)));
    };
    const inChunk = options.packing === 'chunk' ? i32.sub(f.get(column), f.get(from)) : undefined;
    const position = inChunk ?? (rightNumber === undefined ? f.get(column) : before());
    return i32.mul(position, f.size(depth));
  }

  /** Packs the right factors of the columns `from` to `to`. */
  packRight(from: number, to: number): void {
    const { f, c } = this;
    const { i32 } = f.module;
    const { tileColumns } = this.options.schedule;
    for (const product of this.products) {
      const { sum, depth, right, rightPanel, finite } = product;
      if (right) continue;
      const count = i32.sub(f.get(to), f.get(from));
      this.#call(`pack_${rightPanel}`, ...this.#outerValues(), f.get(from), this.#place(product, from, from), count);
      const panels = mulDims(ceilDivDims(c.column.extent, tileColumns), tileColumns * byteSize(sum.dtype));
      if (finite !== undefined) emitIsFinite(f, rightPanel, mulDims(depth, panels), finite);
    }
  }

  /** The rows `block` to `lastRow` (locals) of the columns `from` to `to`: at most `blockRows`. */
  rows(block: number, lastRow: number, from: number, to: number): void {
    const { f } = this;
    for (const { left, leftPanel } of this.products) {
      if (left) continue;
      const count = f.module.i32.sub(f.get(lastRow), f.get(block));
      this.#call(`pack_${leftPanel}`, ...this.#outerValues(), f.get(block), f.i32(0), count);
    }
    if (this.isWhole) {
      this.#groups(block, lastRow, from, to, (part) => {
        for (const product of this.products) this.#whole(product, part);
        this.#finish(part.row, part.rows, from, to);
      });
      return;
    }
    for (const product of this.products) {
      if (product.order === 'whole') {
        this.#groups(block, lastRow, from, to, (part) => this.#whole(product, part));
      } else if (product.order === 'blocks') this.#blocks(product, block, lastRow, from, to);
      else this.#steps(product, block, lastRow, from, to);
    }
    const count = f.let('i32', f.module.i32.sub(f.get(lastRow), f.get(block)));
    this.#finish(block, count, from, to);
  }

  /** The rows of each tile of a block. */
  #groups(block: number, lastRow: number, from: number, to: number, build: (part: Part) => void): void {
    const { f, tileRows } = this;
    const row = f.newLocal('i32', this.c.row.name);
    const shape = { counter: row, start: f.get(block), step: tileRows, limit: () => f.get(lastRow), nonEmpty: true };
    f.loop(shape, () => {
      const rows = this.atMost(f.module.i32.sub(f.get(lastRow), f.get(row)), tileRows);
      build({ block, row, rows, from, to });
    });
  }

  /** The epilogue on `rows` rows from `row` on, the first of the strips. */
  #finish(row: number, rows: number, from: number, to: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const start = this.#isDirect ? this.#directEnd(from, to) : from;
    if (start === undefined) return;
    const done = f.newLocal('i32');
    const work = (): void =>
      f.loop({ counter: done, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
        const shift = i32.sub(i32.mul(f.get(done), f.i32(this.chunk)), f.get(from));
        const position = i32.add(f.get(row), f.get(done));
        this.#call(this.#finishName, ...this.#outerValues(), position, f.get(start), f.get(to), shift);
      });
    if (start === from) work();
    else f.when(i32.lt_s(f.get(start), f.get(to)), work);
  }

  get #isDirect(): boolean {
    return this.products[0].direct !== undefined && !this.visible;
  }

  /** A local with the end of the columns of a chunk that are stored directly; `undefined` where it is always `to`. */
  #directEnd(from: number, to: number): number | undefined {
    const { f } = this;
    const { i32 } = f.module;
    const { extent } = this.c.column;
    const { columns } = this.products[0];
    if (isStatic(extent) && extent % columns === 0 && this.chunk % columns === 0) return undefined;
    const whole = i32.sub(i32.sub(f.get(to), f.get(from)), this.#rest(from, to, columns));
    return f.let('i32', i32.add(f.get(from), whole), 'direct_end');
  }

  #rest(from: number, to: number, columns: number): Expression {
    const { f } = this;
    const { i32 } = f.module;
    const count = i32.sub(f.get(to), f.get(from));
    return Number.isInteger(Math.log2(columns)) ? i32.and(count, f.i32(columns - 1)) : i32.rem_u(count, f.i32(columns));
  }

  /** All steps of a product for the rows of a tile; the strip begins with these rows if all products are whole. */
  #whole(product: Product, part: Part): void {
    const { f } = this;
    const { i32 } = f.module;
    const { sum, finite, left } = product;
    const leftLocal = f.let('i32', this.#leftAt(product, part), 'left');
    if (finite === undefined || !left) {
      this.#strips(product, part, leftLocal);
      return;
    }
    const bytes = byteSize(sum.dtype);
    const rows = { at: leftLocal, rows: this.tileRows, stride: mulDims(left.own, bytes), length: sum.depth };
    const steps = emitNeededSteps(f, rows, f.get(finite));
    f.set(leftLocal, i32.add(f.get(leftLocal), i32.mul(f.get(steps.begin), f.i32(bytes))));
    this.#strips(product, part, leftLocal, steps);
  }

  /** The steps of a long depth, part by part. */
  #blocks(product: Product, block: number, lastRow: number, from: number, to: number): void {
    const { f } = this;
    const { depth } = product;
    const begin = f.newLocal('i32', 'begin');
    const nonEmpty = isStatic(depth) && depth > 0;
    f.loop({ counter: begin, start: f.i32(0), step: product.steps, limit: () => f.size(depth), nonEmpty }, () => {
      const end = this.atMost(f.module.i32.add(f.get(begin), f.i32(product.steps)), depth);
      this.#groups(block, lastRow, from, to, (part) => this.#part(product, part, { begin, end }));
    });
  }

  /** A few steps at a time; the sums of a block of steps are added to those of the blocks before. */
  #steps(product: Product, block: number, lastRow: number, from: number, to: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const { sum, strip, partial, steps } = product;
    const isOne = !hasPartial(product);
    const done = f.newLocal('i32', 'done');
    const target = f.let('i32', f.base(strip), 'target');
    const nonEmpty = isStatic(sum.depth) && sum.depth > 0;
    const limit = (): Expression => f.size(sum.depth);
    f.loop({ counter: done, start: f.i32(0), step: 0, limit, nonEmpty }, () => {
      const size = isOne ? f.size(sum.depth) : f.i32(contractionBlock);
      const blockEnd = this.atMost(i32.add(f.get(done), size), sum.depth);
      const begin = f.newLocal('i32', 'begin');
      f.loop({ counter: begin, start: f.get(done), step: steps, limit: () => f.get(blockEnd), nonEmpty: true }, () => {
        const end = f.let('i32', i32.add(f.get(begin), f.i32(steps)));
        f.set(
          end,
          f.least(
            () => f.get(end),
            () => f.get(blockEnd),
          ),
        );
        this.#groups(block, lastRow, from, to, (part) => this.#part(product, part, { begin, end }, target));
      });
      if (!isOne) {
        f.when(f.get(done), () => this.#addPartial(product, block, lastRow));
        f.set(target, f.base(partial));
      }
      f.set(done, f.get(blockEnd));
    });
  }

  /** Adds the sums of a block of steps to the strip. */
  #addPartial({ strip, partial }: Product, block: number, lastRow: number): void {
    const { f } = this;
    const { i32, f32x4, v128 } = f.module;
    const [at, more] = [f.let('i32', f.base(strip)), f.let('i32', f.base(partial))];
    const rows = i32.sub(f.get(lastRow), f.get(block));
    const count = f.let('i32', i32.mul(rows, f.i32(this.chunk)));
    const counter = f.newLocal('i32');
    f.loop({ counter, start: f.i32(0), step: 8, limit: () => f.get(count), nonEmpty: true }, () => {
      for (const offset of [0, 16]) {
        const sum = f32x4.add(v128.load(offset, 4, f.get(at)), v128.load(offset, 4, f.get(more)));
        f.statement(v128.store(offset, 4, f.get(at), sum));
      }
      for (const pointer of [at, more]) f.set(pointer, i32.add(f.get(pointer), f.i32(32)));
    });
  }

  /** Some steps of a product for the rows of a tile. */
  #part(product: Product, part: Part, steps: Steps, target?: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const { leftStep } = stridesOf(product, this.options, false);
    const start = i32.add(this.#leftAt(product, part), i32.mul(f.get(steps.begin), f.size(leftStep)));
    this.#strips(product, part, f.let('i32', start, 'left'), steps, target);
  }

  /** The left factor's address at the first step and a row. */
  #leftAt(product: Product, { block, row }: Part): Expression {
    const { f, c, tileRows } = this;
    const { i32 } = f.module;
    const { sum, depth, left, leftPanel } = product;
    if (left) return this.#address(left.memory, left.index, product, c.row.name, row);
    const done = i32.sub(f.get(row), f.get(block));
    const width = leftWidth(tileRows);
    const lines = width === tileRows ? done : i32.mul(i32.div_u(done, f.i32(tileRows)), f.i32(width));
    return i32.add(f.base(leftPanel), i32.mul(lines, f.size(mulDims(depth, byteSize(sum.dtype)))));
  }

  /** The sums of the rows of a tile along the columns of a chunk. */
  #strips(product: Product, part: Part, left: number, steps?: Steps, target?: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const { columns, strip, order } = product;
    const { block, row, rows, from, to } = part;
    const isDirect = this.#isDirect;
    const ranged = steps ? [steps.begin, steps.end] : [];
    const call = (start: number, end: number, needed: number, where: Expression, direct: boolean): void => {
      const rightLocal = this.#rightAt(product, start, from, steps);
      const count = f.let('i32', i32.sub(f.get(end), f.get(start)));
      const wanted = needed === end ? count : f.let('i32', i32.sub(f.get(needed), f.get(start)));
      const result = f.let('i32', where, 'strip_at');
      const locals = [left, rightLocal, result, wanted, count, ...ranged];
      this.#choose(
        variants(this.c.row.extent, this.tileRows),
        () => f.get(rows),
        (r) => this.#callStrip(product, r, locals, direct),
      );
    };
    const inStrip = (column: number): Expression => {
      const inRow = i32.sub(f.get(column), f.get(from));
      const lines = (): Expression => i32.mul(i32.sub(f.get(row), f.get(block)), f.i32(this.chunk));
      const element = this.isWhole ? inRow : i32.add(lines(), inRow);
      return i32.add(target === undefined ? f.base(strip) : f.get(target), i32.shl(element, f.i32(2)));
    };
    if (isDirect && order !== 'steps') {
      const { memory, index } = product.direct!;
      const directEnd = this.#directEnd(from, to);
      let where = -1;
      this.env.withAxis(this.c.column.name, { local: from, delta: 0, scope: f.scope }, () => {
        where = this.#address(memory, index, product, this.c.row.name, row);
      });
      call(from, directEnd ?? to, directEnd ?? to, where, true);
      if (directEnd !== undefined) {
        f.when(i32.lt_s(f.get(directEnd), f.get(to)), () => call(directEnd, to, to, inStrip(directEnd), false));
      }
      return;
    }
    const { first, end } = this.#visibleSpan(row, rows, from, to);
    if (first === from) call(from, to, end, inStrip(from), false);
    else {
      const begun = this.#rest(from, first, columns);
      const start = f.let('i32', i32.sub(f.get(first), begun), 'start');
      f.when(i32.lt_s(f.get(start), f.get(end)), () => call(start, to, end, inStrip(start), false));
    }
  }

  /** A local with the right factor's address at a column, and at the first step or the first of those in work. */
  #rightAt(product: Product, column: number, from: number, steps: Steps | undefined): number {
    const { f, c } = this;
    const { i32 } = f.module;
    const { sum, right, rightPanel } = product;
    const packed = (): Expression => i32.mul(this.#place(product, column, from), f.i32(byteSize(sum.dtype)));
    const at = right
      ? this.#address(right.memory, right.index, product, c.column.name, column)
      : i32.add(f.base(rightPanel), packed());
    const local = f.let('i32', at, 'right');
    const { rightStep } = stridesOf(product, this.options, false);
    if (steps) f.set(local, i32.add(f.get(local), i32.mul(f.get(steps.begin), f.size(rightStep))));
    return local;
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
      f.set(
        first,
        f.greatest(
          () => f.get(least),
          () => f.get(first),
        ),
      );
    }
    for (const index of this.visible.to) {
      const greatest = bound(index, 'greatest');
      f.set(
        end,
        f.least(
          () => f.get(greatest),
          () => f.get(end),
        ),
      );
    }
    return { first, end };
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

  #callStrip(product: Product, rows: number, operands: readonly number[], isDirect: boolean): void {
    const { f } = this;
    const { sum, inPairs, depth, finite, strip, columns, order } = product;
    const name = `strip_${strip}_${rows}${isDirect ? '_direct' : ''}`;
    if (!this.helpers.some(([known]) => known === name)) {
      const widths = this.#tileWidths(columns);
      const rests = widths.filter((count) => count < columns).map((count) => Math.ceil(count / 4));
      const isRest = this.#isDirect && !isDirect;
      const shape = {
        rows,
        vectors: columns / 4,
        lastVectors: isDirect ? [] : [...new Set(rests)],
        hasFull: widths.includes(columns) && !isRest,
        dtype: sum.dtype,
        inPairs,
        depth,
        strides: stridesOf(product, this.options, isDirect),
        continues: order,
        ...(product.right && { rightStored: product.right.stored }),
        isRanged: finite !== undefined || order !== 'whole',
      };
      this.helpers.push([name, buildStrip(f, shape)]);
    }
    this.#call(name, ...operands.map((local) => f.get(local)));
  }

  /** The numbers of columns that register tiles may have, ascending: in the last chunk and in those before it. */
  #tileWidths(columns: number): number[] {
    const { extent } = this.c.column;
    if (!isStatic(extent)) return variants(extent, columns);
    const before = Math.floor((extent - 1) / this.chunk);
    const widths = variants(extent - before * this.chunk, columns);
    if (before > 0) widths.push(...variants(this.chunk, columns));
    return [...new Set(widths)].sort((x, y) => x - y);
  }

  /** The address of an element at the first step and a position on an axis. */
  #address(memory: string, index: IndexExpression, { sum }: Product, own: string, local: number): Expression {
    const { env, f } = this;
    const start = substituteAxes(index, new Map(sum.reduced.map(({ name }) => [name, { offset: 0, terms: [] }])));
    let expression = -1;
    env.withAxis(own, { local, delta: 0, scope: f.scope }, () => {
      const address = addressOf(env, memory, byteSize(f.layout.dtypeOf(memory)), start);
      const base = addressExpression(env, address);
      expression = address.offset === 0 ? base : f.module.i32.add(base, f.i32(address.offset));
    });
    return expression;
  }
}
