/**
 * The schedule of a contraction over windows. First the image is computed, plane by plane; then tiles of some lines of
 * positions and some rows of the result read it in place, at offsets that a table holds for each step of the sum.
 *
 *     phase 1   tile: a plane of the image;  or four packed rows of the left factor
 *     phase 2   tile: for each 4 rows:  for each 256 steps:  register tiles over the positions → strip
 *                                       for each line:  epilogue on the strip → results
 *
 * Where lines are short, several run as one: the positions between them are computed and thrown away.
 */
import { byteSize } from '../../../base/dtype.ts';
import { contractionBlock, type IndexTerm } from '../../../ir/kernel.ts';
import { substituteAxes } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf, indexValue } from '../addressing.ts';
import { type BuiltContraction, digitsOf } from '../contraction/emit.ts';
import { buildFinish } from '../contraction/finish.ts';
import { buildPack } from '../contraction/pack.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { countOf } from './directions.ts';
import { buildStage, clearSlack, Image, imageElements } from './image.ts';
import { countSteps, type LeftFactor, leftFactor } from './left.ts';
import type { WindowContraction } from './match.ts';
import { tileRows, WindowPhases } from './phases.ts';
import { buildWindowTile, type WindowTile } from './tile.ts';

const tileColumns = 8;
/** Positions that a tile of the schedule should have, so that the image behind them stays in the first cache. */
const bandPositions = 112;
/** Tiles there should be, so that threads can share them. */
const enoughTiles = 16;

/** How positions are cut into tiles, and where their sums lie in a strip. */
interface Bands {
  /** Lines of a band. */
  readonly lines: number;
  /** Whether the lines of a band run as one. */
  readonly joint: boolean;
  /** Elements of a strip from line to line, and of a row of it. */
  readonly pitch: number;
  readonly length: number;
  /** Rows of a tile. */
  readonly rows: number;
}

/** Builds the functions of a contraction over windows; `prefix` makes their names unique in the module. */
export function buildWindow(
  builder: FunctionBuilder,
  facts: KernelFacts,
  window: WindowContraction,
  prefix: string,
): BuiltContraction {
  return new WindowSchedule(builder, facts, window, prefix).build();
}

class WindowSchedule extends WindowPhases {
  readonly left: LeftFactor;
  readonly bands: Bands;

  constructor(f: FunctionBuilder, facts: KernelFacts, window: WindowContraction, prefix: string) {
    super(f, facts, window, new Image(window.image, `${prefix}image`), prefix);
    this.left = leftFactor(f.layout, window, `${prefix}left`);
    this.bands = bandsOf(window, this.image);
    const { dtype } = window.sum;
    f.layout.addShared(this.image.memory, dtype, imageElements(this.image));
    f.layout.addShared(this.#table, 'int32', countSteps(window));
    if (!this.left.index) f.layout.addShared(this.left.memory, dtype, this.#leftParts * this.#leftPart);
    f.layout.addScratch(this.#strip, dtype, tileRows * this.bands.length);
  }

  get #table(): string {
    return `${this.prefix}table`;
  }

  get #strip(): string {
    return `${this.prefix}strip`;
  }

  /** Elements of four packed rows, and how many fours there are. */
  get #leftPart(): number {
    return countSteps(this.window) * tileRows;
  }

  get #leftParts(): number {
    return this.left.index ? 0 : this.rowGroups * countOf(this.leftAxes);
  }

  build(): BuiltContraction {
    const { f, facts, window, image, prefix, left } = this;
    const { i32 } = f.module;
    const { sum } = window;
    this.helpers.push([`${prefix}stage`, buildStage(f, facts, image)]);
    this.helpers.push([`${prefix}finish`, buildFinish(f, facts, window.contraction, [this.#strip])]);
    if (!left.index) {
      const panel = { factor: sum.left, axis: window.row, tile: 4, width: 4, memory: left.memory, clears: false };
      this.helpers.push([`${prefix}pack`, buildPack(f, facts, this.leftAxes, sum, panel)]);
    }
    const first = image.parts + this.#leftParts;
    const { lines, rows } = this.bands;
    const bands = Math.ceil((window.lines.position?.extent ?? 1) / lines);
    const blocks = Math.ceil(window.row.extent / rows);
    const tile = f.newLocal('i32', 'tile');
    f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => {
      const isImage = i32.lt_s(f.get(tile), f.i32(image.parts));
      const isFirst = i32.lt_s(f.get(tile), f.i32(first));
      const prepare = (): void => {
        if (left.index) this.#stageFirst(tile);
        else {
          f.when(
            isImage,
            () => this.#stageFirst(tile),
            () => {
              const part = f.let('i32', i32.sub(f.get(tile), f.i32(image.parts)));
              this.packLeft(part, i32.mul(f.get(part), f.i32(this.#leftPart)));
            },
          );
        }
      };
      f.when(isFirst, prepare, () => this.#compute(f.let('i32', i32.sub(f.get(tile), f.i32(first))), bands, blocks));
    });
    const tiles = countOf(window.outer) * bands * blocks;
    const phases = [
      { tiles: first, group: 1 },
      { tiles, group: 1 },
    ];
    return { builder: f, phases, helpers: this.helpers };
  }

  /** Computes a part of the image; the first also the table. */
  #stageFirst(part: number): void {
    const { f, image } = this;
    f.when(f.module.i32.eqz(f.get(part)), () => {
      clearSlack(f, image);
      this.#fillTable();
    });
    this.stage(part);
  }

  /** For each step of the sum, how far its elements are from a position's own. */
  #fillTable(): void {
    const { f, env, image, window } = this;
    const bytes = byteSize(window.sum.dtype);
    const { terms } = image.tapIndex();
    const channels = image.source.axes.slice(window.imageAxes.length);
    let stride = image.part;
    const planes = [...channels].reverse().map(({ name, extent }): IndexTerm => {
      const term: IndexTerm = { coefficient: stride, factor: { kind: 'axis', axis: name } };
      stride *= extent;
      return term;
    });
    const index = { offset: 0, terms: [...planes, ...terms] };
    const entry = f.let('i32', f.base(this.#table));
    const nest = (level: number): void => {
      const { i32 } = f.module;
      if (level === window.reduced.length) {
        f.statement(i32.store(0, 4, f.get(entry), i32.mul(indexValue(env, index), f.i32(bytes))));
        f.set(entry, i32.add(f.get(entry), f.i32(4)));
        return;
      }
      const { name, extent } = window.reduced[level];
      const counter = f.newLocal('i32', name);
      f.loop({ counter, start: f.i32(0), step: 1, limit: () => f.i32(extent), nonEmpty: true }, () => {
        env.withAxis(name, { local: counter, delta: 0, scope: f.scope }, () => nest(level + 1));
      });
    };
    nest(0);
  }

  /** A tile: some lines of positions, some rows. */
  #compute(tile: number, bands: number, blocks: number): void {
    const { f, env, window, image } = this;
    const { i32 } = f.module;
    const bytes = byteSize(window.sum.dtype);
    const digits = digitsOf(f, tile);
    const block = digits.next(blocks);
    const band = digits.next(bands);
    for (const { name, extent } of [...window.outer].reverse()) {
      env.axes.set(name, { local: digits.next(extent), delta: 0, scope: f.scope });
    }
    const firstLine = f.let('i32', i32.mul(f.get(band), f.i32(this.bands.lines)), 'line');
    const lines = this.least(
      f.i32(this.bands.lines),
      i32.sub(f.i32(window.lines.position?.extent ?? 1), f.get(firstLine)),
    );
    const imageIndex = this.linear(window.imageAxes);
    const inImage = i32.add(
      i32.mul(imageIndex, f.i32((image.parts / countOf(window.imageAxes)) * image.part * bytes)),
      i32.mul(f.get(firstLine), f.i32(image.pitch * bytes)),
    );
    const imageAt = f.let('i32', i32.add(f.base(image.memory), inImage), 'image');
    const firstRow = f.let('i32', i32.mul(f.get(block), f.i32(this.bands.rows)));
    const lastRow = this.least(i32.add(f.get(firstRow), f.i32(this.bands.rows)), f.i32(window.row.extent));
    const row = f.newLocal('i32', window.row.name);
    const shape = { counter: row, start: f.get(firstRow), step: tileRows, limit: () => f.get(lastRow), nonEmpty: true };
    f.loop(shape, () => {
      const rows = this.least(i32.sub(f.get(lastRow), f.get(row)), f.i32(tileRows));
      this.#sums(row, rows, imageAt, lines);
      this.#finish(row, rows, firstLine, lines);
    });
  }

  /** The address of the left factor of some rows. */
  #leftAt(row: number): Expression {
    const { f, env, left, window } = this;
    const { i32 } = f.module;
    const bytes = byteSize(window.sum.dtype);
    if (!left.index) {
      const group = i32.add(
        i32.mul(this.linear(this.leftAxes), f.i32(this.rowGroups)),
        i32.div_u(f.get(row), f.i32(tileRows)),
      );
      return i32.add(f.base(left.memory), i32.mul(group, f.i32(this.#leftPart * bytes)));
    }
    const start = substituteAxes(
      left.index,
      new Map(window.reduced.map(({ name }) => [name, { offset: 0, terms: [] }])),
    );
    let expression = -1;
    env.withAxis(window.row.name, { local: row, delta: 0, scope: f.scope }, () => {
      const address = addressOf(env, left.memory, bytes, start);
      const base = addressExpression(env, address);
      expression = address.offset === 0 ? base : i32.add(base, f.i32(address.offset));
    });
    return expression;
  }

  /** The sums of some rows and lines, into the strip: block by block of the depth. */
  #sums(row: number, rows: number, imageAt: number, lines: number): void {
    const { f, window, left } = this;
    const { i32 } = f.module;
    const bytes = byteSize(window.sum.dtype);
    const steps = countSteps(window);
    const leftAt = f.let('i32', this.#leftAt(row), 'left');
    const table = f.let('i32', f.base(this.#table), 'table');
    const sweep = (count: Expression, adds: boolean): void => {
      const local = f.let('i32', count);
      this.#overPositions(lines, imageAt, (right, strip, vectors) => {
        this.#choose(variantsOf(window.row.extent, tileRows), f.get(rows), (r) => {
          this.#callTile({ rows: r, vectors, adds }, [leftAt, right, strip, table, local]);
        });
      });
    };
    const block = window.sum.dtype === 'float32' ? contractionBlock : steps;
    sweep(f.i32(Math.min(block, steps)), false);
    if (steps <= block) return;
    const done = f.newLocal('i32', 'done');
    f.loop({ counter: done, start: f.i32(block), step: block, limit: () => f.i32(steps), nonEmpty: true }, () => {
      f.set(leftAt, i32.add(f.get(leftAt), f.i32(block * left.step * bytes)));
      f.set(table, i32.add(f.get(table), f.i32(4 * block)));
      const count = this.least(i32.sub(f.i32(steps), f.get(done)), f.i32(block));
      sweep(f.get(count), true);
    });
  }

  /** Calls `build` in loops over the register tiles of some lines, with locals of where they read and write. */
  #overPositions(lines: number, imageAt: number, build: (right: number, strip: number, vectors: number) => void): void {
    const { f, window, image, bands } = this;
    const { i32 } = f.module;
    const bytes = byteSize(window.sum.dtype);
    const width = window.columns.position?.extent ?? 1;
    const along = (length: () => Expression, right: number, strip: number): void => {
      const counts = bands.joint ? [1, 2] : vectorsOf(width);
      const column = f.newLocal('i32');
      const [from, to] = [f.let('i32', f.get(right)), f.let('i32', f.get(strip))];
      f.loop({ counter: column, start: f.i32(0), step: tileColumns, limit: length, nonEmpty: true }, () => {
        const left = i32.sub(length(), f.get(column));
        this.#choose(counts, i32.shr_u(i32.add(left, f.i32(3)), f.i32(2)), (vectors) => build(from, to, vectors));
        f.set(from, i32.add(f.get(from), f.i32(tileColumns * bytes)));
        f.set(to, i32.add(f.get(to), f.i32(tileColumns * bytes)));
      });
    };
    const strip = f.let('i32', f.base(this.#strip));
    if (bands.joint) {
      const all = i32.sub(i32.mul(f.get(lines), f.i32(bands.pitch)), f.i32(bands.pitch - width));
      const length = f.let('i32', all);
      along(() => f.get(length), imageAt, strip);
      return;
    }
    const line = f.newLocal('i32');
    const right = f.let('i32', f.get(imageAt));
    f.loop({ counter: line, start: f.i32(0), step: 1, limit: () => f.get(lines), nonEmpty: true }, () => {
      along(() => f.i32(width), right, strip);
      f.set(right, i32.add(f.get(right), f.i32(image.pitch * bytes)));
      f.set(strip, i32.add(f.get(strip), f.i32(bands.pitch * bytes)));
    });
  }

  /** A chain of tests for the smaller counts; the last is what remains. */
  #choose(counts: readonly number[], actual: Expression, build: (count: number) => void): void {
    const { f } = this;
    if (counts.length === 1) {
      build(counts[0]);
      return;
    }
    const local = f.let('i32', actual);
    const nest = (at: number): void => {
      if (at === counts.length - 1) build(counts[at]);
      else {
        f.when(
          f.module.i32.le_s(f.get(local), f.i32(counts[at])),
          () => build(counts[at]),
          () => nest(at + 1),
        );
      }
    };
    nest(0);
  }

  #callTile(shape: Pick<WindowTile, 'rows' | 'vectors' | 'adds'>, operands: readonly number[]): void {
    const { f, left, window } = this;
    const { dtype } = window.sum;
    const bytes = byteSize(dtype);
    const name = `${this.prefix}tile_${shape.rows}x${4 * shape.vectors}${shape.adds ? '_more' : ''}`;
    if (!this.helpers.some(([known]) => known === name)) {
      const strides = { leftRow: left.row * bytes, leftStep: left.step * bytes, resultRow: this.bands.length * bytes };
      this.helpers.push([name, buildWindowTile(f, { ...shape, ...strides, dtype })]);
    }
    this.call(name, ...operands.map((local) => f.get(local)));
  }

  /** The epilogue, row by row and line by line. */
  #finish(row: number, rows: number, firstLine: number, lines: number): void {
    const { f, env, window, bands } = this;
    const { i32 } = f.module;
    const width = window.columns.position?.extent ?? 1;
    const [r, line] = [f.newLocal('i32'), f.newLocal('i32', 'line')];
    f.loop({ counter: r, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
      f.loop({ counter: line, start: f.i32(0), step: 1, limit: () => f.get(lines), nonEmpty: true }, () => {
        const outer = window.contraction.outer.map(({ name }) =>
          name === window.lines.position?.name ? i32.add(f.get(firstLine), f.get(line)) : f.get(env.axis(name).local!),
        );
        const shift = i32.add(i32.mul(f.get(r), f.i32(bands.length)), i32.mul(f.get(line), f.i32(bands.pitch)));
        const at = i32.add(f.get(row), f.get(r));
        this.call(`${this.prefix}finish`, ...outer, at, f.i32(0), f.i32(width), shift);
      });
    });
  }
}

/** The counts, ascending, that the last of several full ones may have. */
function variantsOf(extent: number, full: number): number[] {
  const counts = extent % full === 0 ? [] : [extent % full];
  return extent >= full ? [...counts, full] : counts;
}

/** Vectors of register tiles along a line. */
const vectorsOf = (width: number): number[] =>
  [...new Set(variantsOf(width, tileColumns).map((columns) => Math.ceil(columns / 4)))].sort((a, b) => a - b);

const vectorsFor = (positions: number): number => Math.ceil(positions / 4);

function bandsOf(window: WindowContraction, image: Image): Bands {
  const all = window.lines.position?.extent ?? 1;
  const width = window.columns.position?.extent ?? 1;
  const lines = Math.max(1, Math.min(all, Math.round(bandPositions / width)));
  const together = (lines - 1) * image.pitch + width;
  const joint = lines > 1 && vectorsFor(together) < lines * vectorsFor(width);
  const pitch = joint ? image.pitch : 4 * vectorsFor(width);
  const length = joint ? tileColumns * Math.ceil(together / tileColumns) : lines * pitch;
  const groups = Math.ceil(window.row.extent / tileRows);
  const others = countOf(window.outer) * Math.ceil(all / lines);
  const blocks = Math.min(groups, Math.max(1, Math.ceil(enoughTiles / others)));
  return { lines, joint, pitch, length, rows: tileRows * Math.ceil(groups / blocks) };
}
