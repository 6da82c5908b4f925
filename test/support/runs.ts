/** How often property tests run: a seeded sample by default, more with `KILN_TEST=full`. */

export const isFullRun = process.env.KILN_TEST === 'full';

/** Parameters for `fc.assert`: fast-check prints seed and shrunk example when a property fails. */
export const runs = (sample: number, full = sample * 20): { readonly numRuns: number; readonly seed: number } => ({
  numRuns: isFullRun ? full : sample,
  seed: 20240607,
});
