/**
 * The schedule of 3×3 convolutions by Winograd's algorithm F(4×4, 3×3), in fast mode: a quarter of the multiplications,
 * and 36 matrix products over the depth alone.
 *
 *     phase 1   tile: a plane of the image;  or four rows of weights, transformed
 *     phase 2   tile: some 4×4 tiles of the result, a slab:  their parts of the image, transformed
 *                     for each 4 rows:  36 products → products;  transformed back → strip;  epilogue → results
 *
 *     V[36][tiles / 8][depth][8]     U[36][rows / 4][depth][4]     products[36][4][tiles]     strip[4][lines][columns]
 *
 * Its error is at most 2^-18 of the largest sum of magnitudes of products (`docs/fusion.md`, held by a test).
 */
import type { KernelFacts } from '../../common/walk.ts';
import { type BuiltContraction, digitsOf } from '../contraction/emit.ts';
import { buildFinish } from '../contraction/finish.ts';
import { buildStrip } from '../contraction/micro.ts';
import { buildPack } from '../contraction/pack.ts';
import { FunctionBuilder } from '../function-builder.ts';
import { transposed } from '../shuffles.ts';
import { countOf } from './directions.ts';
import { buildStage, clearSlack, Image, imageElements } from './image.ts';
import type { WindowContraction } from './match.ts';
import { tileRows, WindowPhases } from './phases.ts';
import {
  loadSix,
  points,
  taps,
  tileSize,
  transformImage,
  transformProducts,
  transformWeights,
} from './winograd-transforms.ts';

const tileColumns = 8;
const products = points * points;
/** Elements of the transformed image of a slab, which should stay in the second cache. */
const slabElements = 1 << 16;
/** Tiles of work there should be for threads to share. */
const enoughTiles = 8;
/** Transformed weights with more elements than this are not worth reading. */
const mostWeights = 1 << 22;
/** Rows and depth from which on the products are worth the transforms. */
const leastChannels = 16;

/** Elements between the arrays of two points: a cache line, so that those of one place do not fall into one set. */
const lineElements = 16;

/** How the result is cut into 4×4 tiles. */
interface Cut {
  /** Tiles along the lines and along the columns. */
  readonly down: number;
  readonly across: number;
  readonly depth: number;
  /** Tiles of a slab, and rows of a tile of work. */
  readonly slab: number;
  readonly rows: number;
}

/** How to cut a contraction over windows for Winograd's algorithm, where that is the faster one. */
export function winogradCut(window: WindowContraction): Cut | undefined {
  const { lines, columns, sum, row, reduced, image, imageAxes } = window;
  for (const { tap, stride, dilation } of [lines, columns]) {
    if (tap?.extent !== taps || stride !== 1 || dilation !== 1) return undefined;
  }
  const inner = reduced.slice(-2);
  if (sum.dtype !== 'float32' || inner[0] !== lines.tap || inner[1] !== columns.tap) return undefined;
  const [height, width] = [lines.position?.extent ?? 1, columns.position?.extent ?? 1];
  const depth = countOf(image.axes.slice(imageAxes.length));
  if (depth < leastChannels || row.extent < leastChannels || products * row.extent * depth > mostWeights)
    return undefined;
  const [down, across] = [Math.ceil(height / tileSize), Math.ceil(width / tileSize)];
  const tiles = down * across;
  const rounded = tileColumns * Math.ceil(tiles / tileColumns);
  // Instructions for each pair of a row and an element of the depth: multiplications, weights, a share of the image.
  const perProduct = 27 / 32;
  const direct = taps * taps * height * width * perProduct;
  const transformed = products * rounded * perProduct + 90 + (85 * tiles) / row.extent + (50 * tiles) / depth;
  if (transformed * 1.2 > direct) return undefined;
  const most = Math.max(2, Math.floor(slabElements / products / depth / tileColumns));
  const slab = tileColumns * Math.min(most, 4, rounded / tileColumns);
  const slabs = Math.ceil(tiles / slab) * countOf(window.outer);
  const groups = Math.ceil(row.extent / tileRows);
  const blocks = Math.max(1, Math.min(Math.floor(groups / 16), Math.ceil(enoughTiles / slabs)));
  return { down, across, depth, slab, rows: tileRows * Math.ceil(groups / blocks) };
}

/** Builds the functions of a contraction over windows; `prefix` makes their names unique in the module. */
export function buildWinograd(
  f: FunctionBuilder,
  facts: KernelFacts,
  window: WindowContraction,
  cut: Cut,
  prefix: string,
): BuiltContraction {
  const size = { rows: tileSize * cut.down + taps - 1, pitch: tileSize * cut.across + taps - 1 };
  const image = new Image(window.image, `${prefix}image`, undefined, size);
  return new WinogradSchedule(f, facts, window, image, cut, prefix).build();
}

class WinogradSchedule extends WindowPhases {
  readonly cut: Cut;

  constructor(
    f: FunctionBuilder,
    facts: KernelFacts,
    window: WindowContraction,
    image: Image,
    cut: Cut,
    prefix: string,
  ) {
    super(f, facts, window, image, prefix);
    this.cut = cut;
    const { depth, slab } = cut;
    f.layout.addShared(image.memory, 'float32', imageElements(image));
    f.layout.addShared(this.#name('weights'), 'float32', products * this.#weightsPoint);
    f.layout.addScratch(this.#name('panel'), 'float32', depth * taps * taps * tileRows);
    f.layout.addScratch(this.#name('tiles'), 'float32', products * this.#tilesPoint);
    f.layout.addScratch(this.#name('products'), 'float32', products * tileRows * slab);
    f.layout.addScratch(this.#name('strip'), 'float32', tileRows * this.#stripRow);
    f.layout.addScratch(this.#name('places'), 'int32', 2 * slab);
  }

  #name(what: string): string {
    return `${this.prefix}${what}`;
  }

  /** Elements from the weights at one point to those at the next. */
  get #weightsPoint(): number {
    return countOf(this.leftAxes) * this.rowGroups * tileRows * this.cut.depth + lineElements;
  }

  /** The same for the tiles of a slab. */
  get #tilesPoint(): number {
    return this.cut.slab * this.cut.depth + lineElements;
  }

  /**
   * Columns of a line of the strip, and elements of one of its rows: the tiles' lines, and four for what is no tile.
   */
  get #stripLine(): number {
    return tileSize * this.cut.across;
  }

  get #stripTiles(): number {
    return Math.min(this.cut.down, Math.ceil((this.cut.slab - 1) / this.cut.across) + 1);
  }

  get #stripRow(): number {
    return (this.#stripTiles + 1) * tileSize * this.#stripLine;
  }

  build(): BuiltContraction {
    const { f, facts, window, image, prefix, cut } = this;
    const { i32 } = f.module;
    const { sum, row } = window;
    const panel = { factor: sum.left, axis: row, tile: 4, width: 4, memory: this.#name('panel'), clears: false };
    this.helpers.push(
      [`${prefix}stage`, buildStage(f, facts, image)],
      [`${prefix}finish`, buildFinish(f, facts, window.contraction, [this.#name('strip')], tileSize)],
      [`${prefix}pack`, buildPack(f, facts, this.leftAxes, sum, panel)],
      [`${prefix}weights`, this.#buildWeights()],
      [`${prefix}tiles`, this.#buildTiles()],
      [`${prefix}back`, this.#buildBack()],
      [`${prefix}product`, this.#buildProduct()],
    );
    const weightParts = countOf(this.leftAxes) * this.rowGroups;
    const first = image.parts + weightParts;
    const tile = f.newLocal('i32', 'tile');
    f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => {
      const less = i32.sub(f.get(tile), f.i32(image.parts));
      const prepare = (): void => {
        f.when(
          i32.lt_s(f.get(tile), f.i32(image.parts)),
          () => {
            f.when(i32.eqz(f.get(tile)), () => clearSlack(f, image));
            this.stage(tile);
          },
          () => this.#weights(f.let('i32', less)),
        );
      };
      f.when(i32.lt_s(f.get(tile), f.i32(first)), prepare, () =>
        this.#compute(f.let('i32', i32.sub(f.get(tile), f.i32(first)))),
      );
    });
    const blocks = Math.ceil(row.extent / cut.rows);
    const slabs = Math.ceil((cut.down * cut.across) / cut.slab);
    return {
      builder: f,
      phases: [
        { tiles: first, group: 1 },
        { tiles: countOf(window.outer) * slabs * blocks, group: blocks },
      ],
      helpers: this.helpers,
    };
  }

  #function(...names: readonly string[]): FunctionBuilder {
    const { f } = this;
    return new FunctionBuilder(f.binaryen, f.module, f.layout, ['record', ...names]);
  }

  /** `weights(record, to)`: four packed rows of weights, transformed. */
  #buildWeights(): FunctionBuilder {
    const f = this.#function('to');
    const { i32, v128 } = f.module;
    const from = f.let('i32', f.base(this.#name('panel')));
    const step = f.newLocal('i32');
    f.loop({ counter: step, start: f.i32(0), step: 1, limit: () => f.i32(this.cut.depth), nonEmpty: true }, () => {
      const weights = [0, 1, 2].map((i) =>
        [0, 1, 2].map((j) => f.let('v128', v128.load(16 * (taps * i + j), 4, f.get(from)))),
      );
      transformWeights(f, weights).forEach((line, i) => {
        line.forEach((value, j) => {
          f.statement(v128.store(4 * (points * i + j) * this.#weightsPoint, 4, f.get(1), f.get(value)));
        });
      });
      f.set(from, i32.add(f.get(from), f.i32(16 * taps * taps)));
      f.set(1, i32.add(f.get(1), f.i32(16)));
    });
    return f;
  }

  #weights(part: number): void {
    const { f, cut } = this;
    const { i32 } = f.module;
    this.packLeft(part, f.i32(0));
    const to = i32.mul(f.get(part), f.i32(4 * tileRows * cut.depth));
    this.call(`${this.prefix}weights`, i32.add(f.base(this.#name('weights')), to));
  }

  /** `tiles(record, image, places, to)`: the parts of the image behind four tiles, transformed, for the whole depth. */
  #buildTiles(): FunctionBuilder {
    const f = this.#function('image', 'places', 'to');
    const { i32, v128 } = f.module;
    const { cut, image } = this;
    const addresses = [0, 1, 2, 3].map((t) => f.let('i32', i32.add(f.get(1), i32.load(4 * t, 4, f.get(2))), 'at'));
    const step = f.newLocal('i32');
    f.loop({ counter: step, start: f.i32(0), step: 1, limit: () => f.i32(cut.depth), nonEmpty: true }, () => {
      const input = Array.from({ length: points }, (_, i) => loadSix(f, addresses, 4 * i * image.pitch));
      transformImage(f, input).forEach((line, i) => {
        line.forEach((value, j) => {
          f.statement(v128.store(4 * (points * i + j) * this.#tilesPoint, 4, f.get(3), f.get(value)));
        });
      });
      for (const at of addresses) f.set(at, i32.add(f.get(at), f.i32(4 * image.part)));
      f.set(3, i32.add(f.get(3), f.i32(4 * tileColumns)));
    });
    return f;
  }

  /**
   * `back(record, products, places, strip)`: the products of four tiles of one row, transformed back into the strip.
   */
  #buildBack(): FunctionBuilder {
    const f = this.#function('products', 'places', 'strip');
    const { i32, v128 } = f.module;
    const { cut } = this;
    const addresses = [0, 1, 2, 3].map((t) => f.let('i32', i32.add(f.get(3), i32.load(4 * t, 4, f.get(2))), 'at'));
    const input = Array.from({ length: points }, (_, i) =>
      Array.from({ length: points }, (_, j) =>
        f.let('v128', v128.load(4 * (points * i + j) * tileRows * cut.slab, 4, f.get(1))),
      ),
    );
    transformProducts(f, input).forEach((line, i) => {
      transposed(f, line).forEach((four, t) => {
        f.statement(v128.store(4 * i * this.#stripLine, 4, f.get(addresses[t]), f.get(four)));
      });
    });
    return f;
  }

  #buildProduct(): FunctionBuilder {
    const { cut } = this;
    return buildStrip(this.f, {
      rows: tileRows,
      vectors: tileColumns / 4,
      lastVectors: [],
      hasFull: true,
      dtype: 'float32',
      depth: cut.depth,
      strides: {
        leftRow: 4,
        leftStep: 4 * tileRows,
        rightStep: 4 * tileColumns,
        rightTile: 4 * tileColumns * cut.depth,
        resultRow: 4 * cut.slab,
      },
      continues: 'whole',
      isRanged: false,
    });
  }

  /** A tile of work: a slab of tiles, some rows. */
  #compute(tile: number): void {
    const { f, env, window, image, cut } = this;
    const { i32 } = f.module;
    const tiles = cut.down * cut.across;
    const digits = digitsOf(f, tile);
    const block = digits.next(Math.ceil(window.row.extent / cut.rows));
    const slab = digits.next(Math.ceil(tiles / cut.slab));
    for (const { name, extent } of [...window.outer].reverse()) {
      env.axes.set(name, { local: digits.next(extent), delta: 0, scope: f.scope });
    }
    const first = f.let('i32', i32.mul(f.get(slab), f.i32(cut.slab)), 'first');
    const last = this.least(i32.add(f.get(first), f.i32(cut.slab)), f.i32(tiles));
    const firstDown = f.let('i32', i32.div_u(f.get(first), f.i32(cut.across)));
    this.#places(first, firstDown);
    const inImage = i32.mul(this.linear(window.imageAxes), f.i32(4 * cut.depth * image.part));
    const imageAt = f.let('i32', i32.add(f.base(image.memory), inImage), 'image');
    const four = f.newLocal('i32');
    f.loop({ counter: four, start: f.i32(0), step: 4, limit: () => f.i32(cut.slab), nonEmpty: true }, () => {
      const panel = i32.mul(i32.div_u(f.get(four), f.i32(tileColumns)), f.i32(4 * tileColumns * cut.depth));
      const half = i32.shl(i32.and(f.get(four), f.i32(4)), f.i32(2));
      const to = i32.add(f.base(this.#name('tiles')), i32.add(panel, half));
      const places = i32.add(f.base(this.#name('places')), i32.shl(f.get(four), f.i32(2)));
      this.call(`${this.prefix}tiles`, f.get(imageAt), places, to);
    });
    const firstRow = f.let('i32', i32.mul(f.get(block), f.i32(cut.rows)));
    const lastRow = this.least(i32.add(f.get(firstRow), f.i32(cut.rows)), f.i32(window.row.extent));
    const row = f.newLocal('i32', window.row.name);
    f.loop(
      { counter: row, start: f.get(firstRow), step: tileRows, limit: () => f.get(lastRow), nonEmpty: true },
      () => {
        this.#rows(row);
        const rows = this.least(i32.sub(f.get(lastRow), f.get(row)), f.i32(tileRows));
        this.#finish(row, rows, first, last, firstDown);
      },
    );
  }

  /** For each tile of a slab, where it lies in a plane of the image, then where in the strip, in bytes. */
  #places(first: number, firstDown: number): void {
    const { f, image, cut } = this;
    const { i32 } = f.module;
    const tile = f.newLocal('i32');
    const at = f.let('i32', f.base(this.#name('places')));
    f.loop({ counter: tile, start: f.i32(0), step: 1, limit: () => f.i32(cut.slab), nonEmpty: true }, () => {
      const number = f.let('i32', i32.add(f.get(tile), f.get(first)));
      const down = f.let('i32', i32.div_u(f.get(number), f.i32(cut.across)));
      const across = f.let('i32', i32.rem_u(f.get(number), f.i32(cut.across)));
      const isTile = (): number => i32.lt_s(f.get(number), f.i32(cut.down * cut.across));
      const inImage = i32.add(
        i32.mul(f.get(down), f.i32(4 * tileSize * image.pitch)),
        i32.mul(f.get(across), f.i32(4 * tileSize)),
      );
      f.statement(i32.store(0, 4, f.get(at), f.module.select(isTile(), inImage, f.i32(0))));
      const inStrip = i32.add(
        i32.mul(i32.sub(f.get(down), f.get(firstDown)), f.i32(4 * tileSize * this.#stripLine)),
        i32.mul(f.get(across), f.i32(4 * tileSize)),
      );
      const nowhere = f.i32(4 * this.#stripTiles * tileSize * this.#stripLine);
      f.statement(i32.store(4 * cut.slab, 4, f.get(at), f.module.select(isTile(), inStrip, nowhere)));
      f.set(at, i32.add(f.get(at), f.i32(4)));
    });
  }

  /** Four rows of a slab, into the strip. */
  #rows(row: number): void {
    const { f, cut } = this;
    const { i32 } = f.module;
    const group = i32.add(
      i32.mul(this.linear(this.leftAxes), f.i32(this.rowGroups)),
      i32.div_u(f.get(row), f.i32(tileRows)),
    );
    const inWeights = i32.mul(group, f.i32(4 * tileRows * cut.depth));
    const left = f.let('i32', i32.add(f.base(this.#name('weights')), inWeights));
    const right = f.let('i32', f.base(this.#name('tiles')));
    const result = f.let('i32', f.base(this.#name('products')));
    const point = f.newLocal('i32');
    f.loop({ counter: point, start: f.i32(0), step: 1, limit: () => f.i32(products), nonEmpty: true }, () => {
      const operands = [left, right, result].map((local) => f.get(local));
      this.call(`${this.prefix}product`, ...operands, f.i32(cut.slab), f.i32(cut.slab));
      f.set(left, i32.add(f.get(left), f.i32(4 * this.#weightsPoint)));
      f.set(right, i32.add(f.get(right), f.i32(4 * this.#tilesPoint)));
      f.set(result, i32.add(f.get(result), f.i32(4 * tileRows * cut.slab)));
    });
    const [r, four] = [f.newLocal('i32'), f.newLocal('i32')];
    f.loop({ counter: r, start: f.i32(0), step: 1, limit: () => f.i32(tileRows), nonEmpty: true }, () => {
      f.loop({ counter: four, start: f.i32(0), step: 4, limit: () => f.i32(cut.slab), nonEmpty: true }, () => {
        const offset = i32.shl(i32.add(i32.mul(f.get(r), f.i32(cut.slab)), f.get(four)), f.i32(2));
        const from = i32.add(f.base(this.#name('products')), offset);
        const placesAt = i32.add(f.i32(4 * cut.slab), i32.shl(f.get(four), f.i32(2)));
        const strip = i32.add(f.base(this.#name('strip')), i32.mul(f.get(r), f.i32(4 * this.#stripRow)));
        this.call(`${this.prefix}back`, from, i32.add(f.base(this.#name('places')), placesAt), strip);
      });
    });
  }

  /** The epilogue on the lines of some rows that a slab has a part of. */
  #finish(row: number, rows: number, first: number, last: number, firstDown: number): void {
    const { f, env, window, cut } = this;
    const { i32 } = f.module;
    const [height, width] = [window.lines.position?.extent ?? 1, window.columns.position?.extent ?? 1];
    const firstLine = f.let('i32', i32.mul(f.get(firstDown), f.i32(tileSize)));
    const lastDown = i32.add(i32.div_u(i32.sub(f.get(last), f.i32(1)), f.i32(cut.across)), f.i32(1));
    const lastLine = this.least(i32.mul(lastDown, f.i32(tileSize)), f.i32(height));
    const [r, line] = [f.newLocal('i32'), f.newLocal('i32', 'line')];
    f.loop({ counter: r, start: f.i32(0), step: 1, limit: () => f.get(rows), nonEmpty: true }, () => {
      f.loop({ counter: line, start: f.get(firstLine), step: 1, limit: () => f.get(lastLine), nonEmpty: true }, () => {
        const begin = f.let('i32', i32.mul(i32.div_u(f.get(line), f.i32(tileSize)), f.i32(cut.across)));
        /** Columns before a tile of the line. */
        const columns = (tile: number): number => i32.mul(i32.sub(f.get(tile), f.get(begin)), f.i32(tileSize));
        const start = f.let('i32', columns(first));
        const from = f.greatest(
          () => f.get(start),
          () => f.i32(0),
        );
        const to = this.least(columns(last), f.i32(width));
        const outer = window.contraction.outer.map(({ name }) =>
          f.get(name === window.lines.position?.name ? line : env.axis(name).local!),
        );
        const inStrip = i32.mul(i32.sub(f.get(line), f.get(firstLine)), f.i32(this.#stripLine));
        const shift = i32.add(i32.mul(f.get(r), f.i32(this.#stripRow)), inStrip);
        this.call(`${this.prefix}finish`, ...outer, i32.add(f.get(row), f.get(r)), from, f.get(to), shift);
      });
    });
  }
}
