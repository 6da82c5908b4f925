/**
 * What a contraction costs, in the unit of fusion: about an operation on one element of a vector, or a byte of traffic.
 * A multiplication with an addition is done in tiles of registers, about six of them in that time.
 *
 *     costOf({ flops: 2 * 64 ** 3, elements: 3 * 64 ** 2 })      // 174763 + 49152
 */

/** Cost of a floating point operation of a contraction: 30 GFLOP/s where memory gives 10 GB/s. */
export const flopCost = 1 / 3;
/** Operations of a contraction, and elements that it reads and writes. */
export interface ProductWork {
  readonly flops: number;
  readonly elements: number;
}

export const costOf = ({ flops, elements }: ProductWork): number => flops * flopCost + elements * 4;
