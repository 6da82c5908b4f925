/**
 * The text of arrays against NumPy's. `numpy-format.json` holds what `str(array)` of NumPy 2.4 prints for each case;
 * its values are decimal texts of the exact elements, or a range `i * times / over`.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../base/dtype.ts';
import { formatElements, formatRepresentation, formatScalar } from '../../runtime/format.ts';

interface Case {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values:
    | readonly (number | string)[]
    | { readonly count: number; readonly times: number; readonly over: number };
  readonly text: string;
}

const cases = JSON.parse(readFileSync(new URL('numpy-format.json', import.meta.url), 'utf8')) as readonly Case[];

const special: Record<string, number> = { nan: NaN, inf: Infinity, '-inf': -Infinity, '-0': -0 };

function elementsOf({ dtype, values }: Case): (number | bigint)[] {
  if (!('count' in values)) {
    const numbers = values.map((value) => (typeof value === 'string' ? special[value] : value));
    return dtype === 'int64' ? numbers.map(BigInt) : numbers;
  }
  const { count, times, over } = values;
  return Array.from({ length: count }, (_, i) => (dtype === 'float32' ? Math.fround((i * times) / over) : i));
}

describe('formatElements', () => {
  it.each(cases.map((each) => [each.name, each.dtype, each] as const))(
    'prints %s (%s) as NumPy does',
    (_, __, each) => {
      expect(formatElements(each.dtype, each.shape, elementsOf(each))).toBe(each.text);
    },
  );

  it('gives digits that read back as the same float32', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Object.is(Math.fround(Number(formatScalar('float32', value))), Math.fround(value))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('formatRepresentation', () => {
  it('adds the dtype, and the shape where the text does not show it', () => {
    expect(formatRepresentation('float32', [2, 2], [1, -2.5, 3, 4])).toBe(
      'tensor([[ 1. , -2.5],\n        [ 3. ,  4. ]], float32)',
    );
    expect(formatRepresentation('int32', [], [7])).toBe('tensor(7, int32)');
    expect(formatRepresentation('float32', [0, 3], [])).toBe('tensor([], float32[0,3])');
    const long = formatRepresentation(
      'int32',
      [2000],
      Array.from({ length: 2000 }, (_, i) => i),
    );
    expect(long).toBe('tensor([   0,    1,    2, ..., 1997, 1998, 1999], int32[2000])');
  });
});
