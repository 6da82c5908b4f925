/**
 * The schedule of a contraction. The result is cut into chunks of columns, whose part of the right factor is packed
 * once and stays in the cache, and into blocks of rows; a tile is one block of one chunk.
 *
 *     tile:  pack the right factor's chunk (unless the tile before did)
 *            for each 4 rows:  pack the left factor's rows;  for each 8 columns: register tile → strip
 *                              for each row: epilogue on the strip's row → results
 *
 * A factor that is a plain load whose elements already lie right is read in place and not packed.
 */
import { ceilDivDims, type Dim, dimBounds, dimProduct, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { Axis, IndexExpression } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf, substituteAxes } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf } from '../addressing.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import type { Contraction, Factor } from './match.ts';
import { buildTile, type TileStrides } from './micro.ts';
import { buildPack, type Panel } from './pack.ts';

const tileRows = 4;
const tileColumns = 8;
/** Elements of the right factor that a chunk should hold: half a megabyte. */
const chunkElements = 1 << 17;
/** Rows of a block. */
const blockRows = 64;
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

export interface BuiltContraction {
  readonly builder: FunctionBuilder;
  readonly tiles: Dim;
  /** Functions to finish under their names. */
  readonly helpers: readonly (readonly [string, FunctionBuilder])[];
}

/** Builds the functions of a contraction; `prefix` makes their names unique in the module. */
export function buildContraction(
  builder: FunctionBuilder,
  facts: KernelFacts,
  contraction: Contraction,
  prefix: string,
): BuiltContraction {
  return new Schedule(builder, facts, contraction, prefix).build();
}

/** The plain load that a factor is, if its elements can be read in place. */
function inPlaceLoad(
  f: FunctionBuilder,
  factor: Factor,
  own: Axis,
  { reduced, dtype }: Contraction,
): InPlace | undefined {
  const [only] = factor.lets;
  if (factor.lets.length !== 1 || reduced.length !== 1 || only.expression.kind !== 'load') return undefined;
  const { memory, index, when } = only.expression;
  if (when !== undefined || f.layout.dtypeOf(memory) !== dtype) return undefined;
  if (!index.terms.every((term) => term.factor.kind === 'axis')) return undefined;
  const [ownStride, step] = [coefficientOf(index, own.name), coefficientOf(index, reduced[0].name)];
  if (ownStride === undefined || step === undefined) return undefined;
  return { memory, index, own: ownStride, step };
}

class Schedule {
  readonly f: FunctionBuilder;
  readonly facts: KernelFacts;
  readonly c: Contraction;
  readonly prefix: string;
  readonly helpers: (readonly [string, FunctionBuilder])[] = [];
  readonly leftInPlace: InPlace | undefined;
  readonly rightInPlace: InPlace | undefined;
  /** Columns of a chunk. */
  readonly chunk: number;
  /** Columns of a register tile: more where there are few rows, so that whole cache lines are read. */
  readonly columns: number;
  /** Outer axes the right factor depends on, and the others. */
  readonly shared: readonly Axis[];
  readonly rest: readonly Axis[];
  readonly env: Environment;

  constructor(f: FunctionBuilder, facts: KernelFacts, contraction: Contraction, prefix: string) {
    this.f = f;
    this.facts = facts;
    this.c = contraction;
    this.prefix = prefix;
    const { left, right, row, column, depth, outer } = contraction;
    this.leftInPlace = this.#leftInPlace(inPlaceLoad(f, left, row, contraction));
    this.chunk = this.#chunkColumns();
    this.rightInPlace = this.#rightInPlace(inPlaceLoad(f, right, column, contraction));
    this.columns = this.rightInPlace && likelyExtent(row.extent) <= 2 ? 2 * tileColumns : tileColumns;
    this.shared = outer.filter(({ name }) => right.axes.has(name));
    this.rest = outer.filter(({ name }) => !right.axes.has(name));
    this.env = new Environment(f, facts);
    f.layout.addScratch(`${prefix}strip`, contraction.dtype, tileRows * this.chunk);
    if (!this.leftInPlace) f.layout.addScratch(`${prefix}left`, contraction.dtype, mulDims(depth, tileRows));
    if (!this.rightInPlace) f.layout.addScratch(`${prefix}right`, contraction.dtype, mulDims(depth, this.chunk));
  }

  #leftInPlace(load: InPlace | undefined): InPlace | undefined {
    if (!load) return undefined;
    const apart = load.step !== 1 && likelyExtent(this.c.depth) > inPlaceSteps;
    return apart ? undefined : load;
  }

  #rightInPlace(load: InPlace | undefined): InPlace | undefined {
    if (load?.own !== 1) return undefined;
    const [depth, rows] = [likelyExtent(this.c.depth), likelyExtent(this.c.row.extent)];
    const small = depth * likelyExtent(this.c.column.extent) <= inPlaceElements;
    return small || rows <= inPlaceRows ? load : undefined;
  }

  #chunkColumns(): number {
    const most = Math.max(64, Math.floor(chunkElements / Math.max(likelyExtent(this.c.depth), 1)));
    const { extent } = this.c.column;
    const [, highest] = dimBounds(extent);
    const columns = Math.min(Math.ceil(highest / tileColumns) * tileColumns, Math.floor(most / 64) * 64, 1024);
    if (!isStatic(extent)) return columns;
    const chunks = Math.ceil(extent / columns);
    return Math.ceil(extent / chunks / tileColumns) * tileColumns;
  }

  get chunks(): Dim {
    return ceilDivDims(this.c.column.extent, this.chunk);
  }

  get blocks(): Dim {
    return ceilDivDims(this.c.row.extent, blockRows);
  }

  build(): BuiltContraction {
    const { f } = this;
    const tiles = dimProduct([...this.c.outer.map((axis) => axis.extent), this.chunks, this.blocks]);
    const names = this.#names();
    const packed = f.let('i32', f.i32(-1), 'packed');
    const tile = f.newLocal('i32', 'tile');
    f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => this.#tile(tile, packed, names));
    return { builder: f, tiles, helpers: this.helpers };
  }

  /** Builds the helper functions. */
  #names(): { right?: string; left?: string; finish: string } {
    const { f, facts, c, prefix } = this;
    const add = (name: string, builder: FunctionBuilder): string => {
      this.helpers.push([`${prefix}${name}`, builder]);
      return `${prefix}${name}`;
    };
    const right: Panel = { factor: c.right, axis: c.column, width: 8, memory: `${prefix}right` };
    const left: Panel = { factor: c.left, axis: c.row, width: 4, memory: `${prefix}left` };
    return {
      ...(!this.rightInPlace && { right: add('pack_right', buildPack(f, facts, c, right)) }),
      ...(!this.leftInPlace && { left: add('pack_left', buildPack(f, facts, c, left)) }),
      finish: add('finish', this.#buildFinish()),
    };
  }

  /** `finish(record, ...outer, row, from, to, shift)`: the epilogue on a row of the strip. */
  #buildFinish(): FunctionBuilder {
    const { c, facts, prefix } = this;
    const names = ['record', ...c.outer.map((axis) => axis.name), c.row.name, 'from', 'to', 'shift'];
    const parameters = names.length;
    const f = new FunctionBuilder(this.f.binaryen, this.f.module, this.f.layout, names);
    const memory = `${prefix}strip`;
    const env = new Environment(f, { ...facts, written: new Set([...facts.written, memory]) });
    const emitter = new NestEmitter(env, planNodes([], new Set()));
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
    emitter.vectorLoop(c.column.name, span, 2, () => {
      emitter.emitLet({ kind: 'let', id: c.result, dtype: c.dtype, expression: { kind: 'load', memory, index } });
      emitter.emit(c.epilogue);
    });
    return f;
  }

  #tile(tile: number, packed: number, names: { right?: string; left?: string; finish: string }): void {
    const { f, c } = this;
    const { i32 } = f.module;
    const rest = f.let('i32', f.get(tile));
    /** Takes the fastest digit off. */
    const digit = (extent: Dim): number => {
      if (extent === 1) return f.let('i32', f.i32(0));
      const local = f.let('i32', i32.rem_u(f.get(rest), f.size(extent)));
      f.set(rest, i32.div_u(f.get(rest), f.size(extent)));
      return local;
    };
    const block = digit(this.blocks);
    const bind = (axes: readonly Axis[]): void => {
      for (const axis of [...axes].reverse()) {
        this.env.axes.set(axis.name, { local: digit(axis.extent), delta: 0, scope: f.scope });
      }
    };
    bind(this.rest);
    const key = f.let('i32', f.get(rest), 'chunk_key');
    const chunk = digit(this.chunks);
    bind(this.shared);
    const from = f.let('i32', i32.mul(f.get(chunk), f.i32(this.chunk)), 'from');
    const to = this.#atMost(i32.add(f.get(from), f.i32(this.chunk)), c.column.extent);
    if (names.right !== undefined) this.#packRight(names.right, key, packed, from, to);
    const firstRow = f.let('i32', i32.mul(f.get(block), f.i32(blockRows)));
    const lastRow = this.#atMost(i32.add(f.get(firstRow), f.i32(blockRows)), c.row.extent);
    const row = f.newLocal('i32', this.c.row.name);
    const shape = { counter: row, start: f.get(firstRow), step: tileRows, limit: () => f.get(lastRow), nonEmpty: true };
    f.loop(shape, () => this.#rows(row, lastRow, from, to, names));
  }

  #atMost(value: Expression, extent: Dim): number {
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

  /** Packs the chunk unless it is there already. */
  #packRight(name: string, key: number, packed: number, from: number, to: number): void {
    const { f, c } = this;
    const { i32 } = f.module;
    f.when(i32.ne(f.get(key), f.get(packed)), () => {
      f.set(packed, f.get(key));
      const column = f.newLocal('i32', this.c.column.name);
      f.loop({ counter: column, start: f.get(from), step: tileColumns, limit: () => f.get(to), nonEmpty: true }, () => {
        const place = i32.mul(i32.sub(f.get(column), f.get(from)), f.size(c.depth));
        const count = i32.sub(f.get(to), f.get(column));
        this.#call(name, ...this.#outerValues(), f.get(column), place, count);
      });
    });
  }

  /** Four rows of a chunk: register tiles into the strip, then the epilogue row by row. */
  #rows(row: number, lastRow: number, from: number, to: number, names: { left?: string; finish: string }): void {
    const { f, c, prefix } = this;
    const { i32 } = f.module;
    const rows = this.#atMost(i32.sub(f.get(lastRow), f.get(row)), tileRows);
    if (names.left !== undefined) this.#call(names.left, ...this.#outerValues(), f.get(row), f.i32(0), f.get(rows));
    const left = this.leftInPlace ? this.#address(this.leftInPlace, c.row.name, row) : f.base(`${prefix}left`);
    const leftLocal = f.let('i32', left, 'left');
    const column = f.newLocal('i32', this.c.column.name);
    f.loop({ counter: column, start: f.get(from), step: this.columns, limit: () => f.get(to), nonEmpty: true }, () => {
      const offset = f.let('i32', i32.sub(f.get(column), f.get(from)));
      const right = this.rightInPlace
        ? this.#address(this.rightInPlace, c.column.name, column)
        : i32.add(f.base(`${prefix}right`), i32.mul(f.get(offset), f.size(mulDims(c.depth, byteSize(c.dtype)))));
      const rightLocal = f.let('i32', right, 'right');
      const strip = i32.add(f.base(`${prefix}strip`), i32.shl(f.get(offset), f.i32(2)));
      const stripLocal = f.let('i32', strip, 'strip_at');
      const operands = [leftLocal, rightLocal, stripLocal];
      const vectors = this.#tileWidths().map((count) => Math.ceil(count / 4));
      const width = (): Expression => i32.sub(f.get(to), f.get(column));
      this.#choose(
        [...new Set(vectors)].sort((a, b) => a - b),
        () => i32.shr_u(i32.add(width(), f.i32(3)), f.i32(2)),
        (v) =>
          this.#choose(
            this.#variants(c.row.extent, tileRows),
            () => f.get(rows),
            (r) => this.#callTile(r, v, operands),
          ),
      );
    });
    const done = f.newLocal('i32');
    f.loop({ counter: done, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
      const shift = i32.sub(i32.mul(f.get(done), f.i32(this.chunk)), f.get(from));
      const position = i32.add(f.get(row), f.get(done));
      this.#call(names.finish, ...this.#outerValues(), position, f.get(from), f.get(to), shift);
    });
  }

  /** The counts, ascending, that a last tile of an extent may have; the full one always where it can occur. */
  #variants(extent: Dim, full: number): number[] {
    if (!isStatic(extent)) return Array.from({ length: full }, (_, i) => i + 1);
    const counts = extent % full === 0 ? [] : [extent % full];
    return extent >= full ? [...counts, full] : counts;
  }

  /** The numbers of columns that register tiles may have, ascending: in the last chunk and in those before it. */
  #tileWidths(): number[] {
    const { extent } = this.c.column;
    if (!isStatic(extent)) return this.#variants(extent, this.columns);
    const before = Math.floor((extent - 1) / this.chunk);
    const widths = this.#variants(extent - before * this.chunk, this.columns);
    if (before > 0) widths.push(...this.#variants(this.chunk, this.columns));
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

  #callTile(rows: number, vectors: number, operands: readonly number[]): void {
    const { f, c, prefix } = this;
    const name = `${prefix}tile_${rows}x${4 * vectors}`;
    if (!this.helpers.some(([known]) => known === name)) {
      const bytes = byteSize(c.dtype);
      const strides: TileStrides = {
        leftRow: this.leftInPlace ? mulDims(this.leftInPlace.own, bytes) : bytes,
        leftStep: this.leftInPlace ? mulDims(this.leftInPlace.step, bytes) : tileRows * bytes,
        rightStep: this.rightInPlace ? mulDims(this.rightInPlace.step, bytes) : tileColumns * bytes,
        resultRow: this.chunk * bytes,
      };
      this.helpers.push([name, buildTile(f, { rows, vectors, dtype: c.dtype, depth: c.depth, strides })]);
    }
    this.#call(name, ...operands.map((local) => f.get(local)));
  }

  /** The address of a factor read in place, at the first step and a position on its own axis. */
  #address({ memory, index }: InPlace, own: string, local: number): Expression {
    const { env, c, f } = this;
    const start = substituteAxes(index, new Map(c.reduced.map(({ name }) => [name, { offset: 0, terms: [] }])));
    let expression = -1;
    env.withAxis(own, { local, delta: 0, scope: f.scope }, () => {
      const address = addressOf(env, memory, byteSize(c.dtype), start);
      const base = addressExpression(env, address);
      expression = address.offset === 0 ? base : f.module.i32.add(base, f.i32(address.offset));
    });
    return expression;
  }
}
