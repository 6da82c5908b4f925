/**
 * The schedule of a contraction. The result is cut into chunks of columns, whose part of the right factor is packed
 * once and stays in the cache, and into blocks of rows; a tile is one block of one chunk.
 *
 *     few right factors for many tiles     phase 1: pack all of them into shared memory     phase 2: the tiles
 *     otherwise                            tile: pack the right factor's chunk (unless the tile before did), the rows
 */
import { ceilDivDims, type Dim, dimProduct, isStatic, mulDims } from '../../../base/dim.ts';
import type { Axis, Kernel } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { TilePhase } from '../kernel.ts';
import { ContractionBlock, type NamedHelper } from './block.ts';
import type { Contraction } from './match.ts';
import { dependsOn, type Packing, sharedRights } from './product.ts';
import { type ContractionSchedule, chunkOf, rowsOfBlock } from './schedule.ts';

/** So many right factors, or chunks of them, are work enough for all threads without a phase for packing. */
const enoughRights = 16;
/** Elements of the right factors up to which all of them are packed at once: 32 MB. */
const sharedElements = 1 << 23;
/** Elements that a tile of the packing phase packs, about. */
const packedElements = 1 << 15;

export interface BuiltContraction {
  readonly builder: FunctionBuilder;
  readonly phases: readonly TilePhase[];
  readonly helpers: readonly NamedHelper[];
}

export interface BuildOptions {
  readonly schedule: ContractionSchedule;
  /** Right factors are packed apart, into a buffer that stays (`Kernel.packed`). */
  readonly packed?: Kernel['packed'];
  /** Makes the names of functions unique in the module. */
  readonly prefix: string;
}

/** Builds the functions of a contraction. */
export function buildContraction(
  builder: FunctionBuilder,
  facts: KernelFacts,
  contraction: Contraction,
  { schedule, packed, prefix }: BuildOptions,
): BuiltContraction {
  const f = builder;
  const { outer, row, column } = contraction;
  const [chunk, blockRows] = [chunkOf(column, schedule), rowsOfBlock(row.extent, schedule)];
  const packing = packed ? 'shared' : choosePacking(contraction, chunk, blockRows);
  const isKept = packed !== undefined;
  const options = { prefix, schedule, packing, isKept, chunk, blockRows, skipsZeros: false };
  const block = new ContractionBlock(new Environment(f, facts), facts, contraction, options);
  const rowBlocks = ceilDivDims(row.extent, blockRows);
  const tiles = dimProduct([...outer.map((axis) => axis.extent), block.chunks, rowBlocks]);
  const work: TilePhase = { tiles, group: block.packs && packing === 'chunk' ? rowBlocks : 1 };
  const { helpers } = block;
  if (packed === 'make') return { builder, phases: block.packs ? [emitPacking(block)] : [], helpers };
  const phases = packing === 'shared' && block.packs && !packed ? [emitPacking(block), work] : [work];
  emitTiles(block, phases.length > 1 ? phases[0].tiles : 0);
  return { builder, phases, helpers };
}

/** Whether packed right factors are shared: where there are few of them, and each is used by several tiles. */
function choosePacking(c: Contraction, chunk: number, blockRows: number): Packing {
  const likely = (axes: readonly Axis[]): number =>
    axes.reduce((product, { extent }) => product * likelyExtent(extent), 1);
  const rights = likely(c.outer.filter(({ name }) => dependsOn(c, name)));
  const users =
    likely(c.outer.filter(({ name }) => !dependsOn(c, name))) * Math.ceil(likelyExtent(c.row.extent) / blockRows);
  const chunks = rights * Math.ceil(likelyExtent(c.column.extent) / chunk);
  const depth = c.sums.reduce((total, sum) => total + likelyExtent(sum.depth), 0);
  const elements = rights * depth * likelyExtent(c.column.extent);
  return users > 1 && chunks < enoughRights && elements <= sharedElements ? 'shared' : 'chunk';
}

/** The digits of a number, the fastest first: each call takes one off. */
export function digitsOf(f: FunctionBuilder, number: number): { rest: number; next(extent: Dim): number } {
  const { i32 } = f.module;
  const rest = f.let('i32', f.get(number));
  const next = (extent: Dim): number => {
    if (extent === 1) return f.let('i32', f.i32(0));
    const local = f.let('i32', i32.rem_u(f.get(rest), f.size(extent)));
    f.set(rest, i32.div_u(f.get(rest), f.size(extent)));
    return local;
  };
  return { rest, next };
}

/** Binds axes to the next digits, the innermost to the fastest. */
function bindAxes({ env, f }: ContractionBlock, axes: readonly Axis[], next: (extent: Dim) => number): void {
  for (const { name, extent } of [...axes].reverse()) {
    env.axes.set(name, { local: next(extent), delta: 0, scope: f.scope });
  }
}

/** The loop of the phase that packs right factors: its tiles are some columns of one of them. */
function emitPacking(block: ContractionBlock): TilePhase {
  const { f, c, options } = block;
  const { i32 } = f.module;
  const { tileColumns } = options.schedule;
  const depth = Math.max(...c.sums.map((sum) => likelyExtent(sum.depth)));
  const columns = tileColumns * Math.max(1, Math.floor(packedElements / Math.max(1, depth) / tileColumns));
  const parts = ceilDivDims(c.column.extent, columns);
  const tiles = mulDims(parts, sharedRights(c));
  const limit = f.let('i32', f.get(2), 'packing');
  f.set(
    limit,
    f.least(
      () => f.get(limit),
      () => f.size(tiles),
    ),
  );
  const tile = f.newLocal('i32', 'tile');
  f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(limit) }, () => {
    const { next, rest } = digitsOf(f, tile);
    const part = next(parts);
    block.rightNumber = f.let('i32', f.get(rest), 'right_number');
    bindAxes(
      block,
      c.outer.filter(({ name }) => dependsOn(c, name)),
      next,
    );
    for (const axis of c.outer.filter(({ name }) => !dependsOn(c, name))) {
      block.env.axes.set(axis.name, { local: f.let('i32', f.i32(0)), delta: 0, scope: f.scope });
    }
    const from = f.let('i32', i32.mul(f.get(part), f.i32(columns)), 'from');
    const to = block.atMost(i32.add(f.get(from), f.i32(columns)), c.column.extent);
    block.packRight(from, to);
  });
  return { tiles, group: 1 };
}

/** The loop over the tiles, which begin at `first` of the range. */
function emitTiles(block: ContractionBlock, first: Dim): void {
  const { f } = block;
  const { i32 } = f.module;
  const packed = f.let('i32', f.i32(-1), 'packed');
  const at = f.newLocal('i32', 'at');
  f.set(at, f.get(1));
  if (!isStatic(first) || first > 0) {
    f.set(
      at,
      f.greatest(
        () => f.get(at),
        () => f.size(first),
      ),
    );
  }
  f.loop({ counter: at, step: 1, limit: () => f.get(2) }, () => {
    const tile = f.let('i32', i32.sub(f.get(at), f.size(first)), 'tile');
    emitTile(block, tile, packed);
  });
}

function emitTile(block: ContractionBlock, tile: number, packed: number): void {
  const { f, c, options } = block;
  const { i32 } = f.module;
  const { rest, next } = digitsOf(f, tile);
  const rowBlock = next(ceilDivDims(c.row.extent, options.blockRows));
  const isShared = ({ name }: Axis): boolean => dependsOn(c, name);
  bindAxes(
    block,
    c.outer.filter((axis) => !isShared(axis)),
    next,
  );
  const key = f.let('i32', f.get(rest), 'chunk_key');
  const chunk = next(block.chunks);
  block.rightNumber = options.packing === 'shared' ? f.let('i32', f.get(rest), 'right_number') : undefined;
  bindAxes(block, c.outer.filter(isShared), next);
  const from = f.let('i32', i32.mul(f.get(chunk), f.i32(block.chunk)), 'from');
  const to = block.atMost(i32.add(f.get(from), f.i32(block.chunk)), c.column.extent);
  if (block.packs && options.packing === 'chunk') {
    f.when(i32.ne(f.get(key), f.get(packed)), () => {
      f.set(packed, f.get(key));
      block.packRight(from, to);
    });
  }
  const firstRow = f.let('i32', i32.mul(f.get(rowBlock), f.i32(options.blockRows)));
  const lastRow = block.atMost(i32.add(f.get(firstRow), f.i32(options.blockRows)), c.row.extent);
  block.rows(firstRow, lastRow, from, to);
}
