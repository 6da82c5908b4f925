/**
 * The error function to double precision. Below 2 the series of Abramowitz and Stegun 7.1.6, whose terms are all of
 * one sign; above, the continued fraction 7.1.14 of the complement, which is below 0.005 there.
 */

const seriesLimit = 2;
/** From here on 1 - erf is below half a unit in the last place of 1. */
const saturation = 6;

/** `erf(x)`, with an error of a few units in the last place; odd, NaN for NaN, 1 at infinity. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size >= saturation) return Math.sign(x);
  if (size >= seriesLimit) return Math.sign(x) * (1 - complement(size));
  const square = x * x;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -60; n++) {
    term *= (2 * square) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-square) * sum;
}

/** `1 - erf(x)` for x of at least 2, by the continued fraction evaluated from its tail. */
function complement(x: number): number {
  let tail = x;
  for (let k = 60; k >= 1; k--) tail = x + k / 2 / tail;
  return Math.exp(-x * x) / (tail * Math.sqrt(Math.PI));
}
