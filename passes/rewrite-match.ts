/**
 * Questions that rewrite rules ask about values.
 *
 *     splatOf(rewriter, y)       // 0.5 where y is `constant 0.5`, or that broadcast to any shape
 */
import { type Dim, equalDims } from '../base/dim.ts';
import { isFloat } from '../base/dtype.ts';
import { elementCount } from '../ir/literal.ts';
import type { Literal, Value } from '../ir/types.ts';
import type { Rewriter } from './rewrite.ts';

/** The array that a `constant` holds. */
export const literalOf = (rewriter: Rewriter, value: Value): Literal | undefined =>
  rewriter.definedBy(value, 'constant')?.attributes.value;

/** The number that every element of an array is; `undefined` when they differ or there are none. */
export function splatValue({ data, shape }: Literal): number | undefined {
  if (data.length === 0 || elementCount(shape) === 0) return undefined;
  const first = data[0];
  for (let i = 1; i < data.length; i++) {
    if (!Object.is(data[i], first)) return undefined;
  }
  return first;
}

/** The number that every element of a value is known to be. */
export function splatOf(rewriter: Rewriter, value: Value): number | undefined {
  const source = rewriter.definedBy(value, 'broadcast_in_dim')?.operands[0] ?? value;
  const known = literalOf(rewriter, source);
  return known && splatValue(known);
}

/** Whether a value is a constant, or one that is only repeated. */
export const isConstant = (rewriter: Rewriter, value: Value): boolean =>
  literalOf(rewriter, rewriter.definedBy(value, 'broadcast_in_dim')?.operands[0] ?? value) !== undefined;

/** Whether every element is exactly `expected`; 0 and -0 differ, but only for floats. */
export function isSplat(rewriter: Rewriter, value: Value, expected: number): boolean {
  const actual = splatOf(rewriter, value);
  return isFloat(value.type.dtype) ? Object.is(actual, expected) : actual === expected;
}

/** Whether a shape differs from another only by axes of size 1; if so, where the other axes of `a` are in `b`. */
export function matchUnitAxes(a: readonly Dim[], b: readonly Dim[]): ReadonlyMap<number, number> | undefined {
  const places = new Map<number, number>();
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    if (a[i] === 1) continue;
    while (j < b.length && b[j] === 1) j++;
    if (j === b.length || !equalDims(a[i], b[j])) return undefined;
    places.set(i, j++);
  }
  return b.slice(j).every((size) => size === 1) ? places : undefined;
}
