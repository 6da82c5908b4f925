/**
 * The schedule of a contraction. The result is cut into chunks of columns, whose part of the right factor is packed
 * once and stays in the cache, and into blocks of rows; a tile is one block of one chunk.
 *
 *     tile:  pack the right factor's chunk (unless the tile before did);  the rows of the block, four at a time
 */
import { ceilDivDims, type Dim, dimProduct } from '../../../base/dim.ts';
import type { Axis } from '../../../ir/kernel.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { TilePhase } from '../kernel.ts';
import { ContractionBlock, type NamedHelper } from './block.ts';
import type { Contraction } from './match.ts';

/** Rows of a block. */
const blockRows = 64;

export interface BuiltContraction {
  readonly builder: FunctionBuilder;
  readonly phases: readonly TilePhase[];
  readonly helpers: readonly NamedHelper[];
}

/** Builds the functions of a contraction; `prefix` makes their names unique in the module. */
export function buildContraction(
  builder: FunctionBuilder,
  facts: KernelFacts,
  contraction: Contraction,
  prefix: string,
): BuiltContraction {
  const f = builder;
  const block = new ContractionBlock(new Environment(f, facts), facts, contraction, {
    prefix,
    packsAll: false,
    skipsZeros: false,
  });
  const { outer, row } = contraction;
  const rowBlocks = ceilDivDims(row.extent, blockRows);
  const tiles = dimProduct([...outer.map((axis) => axis.extent), block.chunks, rowBlocks]);
  const packed = f.let('i32', f.i32(-1), 'packed');
  const tile = f.newLocal('i32', 'tile');
  f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => emitTile(block, tile, packed));
  return { builder, phases: [{ tiles, group: block.packs ? rowBlocks : 1 }], helpers: block.helpers };
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

function emitTile(block: ContractionBlock, tile: number, packed: number): void {
  const { f, c, env } = block;
  const { i32 } = f.module;
  const digits = digitsOf(f, tile);
  const rowBlock = digits.next(ceilDivDims(c.row.extent, blockRows));
  const bind = (axes: readonly Axis[]): void => {
    for (const axis of [...axes].reverse()) {
      env.axes.set(axis.name, { local: digits.next(axis.extent), delta: 0, scope: f.scope });
    }
  };
  const isShared = ({ name }: Axis): boolean => c.sums.some(({ right }) => right.axes.has(name));
  bind(c.outer.filter((axis) => !isShared(axis)));
  const key = f.let('i32', f.get(digits.rest), 'chunk_key');
  const chunk = digits.next(block.chunks);
  bind(c.outer.filter(isShared));
  const from = f.let('i32', i32.mul(f.get(chunk), f.i32(block.chunk)), 'from');
  const to = block.atMost(i32.add(f.get(from), f.i32(block.chunk)), c.column.extent);
  if (block.packs) {
    f.when(i32.ne(f.get(key), f.get(packed)), () => {
      f.set(packed, f.get(key));
      block.packRight(from, to);
    });
  }
  const firstRow = f.let('i32', i32.mul(f.get(rowBlock), f.i32(blockRows)));
  const lastRow = block.atMost(i32.add(f.get(firstRow), f.i32(blockRows)), c.row.extent);
  block.rows(f.get(firstRow), lastRow, from, to);
}
