/**
 * Moves between the 32-bit lanes of vectors in locals; of two vectors, lanes 4 to 7 are the second one's.
 *
 *     shuffled(f, a, b, [0, 4, 1, 5])   →   a0 b0 a1 b1
 */
import type { FunctionBuilder } from './function-builder.ts';

/** The bytes of lanes, as `i8x16.shuffle` wants them. */
export const bytesOfLanes = (lanes: readonly number[]): number[] =>
  lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);

/** Lanes of two vectors, in a new local. */
export function shuffled(f: FunctionBuilder, a: number, b: number, lanes: readonly number[]): number {
  return f.let('v128', f.module.i8x16.shuffle(f.get(a), f.get(b), bytesOfLanes(lanes)));
}

/** Four vectors as the rows of a 4×4 matrix, to its columns. */
export function transposed(f: FunctionBuilder, [a, b, c, d]: readonly number[]): number[] {
  const [low, lower] = [shuffled(f, a, b, [0, 4, 1, 5]), shuffled(f, c, d, [0, 4, 1, 5])];
  const [high, higher] = [shuffled(f, a, b, [2, 6, 3, 7]), shuffled(f, c, d, [2, 6, 3, 7])];
  return [
    shuffled(f, low, lower, [0, 1, 4, 5]),
    shuffled(f, low, lower, [2, 3, 6, 7]),
    shuffled(f, high, higher, [0, 1, 4, 5]),
    shuffled(f, high, higher, [2, 3, 6, 7]),
  ];
}
