/**
 * The transforms of Winograd's convolution F(4×4, 3×3): 6×6 elements of the image, of which neighbouring tiles share
 * two rows and columns, give 4×4 results. With the points 0, ±1, ±2 and ∞ (Lavin and Gray, "Fast Algorithms for
 * Convolutional Neural Networks", 2015):
 *
 *     Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A        g: 3×3 weights    d: 6×6 of the image    ⊙ becomes 36 matrix products
 *
 * A transform is its one-dimensional form along rows, then along columns; four tiles, or four rows of weights, lie
 * across the lanes.
 */
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { shuffled, transposed } from '../shuffles.ts';

/** Results and elements of a tile along one direction, and points of the transform. */
export const tileSize = 4;
export const points = 6;
export const taps = 3;

/** Locals with vectors. */
type Locals = readonly number[];

/** A one-dimensional transform of locals. */
type Transform = (f: FunctionBuilder, input: Locals) => Locals;

class Lanes {
  readonly f: FunctionBuilder;

  constructor(f: FunctionBuilder) {
    this.f = f;
  }

  let(value: Expression): number {
    return this.f.let('v128', value);
  }

  add(a: number, b: number): number {
    return this.let(this.f.module.f32x4.add(this.f.get(a), this.f.get(b)));
  }

  sub(a: number, b: number): number {
    return this.let(this.f.module.f32x4.sub(this.f.get(a), this.f.get(b)));
  }

  scale(a: number, by: number): number {
    return this.let(this.f.module.f32x4.mul(this.f.get(a), this.f.splat('float32', by)));
  }

  /** `sum + by * a`. */
  mulAdd(sum: number, a: number, by: number): number {
    const { f } = this;
    return this.let(f.mulAdd('f32x4', f.get(a), f.splat('float32', by), f.get(sum)));
  }
}

/** `Bᵀ`: six elements of the image. */
const ofImage: Transform = (f, [d0, d1, d2, d3, d4, d5]) => {
  const v = new Lanes(f);
  const [even, odd] = [v.mulAdd(d4, d2, -4), v.mulAdd(d3, d1, -4)];
  const [near, far] = [v.sub(d4, d2), v.scale(v.sub(d3, d1), 2)];
  return [
    v.mulAdd(v.mulAdd(d4, d2, -5), d0, 4),
    v.add(even, odd),
    v.sub(even, odd),
    v.add(near, far),
    v.sub(near, far),
    v.mulAdd(v.mulAdd(d5, d3, -5), d1, 4),
  ];
};

/** `G`: three weights. */
const ofWeights: Transform = (f, [g0, g1, g2]) => {
  const v = new Lanes(f);
  const outer = v.add(g0, g2);
  const wide = v.mulAdd(v.scale(g0, 1 / 24), g2, 1 / 6);
  return [
    v.scale(g0, 1 / 4),
    v.scale(v.add(outer, g1), -1 / 6),
    v.scale(v.sub(outer, g1), -1 / 6),
    v.mulAdd(wide, g1, 1 / 12),
    v.mulAdd(wide, g1, -1 / 12),
    g2,
  ];
};

/** `Aᵀ`: six products. */
const ofProducts: Transform = (f, [m0, m1, m2, m3, m4, m5]) => {
  const v = new Lanes(f);
  const [sum, difference] = [v.add(m1, m2), v.sub(m1, m2)];
  const [farSum, farDifference] = [v.add(m3, m4), v.sub(m3, m4)];
  return [
    v.add(v.add(m0, sum), farSum),
    v.mulAdd(difference, farDifference, 2),
    v.mulAdd(sum, farSum, 4),
    v.add(v.mulAdd(difference, farDifference, 8), m5),
  ];
};

/** Both directions of a transform of `rows × rows` locals: `result[i][j]`. */
function both(f: FunctionBuilder, transform: Transform, input: readonly Locals[]): readonly Locals[] {
  const half = input.map((row) => transform(f, row));
  const columns = half[0].map((_, j) =>
    transform(
      f,
      half.map((row) => row[j]),
    ),
  );
  return columns[0].map((_, i) => columns.map((column) => column[i]));
}

export const transformImage = (f: FunctionBuilder, d: readonly Locals[]): readonly Locals[] => both(f, ofImage, d);
export const transformWeights = (f: FunctionBuilder, g: readonly Locals[]): readonly Locals[] => both(f, ofWeights, g);
export const transformProducts = (f: FunctionBuilder, m: readonly Locals[]): readonly Locals[] =>
  both(f, ofProducts, m);

/** Six neighbours at each of four addresses (locals) plus `offset`, with the addresses across the lanes. */
export function loadSix(f: FunctionBuilder, addresses: Locals, offset: number): Locals {
  const { v128 } = f.module;
  const first = addresses.map((at) => f.let('v128', v128.load(offset, 4, f.get(at))));
  const pair = (a: number, b: number): number => {
    const low = v128.load64_zero(offset + 16, 4, f.get(a));
    return f.let('v128', v128.load64_lane(offset + 16, 4, 1, f.get(b), low));
  };
  const [a, b, c, d] = addresses;
  const [low, high] = [pair(a, b), pair(c, d)];
  return [...transposed(f, first), shuffled(f, low, high, [0, 2, 4, 6]), shuffled(f, low, high, [1, 3, 5, 7])];
}
