/**
 * Transposes that only move elements of one byte: tiles of eight by eight, turned as bytes. Lanes of 32 bits, in which
 * everything else is computed, would hold a quarter as many elements and be widened and packed for nothing.
 *
 *     rows      r0 = 00 01 .. 07, r1 = 10 11 .. 17, ...
 *     pairs     00 10 01 11 02 12 ..         r0 with r1, r2 with r3, ...
 *     fours     00 10 20 30 01 11 21 31 ..   the pairs by two bytes
 *     columns   00 10 .. 70 01 11 .. 71      the fours by four bytes: two columns a vector
 */
import { type Dim, isStatic, mulDims } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import type { IndexExpression, KernelNode } from '../../ir/kernel.ts';
import { coefficientOf } from '../common/linear-index.ts';
import { addressExpression, addressOf } from './addressing.ts';
import type { Environment } from './environment.ts';
import type { RecordLayout } from './record.ts';

/** Elements of a tile along either axis. */
export const byteSide = 8;

interface Access {
  readonly memory: string;
  readonly index: IndexExpression;
}

export interface ByteMove {
  readonly from: Access;
  readonly to: Access;
}

/** The move, where a body is nothing but one load and the store of what it loaded, byte by byte. */
export function matchByteMove(body: readonly KernelNode[], layout: RecordLayout): ByteMove | undefined {
  const [load, store] = body;
  if (body.length !== 2 || load.kind !== 'let' || store.kind !== 'store' || store.value !== load.id) return undefined;
  const { expression, dtype } = load;
  if (expression.kind !== 'load' || expression.when !== undefined) return undefined;
  const dtypes = [expression.memory, store.memory].map((memory) => layout.dtypeOf(memory));
  if (byteSize(dtype) !== 1 || dtypes.some((other) => other !== dtype)) return undefined;
  return { from: expression, to: store };
}

/** Turns the tile at the current positions of the axes. */
export function emitByteTile(env: Environment, { from, to }: ByteMove, down: string, across: string): void {
  const { f } = env;
  const { i32, i8x16, v128 } = f.module;
  /** The address of line `line` of the tile, whose bytes lie side by side. */
  const lineOf = ({ memory, index }: Access, axis: string, line: number) => {
    const address = addressOf(env, memory, 1, index);
    const shift = mulDims(coefficientOf(index, axis) as Dim, line);
    const isOffset = isStatic(shift) && shift >= 0;
    const base = addressExpression(env, address);
    return isOffset
      ? { base, offset: address.offset + shift }
      : { base: i32.add(base, f.size(shift)), offset: address.offset };
  };
  const lines = Array.from({ length: byteSide }, (_, line) => {
    const { base, offset } = lineOf(from, across, line);
    return f.let('v128', v128.load64_zero(offset, 1, base));
  });
  /** Groups of `size` bytes of two vectors in turn, from the group `first` on. */
  const interleaved = (a: number, b: number, size: number, first: number): number => {
    const groups = Array.from({ length: 8 / size }, (_, at) => size * (first + at));
    const bytes = groups.flatMap((start) =>
      [start, 16 + start].flatMap((s) => Array.from({ length: size }, (_, i) => s + i)),
    );
    return f.let('v128', i8x16.shuffle(f.get(a), f.get(b), bytes));
  };
  const pairs = [0, 2, 4, 6].map((line) => interleaved(lines[line], lines[line + 1], 1, 0));
  const fours = [0, 4].map((first) => [0, 2].map((at) => interleaved(pairs[at], pairs[at + 1], 2, first)));
  const columns = fours.flatMap(([upper, lower]) => [0, 2].map((first) => interleaved(upper, lower, 4, first)));
  for (let line = 0; line < byteSide; line++) {
    const { base, offset } = lineOf(to, down, line);
    const value = f.get(columns[line >> 1]);
    f.statement(v128.store64_lane(offset, 1, line & 1, base, value));
  }
}
