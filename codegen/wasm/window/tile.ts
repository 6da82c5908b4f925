/**
 * The register tile of a contraction over windows: `rows` rows by `vectors` vectors of neighbouring positions, summed
 * over some steps in order. The right factor of a step lies in the image at an offset of its own, the same for all
 * positions, which a table holds.
 *
 *     tile(record, a, b, c, table, steps)      a: left[row 0][first step]    b: the image at the first position
 *                                              c: where the sums go          table: bytes from b, one for each step
 */
import type { DType } from '../../../base/dtype.ts';
import { FunctionBuilder } from '../function-builder.ts';

export interface WindowTile {
  readonly rows: number;
  readonly vectors: number;
  readonly dtype: DType;
  /** Distances in bytes. */
  readonly leftRow: number;
  readonly leftStep: number;
  readonly resultRow: number;
  /** Whether the sums are added to what is there. */
  readonly adds: boolean;
}

/** Builds the function of a tile; the caller finishes it under a name. */
export function buildWindowTile(outer: FunctionBuilder, tile: WindowTile): FunctionBuilder {
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, [
    'record',
    'a',
    'b',
    'c',
    'table',
    'steps',
  ]);
  const { i32, v128, f32x4, i32x4 } = f.module;
  const { rows, vectors, dtype, leftRow, leftStep, resultRow, adds } = tile;
  const lanes = dtype === 'float32' ? f32x4 : i32x4;
  const [left, right, result, table, steps] = [1, 2, 3, 4, 5];
  const each = <T>(make: (row: number, vector: number) => T): T[][] =>
    Array.from({ length: rows }, (_, row) => Array.from({ length: vectors }, (_, vector) => make(row, vector)));
  const sums = each(() => f.let('v128', f.splat(dtype, 0), 'sum'));
  const end = f.let('i32', i32.add(f.get(table), i32.shl(f.get(steps), f.i32(2))), 'end');
  const advance = (local: number, by: number): void => f.set(local, i32.add(f.get(local), f.i32(by)));
  f.loop({ counter: table, step: 4, limit: () => f.get(end), nonEmpty: true }, () => {
    const at = f.let('i32', i32.add(f.get(right), i32.load(0, 4, f.get(table))), 'at');
    const columns = Array.from({ length: vectors }, (_, v) => f.let('v128', v128.load(16 * v, 4, f.get(at)), 'right'));
    for (let row = 0; row < rows; row++) {
      const splat = f.let('v128', v128.load32_splat(row * leftRow, 4, f.get(left)), 'left');
      columns.forEach((column, v) => {
        const [sum, a, b] = [sums[row][v], splat, column].map((local) => f.get(local));
        const total = dtype === 'float32' ? f.mulAdd('f32x4', a, b, sum) : i32x4.add(sum, i32x4.mul(a, b));
        f.set(sums[row][v], total);
      });
    }
    advance(left, leftStep);
  });
  each((row, v) => {
    const offset = row * resultRow + 16 * v;
    const sum = f.get(sums[row][v]);
    const total = adds ? lanes.add(v128.load(offset, 4, f.get(result)), sum) : sum;
    f.statement(v128.store(offset, 4, f.get(result), total));
  });
  return f;
}
