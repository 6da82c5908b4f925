/**
 * Values of symbolic sizes that are dims (`solve-sizes.ts`):
 *
 *     bindDims([[B, 8], [4, 4], [addDims(mulDims(T, 2), 1), 7]])       // B -> 8, T -> 3
 */
import { type Dim, evaluateDim, symbolsOf } from './dim.ts';
import { solveSizes } from './solve-sizes.ts';

/**
 * Solves for the symbols and checks every size.
 * @param sizes pairs of a declared size and the actual one
 * @throws KilnError as `solveSizes`
 */
export const bindDims = (sizes: Iterable<readonly [Dim, number]>): Map<string, number> =>
  solveSizes([...sizes], { symbolsOf: (size) => symbolsOf(size), evaluate: evaluateDim });
