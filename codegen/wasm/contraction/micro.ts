/**
 * The register tile: `rows` rows by `vectors` vectors of columns, summed over the depth in order within blocks, block
 * by block. The left factor is read by splats, the right one by vectors in adjacent pairs.
 *
 *     tile(record, a, b, c)      a: left[row 0][0]    b: right[0][column 0]    c: where the sums go
 *     tile(record, a, b, c, begin, end)      only the steps from `begin` to `end`, where `a` and `b` begin
 */
import { type Dim, dimBounds, isStatic, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { contractionBlock } from '../../../ir/kernel.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';

/** Distances in bytes. */
export interface TileStrides {
  readonly leftRow: Dim;
  readonly leftStep: Dim;
  readonly rightStep: Dim;
  readonly resultRow: number;
}

export interface TileShape {
  readonly rows: number;
  readonly vectors: number;
  readonly dtype: DType;
  readonly depth: Dim;
  readonly strides: TileStrides;
  /** Whether the tile sums over a part of the depth, which begins and ends at multiples of four or where the depth does. */
  readonly isRanged: boolean;
}

/** Whether a distance can stand in an instruction: immediates are unsigned, and a reversed axis walks backwards. */
const isImmediate = (distance: Dim): distance is number => isStatic(distance) && distance >= 0;

/** Builds the function of a register tile; the caller finishes it under a name. */
export function buildTile(outer: FunctionBuilder, shape: TileShape): FunctionBuilder {
  const names = ['record', 'a', 'b', 'c', ...(shape.isRanged ? ['begin', 'end'] : [])];
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  new Tile(f, shape).build();
  return f;
}

class Tile {
  readonly f: FunctionBuilder;
  readonly shape: TileShape;
  /** One pointer for all rows where their distances are immediates, else one a row. */
  readonly left: number[];
  readonly right = 2;
  readonly partial: number[][];

  constructor(f: FunctionBuilder, shape: TileShape) {
    this.f = f;
    this.shape = shape;
    const { i32 } = f.module;
    const { leftRow } = shape.strides;
    this.left = [1];
    if (!isImmediate(leftRow)) {
      for (let row = 1; row < shape.rows; row++) {
        this.left.push(f.let('i32', i32.add(f.get(1), f.size(mulDims(leftRow, row)))));
      }
    }
    this.partial = this.grid();
  }

  grid(): number[][] {
    const { rows, vectors } = this.shape;
    return Array.from({ length: rows }, () => Array.from({ length: vectors }, () => this.f.newLocal('v128', 'sum')));
  }

  each(visit: (row: number, vector: number) => void): void {
    for (let row = 0; row < this.shape.rows; row++) {
      for (let vector = 0; vector < this.shape.vectors; vector++) visit(row, vector);
    }
  }

  zero(): Expression {
    return this.f.splat(this.shape.dtype, 0);
  }

  add(a: Expression, b: Expression): Expression {
    const { f32x4, i32x4 } = this.f.module;
    return this.shape.dtype === 'float32' ? f32x4.add(a, b) : i32x4.add(a, b);
  }

  multiply(a: Expression, b: Expression): Expression {
    const { f32x4, i32x4 } = this.f.module;
    return this.shape.dtype === 'float32' ? f32x4.mul(a, b) : i32x4.mul(a, b);
  }

  build(): void {
    const { f, partial } = this;
    const { i32, v128 } = f.module;
    const { depth, dtype, strides, isRanged } = this.shape;
    const [begin, end] = [4, 5];
    const zeros = (sums: number[][]): void => this.each((row, vector) => f.set(sums[row][vector], this.zero()));
    const isNonEmpty = !isRanged && isStatic(depth) && depth > 0;
    if (dtype !== 'float32' || dimBounds(depth)[1] <= contractionBlock) {
      zeros(partial);
      this.sweep(isRanged ? i32.sub(f.get(end), f.get(begin)) : f.size(depth), isNonEmpty);
      this.store(partial, strides.resultRow, v128);
      return;
    }
    const sums = this.grid();
    zeros(sums);
    const done = f.newLocal('i32');
    const limit = (): Expression => (isRanged ? f.get(end) : f.size(depth));
    const start = isRanged ? f.get(begin) : f.i32(0);
    f.loop({ counter: done, start, step: 0, limit, nonEmpty: isNonEmpty }, () => {
      const next = f.let('i32', i32.add(i32.or(f.get(done), f.i32(contractionBlock - 1)), f.i32(1)));
      f.set(next, f.module.select(i32.lt_s(f.get(next), limit()), f.get(next), limit()));
      zeros(partial);
      this.sweep(i32.sub(f.get(next), f.get(done)), true);
      f.set(done, f.get(next));
      this.each((row, vector) =>
        f.set(sums[row][vector], this.add(f.get(sums[row][vector]), f.get(partial[row][vector]))),
      );
    });
    this.store(sums, strides.resultRow, v128);
  }

  /**
   * `count` steps, one a round: V8 puts the loads of a round before its arithmetic, and those of two would not fit the
   * registers beside the sums.
   */
  sweep(count: Expression, nonEmpty: boolean): void {
    const { f } = this;
    const counter = f.newLocal('i32');
    const bound = f.let('i32', count);
    f.loop({ counter, start: f.i32(0), step: 1, limit: () => f.get(bound), nonEmpty }, () => this.step());
  }

  /** One step of the depth, with the pointers advanced in the end. */
  step(): void {
    const { f } = this;
    const { i32, v128 } = f.module;
    const { rows, vectors, strides } = this.shape;
    const { leftRow, leftStep, rightStep } = strides;
    const columns = Array.from({ length: vectors }, (_, v) =>
      f.let('v128', v128.load(16 * v, 4, f.get(this.right)), 'right'),
    );
    for (let row = 0; row < rows; row++) {
      const offset = isImmediate(leftRow) ? row * leftRow : 0;
      const pointer = this.left[isImmediate(leftRow) ? 0 : row];
      const splat = f.let('v128', v128.load32_splat(offset, 4, f.get(pointer)), 'left');
      columns.forEach((column, v) => {
        const sum = this.partial[row][v];
        f.set(sum, this.add(f.get(sum), this.multiply(f.get(splat), f.get(column))));
      });
    }
    const advance = (local: number, by: Dim): void => f.set(local, i32.add(f.get(local), f.size(by)));
    for (const pointer of this.left) advance(pointer, leftStep);
    advance(this.right, rightStep);
  }

  store(sums: readonly number[][], resultRow: number, v128: FunctionBuilder['module']['v128']): void {
    const { f } = this;
    this.each((row, vector) => {
      f.statement(v128.store(row * resultRow + 16 * vector, 4, f.get(3), f.get(sums[row][vector])));
    });
  }
}
