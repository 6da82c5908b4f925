/** How often property tests run: a seeded sample by default, more with `KILN_TEST=full`. */

import { isOnWebgpu } from './target.ts';

export const isFullRun = process.env.KILN_TEST === 'full';

/** Where a case is dear: a software adapter takes milliseconds for a pipeline, and a page runs everything once more. */
const isBriefRun = isOnWebgpu || process.env.KILN_TEST === 'brief';

/** How many cases are tried: some, all in a full run, a quarter where they are dear. */
export const caseCount = (some: number, all: number): number =>
  isFullRun ? all : isBriefRun ? Math.ceil(some / 4) : some;

/** Parameters for `fc.assert`: fast-check prints seed and shrunk example when a property fails. */
export const runs = (sample: number, full = sample * 20): { readonly numRuns: number; readonly seed: number } => ({
  numRuns: isFullRun ? full : sample,
  seed: 20240607,
});
