/**
 * Comparison of arrays within a tolerance that is stated: elements agree when they are the same (NaN with NaN, an
 * infinity with itself) or differ by at most `absolute + relative * |expected|`.
 */
import { elementAt, elementCount } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';

export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

const agrees = (given: number, expected: number, { relative, absolute }: Tolerance): boolean =>
  Object.is(given, expected) ||
  given === expected ||
  Math.abs(given - expected) <= absolute + relative * Math.abs(expected);

/** What is different, in words; `undefined` when nothing is. */
export function difference(given: Literal, expected: Literal, tolerance: Tolerance): string | undefined {
  const type = ({ dtype, shape }: Literal): string => `${dtype}[${shape.join(',')}]`;
  if (type(given) !== type(expected)) return `${type(given)} instead of ${type(expected)}`;
  for (let i = 0; i < elementCount(expected.shape); i++) {
    const [a, b] = [elementAt(given, i), elementAt(expected, i)];
    if (!agrees(a, b, tolerance)) return `element ${i} is ${a} instead of ${b}`;
  }
  return undefined;
}
