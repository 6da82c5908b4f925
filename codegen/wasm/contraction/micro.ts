/**
 * The register tiles of some rows: `rows` rows by up to `vectors` vectors of columns at a time, summed over the depth
 * in order within blocks, block by block. The left factor is read by splats, the right one by vectors in adjacent
 * pairs.
 *
 *     strip(record, a, b, c, needed, columns)      a: left[row 0][0]     b: right[0][column 0]     c: where the sums go
 *                                                  tiles begin at columns below `needed`; `columns` there are
 *     strip(..., begin, end)                       only the steps from `begin` to `end`, where `a` and `b` begin
 *
 * How steps `begin` to `end` are added to what has been summed before:
 *
 *     whole     there is nothing before: all steps, or all that are needed
 *     blocks    to the sums at `c`; `begin` and `end` are multiples of the block, or the depth
 *     steps     to the partial sums of a block at `c`; a block does not end between `begin` and `end`
 */
import { type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import { type DType, isHalf } from '../../../base/dtype.ts';
import { contractionBlock } from '../../../ir/kernel.ts';
import { FunctionBuilder } from '../function-builder.ts';
import { widenHalves } from '../half.ts';
import type { Expression } from '../math/emitter.ts';

/** Distances in bytes. */
export interface StripStrides {
  readonly leftRow: Dim;
  readonly leftStep: Dim;
  readonly rightStep: Dim;
  /** From the first column of a tile to that of the next. */
  readonly rightTile: Dim;
  readonly resultRow: Dim;
}

export interface StripShape {
  readonly rows: number;
  /** Vectors of a full tile. */
  readonly vectors: number;
  /** Vectors that the last tile may have where it is not full, ascending. */
  readonly lastVectors: readonly number[];
  /** Whether there may be full tiles. */
  readonly hasFull: boolean;
  readonly dtype: DType;
  /** Whether elements of the factors are pairs of 16-bit integers, whose products are added. */
  readonly inPairs?: boolean;
  /** The dtype of the right factor where it is not that of the sums: a float of 16 bits, widened as it is read. */
  readonly rightStored?: DType;
  readonly depth: Dim;
  readonly strides: StripStrides;
  readonly continues: 'whole' | 'blocks' | 'steps';
  /** Whether the steps are given; without it they are the whole depth. */
  readonly isRanged: boolean;
}

/** Whether a distance can stand in an instruction: immediates are unsigned, and a reversed axis walks backwards. */
const isImmediate = (distance: Dim): distance is number => isStatic(distance) && distance >= 0;

/** Steps up to which a sum of one block is added up without a loop over blocks around it. */
const shortDepth = 32;

/** Builds the function of a strip; the caller finishes it under a name. */
export function buildStrip(outer: FunctionBuilder, shape: StripShape): FunctionBuilder {
  const names = ['record', 'a', 'b', 'c', 'needed', 'columns', ...(shape.isRanged ? ['begin', 'end'] : [])];
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  new Strip(f, shape).build();
  return f;
}

const [a, b, c, needed, columns, begin, end] = [1, 2, 3, 4, 5, 6, 7];

class Strip {
  readonly f: FunctionBuilder;
  readonly shape: StripShape;
  /** Pointers to the left factor: one for all rows where their distances are immediates, else one a row. */
  readonly left: readonly number[];
  readonly right: number;

  constructor(f: FunctionBuilder, shape: StripShape) {
    this.f = f;
    this.shape = shape;
    const pointers = isImmediate(shape.strides.leftRow) ? 1 : shape.rows;
    this.left = Array.from({ length: pointers }, () => f.newLocal('i32', 'left'));
    this.right = f.newLocal('i32', 'right');
  }

  build(): void {
    const { f } = this;
    const { i32 } = f.module;
    const { vectors, lastVectors, hasFull } = this.shape;
    const done = f.newLocal('i32', 'done');
    if (hasFull) {
      const width = 4 * vectors;
      const stop = f.let('i32', i32.sub(f.get(columns), f.i32(width - 1)), 'stop');
      f.set(
        stop,
        f.least(
          () => f.get(stop),
          () => f.get(needed),
        ),
      );
      f.loop({ counter: done, start: f.i32(0), step: width, limit: () => f.get(stop) }, () => {
        this.tile(vectors);
        f.set(b, i32.add(f.get(b), f.size(this.shape.strides.rightTile)));
        f.set(c, i32.add(f.get(c), f.i32(4 * width)));
      });
    } else f.set(done, f.i32(0));
    if (lastVectors.length === 0) return;
    f.when(i32.lt_s(f.get(done), f.get(needed)), () => {
      const left = f.let('i32', i32.shr_u(i32.add(i32.sub(f.get(columns), f.get(done)), f.i32(3)), f.i32(2)));
      this.last(left, lastVectors);
    });
  }

  /** A chain of tests for the smaller widths; the last is what remains. */
  last(left: number, [first, ...more]: readonly number[]): void {
    const { f } = this;
    const build = (): void => this.tile(first);
    if (more.length === 0) build();
    else f.when(f.module.i32.le_s(f.get(left), f.i32(first)), build, () => this.last(left, more));
  }

  grid(vectors: number): number[][] {
    return Array.from({ length: this.shape.rows }, () =>
      Array.from({ length: vectors }, () => this.f.newLocal('v128', 'sum')),
    );
  }

  add(x: Expression, y: Expression): Expression {
    const { f32x4, i32x4 } = this.f.module;
    return this.shape.dtype === 'float32' ? f32x4.add(x, y) : i32x4.add(x, y);
  }

  /** `sum + x * y`. */
  addProduct(sum: Expression, x: Expression, y: Expression): Expression {
    const { f } = this;
    const { i32x4 } = f.module;
    if (this.shape.inPairs) return i32x4.add(sum, i32x4.dot_i16x8_s(x, y));
    if (this.shape.dtype !== 'float32') return i32x4.add(sum, i32x4.mul(x, y));
    return f.mulAdd('f32x4', x, y, sum);
  }

  /** One tile of `vectors` vectors at `b`, into `c`. */
  tile(vectors: number): void {
    const { f } = this;
    const { i32 } = f.module;
    const { depth, dtype, strides, continues, isRanged } = this.shape;
    this.left.forEach((pointer, row) => {
      const start = row === 0 ? f.get(a) : i32.add(f.get(a), f.size(mulDims(strides.leftRow, row)));
      f.set(pointer, start);
    });
    f.set(this.right, f.get(b));
    const count = (): Expression => (isRanged ? i32.sub(f.get(end), f.get(begin)) : f.size(depth));
    const isNonEmpty = (!isRanged && isStatic(depth) && depth > 0) || continues !== 'whole';
    const isShort = !isRanged && isStatic(depth) && depth <= shortDepth;
    const partial = this.grid(vectors);
    if (dtype !== 'float32' || continues === 'steps' || isShort) {
      const block = dtype === 'float32' ? contractionBlock : undefined;
      this.start(partial, block);
      this.sweep(partial, count(), isNonEmpty);
      this.store(partial);
      return;
    }
    const sums = this.grid(vectors);
    this.start(sums, undefined);
    const done = f.newLocal('i32');
    const limit = (): Expression => (isRanged ? f.get(end) : f.size(depth));
    const from = isRanged ? f.get(begin) : f.i32(0);
    f.loop({ counter: done, start: from, step: 0, limit, nonEmpty: isNonEmpty }, () => {
      const next = f.let('i32', i32.add(i32.or(f.get(done), f.i32(contractionBlock - 1)), f.i32(1)));
      f.set(
        next,
        f.least(() => f.get(next), limit),
      );
      this.zero(partial);
      this.sweep(partial, i32.sub(f.get(next), f.get(done)), true);
      f.set(done, f.get(next));
      each(sums, (row, vector) =>
        f.set(sums[row][vector], this.add(f.get(sums[row][vector]), f.get(partial[row][vector]))),
      );
    });
    this.store(sums);
  }

  zero(sums: readonly number[][]): void {
    const { f } = this;
    each(sums, (row, vector) => f.set(sums[row][vector], f.splat(this.shape.dtype, 0)));
  }

  /** Sums begin at zero, or go on from `c` unless `begin` is 0, or the start of a block of so many steps. */
  start(sums: readonly number[][], block: number | undefined): void {
    const { f } = this;
    const { i32, v128 } = f.module;
    if (this.shape.continues === 'whole') {
      this.zero(sums);
      return;
    }
    const position = block === undefined ? f.get(begin) : i32.and(f.get(begin), f.i32(block - 1));
    f.when(
      position,
      () =>
        this.eachResult(sums, (row, vector, offset, pointer) =>
          f.set(sums[row][vector], v128.load(offset, 4, pointer)),
        ),
      () => this.zero(sums),
    );
  }

  /**
   * `count` steps. One a round: V8 puts the loads of a round before its arithmetic, and those of two would not fit the
   * registers beside the sums. They do where there is one row, which waits for memory: fewer instructions a byte have
   * more loads on their way.
   */
  sweep(partial: readonly number[][], count: Expression, nonEmpty: boolean): void {
    const { f } = this;
    const counter = f.newLocal('i32');
    const bound = f.let('i32', count);
    const limit = (): Expression => f.get(bound);
    if (partial.length > 1) {
      f.loop({ counter, start: f.i32(0), step: 1, limit, nonEmpty }, () => this.step(partial));
      return;
    }
    const last = f.let('i32', f.module.i32.sub(f.get(bound), f.i32(1)));
    f.loop({ counter, start: f.i32(0), step: 2, limit: () => f.get(last) }, () => {
      this.step(partial);
      this.step(partial);
    });
    f.when(f.module.i32.lt_s(f.get(counter), f.get(bound)), () => this.step(partial));
  }

  /** One step of the depth, with the pointers advanced in the end. */
  step(partial: readonly number[][]): void {
    const { f } = this;
    const { i32, v128 } = f.module;
    const { leftRow, leftStep, rightStep } = this.shape.strides;
    const loaded = partial[0].map((_, v) => f.let('v128', this.rightVector(v), 'right'));
    partial.forEach((sums, row) => {
      const offset = isImmediate(leftRow) ? row * leftRow : 0;
      const pointer = this.left[isImmediate(leftRow) ? 0 : row];
      const splat = f.let('v128', v128.load32_splat(offset, 4, f.get(pointer)), 'left');
      loaded.forEach((vector, v) => {
        f.set(sums[v], this.addProduct(f.get(sums[v]), f.get(splat), f.get(vector)));
      });
    });
    const advance = (local: number, by: Dim): void => f.set(local, i32.add(f.get(local), f.size(by)));
    for (const pointer of this.left) advance(pointer, leftStep);
    advance(this.right, rightStep);
  }

  /** A vector of the right factor. */
  rightVector(vector: number): Expression {
    const { f } = this;
    const { v128 } = f.module;
    const { rightStored } = this.shape;
    if (rightStored === undefined || !isHalf(rightStored)) return v128.load(16 * vector, 4, f.get(this.right));
    return widenHalves(f, rightStored, v128.load16x4_s(8 * vector, 2, f.get(this.right)));
  }

  store(sums: readonly number[][]): void {
    const { f } = this;
    this.eachResult(sums, (row, vector, offset, pointer) =>
      f.statement(f.module.v128.store(offset, 4, pointer, f.get(sums[row][vector]))),
    );
  }

  /** Visits the places of sums at `c`. */
  eachResult(
    sums: readonly number[][],
    visit: (row: number, vector: number, offset: number, pointer: Expression) => void,
  ): void {
    const { f } = this;
    const { resultRow } = this.shape.strides;
    each(sums, (row, vector) => {
      if (isImmediate(resultRow)) visit(row, vector, row * resultRow + 16 * vector, f.get(c));
      else {
        const pointer = f.module.i32.add(f.get(c), f.size(mulDims(resultRow, row)));
        visit(row, vector, 16 * vector, row === 0 ? f.get(c) : pointer);
      }
    });
  }
}

function each(sums: readonly number[][], visit: (row: number, vector: number) => void): void {
  for (const [row, vectors] of sums.entries()) for (const vector of vectors.keys()) visit(row, vector);
}
