/**
 * A seeded source of choices for the samplers of ops: the same seed gives the same operands on every machine.
 *
 *     const random = new Random(7);
 *     const shape = random.shape({ maxRank: 3 });        // [3,0,1], small and often odd, empty or of size 1
 *     random.literal('float32', shape)                   // with NaN, infinities, -0 now and then
 */
import {
  byteSize,
  computedDTypes,
  type DType,
  integerRange,
  isFloat,
  isHalf,
  isNarrowInteger,
} from '../../base/dtype.ts';
import { roundFloat } from '../../base/half.ts';
import type { Literal } from '../types.ts';
import type { DTypeClass } from './definition.ts';
import { inClass } from './rules.ts';

const sizes = [0, 1, 1, 2, 2, 3, 3, 4, 5, 7];
const specialFloats = [
  Number.NaN,
  Infinity,
  -Infinity,
  -0,
  0,
  1,
  -1,
  0.5,
  1.5,
  2.5,
  -2.5,
  3.4028234663852886e38,
  1e-45,
];

export interface RandomOptions {
  /** Whether values may be NaN, infinite, -0, huge or at the ends of the integer range. */
  readonly special?: boolean;
}

/** Mulberry32 (Tommy Ettinger), good enough for tests and fast. */
export class Random {
  #state: number;
  readonly special: boolean;

  constructor(seed: number, options: RandomOptions = {}) {
    this.#state = seed | 0;
    this.special = options.special ?? true;
  }

  /** A float in `[0, 1)`. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer in `[low, high]`. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  boolean(probability = 0.5): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)];
  }

  dtype(dtypeClass: DTypeClass = 'any'): DType {
    const all = computedDTypes.filter((dtype) => inClass(dtype, dtypeClass));
    const isNarrow = (dtype: DType): boolean => isNarrowInteger(dtype) || isHalf(dtype);
    const narrow = all.filter(isNarrow);
    return this.pick(narrow.length > 0 && this.boolean(0.2) ? narrow : all.filter((dtype) => !isNarrow(dtype)));
  }

  /** A number dtype of the same width. */
  dtypeOfWidth(dtype: DType): DType {
    return this.pick(
      computedDTypes.filter((other) => other !== 'bool' && !isHalf(other) && byteSize(other) === byteSize(dtype)),
    );
  }

  /** A small size, zero one time in ten unless `least` forbids it. */
  size(least = 0): number {
    return Math.max(least, this.pick(sizes));
  }

  shape({ minRank = 0, maxRank = 4, leastSize = 0 } = {}): number[] {
    return Array.from({ length: this.integer(minRank, maxRank) }, () => this.size(leastSize));
  }

  /** The numbers `0 .. count-1` in random order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** Some of the numbers `0 .. count-1`, in ascending order. */
  subset(count: number, probability = 0.5): number[] {
    return Array.from({ length: count }, (_, i) => i).filter(() => this.boolean(probability));
  }

  value(dtype: DType): number {
    if (dtype === 'bool') return this.integer(0, 1);
    if (isFloat(dtype)) {
      if (this.special && this.boolean(0.15)) return roundFloat(dtype, this.pick(specialFloats));
      return roundFloat(dtype, (this.next() - 0.5) * this.pick([1, 4, 4, 20]));
    }
    const [low, high] = integerRange(dtype);
    if (this.special && this.boolean(0.15)) return this.pick([low, high, low + 1, high - 1, 0, 1]);
    return Math.max(low, this.integer(-9, 20));
  }

  literal(dtype: DType, shape: readonly number[]): Literal {
    const count = shape.reduce((product, size) => product * size, 1);
    return { dtype, shape, data: Float64Array.from({ length: count }, () => this.value(dtype)) };
  }
}
