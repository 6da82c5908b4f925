/** Compares arrays as the optimiser must keep them. */
import { isFloat } from '../../base/dtype.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';

/**
 * Throws unless arrays have the same types and elements. With a tolerance finite floats may differ by it, relative to
 * the greatest finite element; NaN, infinities, zeros with their sign, and all other dtypes must be the same.
 * @param double the same in double precision: what is not zero there but too small for a float32 may have either sign
 */
export function expectSame(
  actual: readonly Literal[],
  expected: readonly Literal[],
  tolerance: number,
  double?: readonly Literal[],
): void {
  if (actual.length !== expected.length) throw new Error(`${actual.length} results, not ${expected.length}`);
  actual.forEach((a, i) => {
    const b = expected[i];
    if (a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) throw new Error(`result ${i} has another type`);
    let scale = 1;
    for (let k = 0; k < b.data.length; k++)
      if (Number.isFinite(b.data[k])) scale = Math.max(scale, Math.abs(b.data[k]));
    for (let k = 0; k < elementCount(a.shape); k++) {
      const [x, y] = [elementAt(a, k), elementAt(b, k)];
      if (Object.is(x, y)) continue;
      const isClose = isFloat(a.dtype) && tolerance > 0 && Math.abs(x - y) <= tolerance * scale && x !== y;
      const exact = double ? elementAt(double[i], k) : 0;
      const underflows = x === y && exact !== 0 && Math.abs(exact) < 2 ** -126;
      if (!isClose && !underflows) throw new Error(`result ${i}, element ${k}: ${x}, not ${y}`);
    }
  });
}
