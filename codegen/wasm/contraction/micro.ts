/**
 * The register tile: `rows` rows by `vectors` vectors of columns, summed over the depth in order within blocks, block
 * by block. The left factor is read by splats, the right one by vectors in adjacent pairs.
 *
 *     tile(record, a, b, c)      a: left[row 0][0]    b: right[0][column 0]    c: where the sums go
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
}

/** Whether a distance can stand in an instruction: immediates are unsigned, and a reversed axis walks backwards. */
const isImmediate = (distance: Dim): distance is number => isStatic(distance) && distance >= 0;

/** Steps of the depth in one round of the loop. */
const unroll = 2;

/** Builds the function of a register tile; the caller finishes it under a name. */
export function buildTile(outer: FunctionBuilder, shape: TileShape): FunctionBuilder {
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, ['record', 'a', 'b', 'c']);
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
    const { depth, dtype, strides } = this.shape;
    if (dtype !== 'float32' || dimBounds(depth)[1] <= contractionBlock) {
      this.each((row, vector) => f.set(partial[row][vector], this.zero()));
      this.sweep(() => f.size(depth), isStatic(depth) ? depth : undefined);
      this.store(partial, strides.resultRow, v128);
      return;
    }
    const sums = this.grid();
    this.each((row, vector) => f.set(sums[row][vector], this.zero()));
    const done = f.newLocal('i32');
    const shape = { counter: done, start: f.i32(0), step: contractionBlock, limit: () => f.size(depth) };
    f.loop({ ...shape, nonEmpty: isStatic(depth) && depth > 0 }, () => {
      const rest = f.let('i32', i32.sub(f.size(depth), f.get(done)));
      const isShort = i32.lt_s(f.get(rest), f.i32(contractionBlock));
      const count = f.let('i32', f.module.select(isShort, f.get(rest), f.i32(contractionBlock)));
      this.each((row, vector) => f.set(partial[row][vector], this.zero()));
      this.sweep(() => f.get(count), isStatic(depth) && depth % unroll === 0 ? contractionBlock : undefined);
      this.each((row, vector) =>
        f.set(sums[row][vector], this.add(f.get(sums[row][vector]), f.get(partial[row][vector]))),
      );
    });
    this.store(sums, strides.resultRow, v128);
  }

  /** `count` steps; `known` has the parity of the count where that is certain. */
  sweep(count: () => Expression, known: number | undefined): void {
    const { f } = this;
    const { i32 } = f.module;
    const left = f.let('i32', count());
    if (known === undefined || known >= unroll) {
      const limit = (): Expression => i32.sub(count(), f.i32(unroll - 1));
      const counter = f.newLocal('i32');
      const bound = f.let('i32', limit());
      f.loop({ counter, start: f.i32(0), step: unroll, limit: () => f.get(bound), nonEmpty: known !== undefined }, () =>
        this.steps(unroll),
      );
    }
    if (known === undefined) f.when(i32.and(f.get(left), f.i32(1)), () => this.steps(1));
    else if (known % unroll !== 0) this.steps(1);
  }

  /** Some steps of the depth, with the pointers advanced in the end. */
  steps(count: number): void {
    const { f } = this;
    const { i32, v128 } = f.module;
    const { rows, vectors, strides } = this.shape;
    const { leftRow, leftStep, rightStep } = strides;
    const advance = (local: number, by: Dim): void => f.set(local, i32.add(f.get(local), f.size(by)));
    const inPlace = isImmediate(leftStep) && isImmediate(rightStep);
    for (let step = 0; step < count; step++) {
      const [leftAt, rightAt] = inPlace ? [step * leftStep, step * rightStep] : [0, 0];
      const columns = Array.from({ length: vectors }, (_, v) =>
        f.let('v128', v128.load(rightAt + 16 * v, 4, f.get(this.right)), 'right'),
      );
      for (let row = 0; row < rows; row++) {
        const offset = leftAt + (isImmediate(leftRow) ? row * leftRow : 0);
        const pointer = this.left[isImmediate(leftRow) ? 0 : row];
        const splat = f.let('v128', v128.load32_splat(offset, 4, f.get(pointer)), 'left');
        columns.forEach((column, v) => {
          const sum = this.partial[row][v];
          f.set(sum, this.add(f.get(sum), this.multiply(f.get(splat), f.get(column))));
        });
      }
      if (!inPlace || step === count - 1) {
        const by = inPlace ? count : 1;
        for (const pointer of this.left) advance(pointer, mulDims(leftStep, by));
        advance(this.right, mulDims(rightStep, by));
      }
    }
  }

  store(sums: readonly number[][], resultRow: number, v128: FunctionBuilder['module']['v128']): void {
    const { f } = this;
    this.each((row, vector) => {
      f.statement(v128.store(row * resultRow + 16 * vector, 4, f.get(3), f.get(sums[row][vector])));
    });
  }
}
