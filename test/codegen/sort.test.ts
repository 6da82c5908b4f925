/** Sorted rows against the interpreter: every dtype, order and result, rows sorted in every way the code knows. */
import { it } from 'vitest';
import { dim } from '../../base/dim.ts';
import { computedDTypes, type DType, integerRange, isFloat, isHalf } from '../../base/dtype.ts';
import type { SortResult } from '../../ir/opcodes.ts';
import { Random } from '../../ir/ops/random.ts';
import { checkKernel } from '../support/kernel-check.ts';
import type { Bindings } from '../support/kernel-data.ts';
import { type SortedRows, sortKernel } from '../support/sort-kernels.ts';

const rows = 3;

type Case = Omit<SortedRows, 'rows'>;

/** Rows of any numbers, of few different ones, with zeros of both signs, and in order. */
function fill(dtype: DType, length: number, random: Random) {
  return (_: string, element: number): number => {
    const row = Math.floor(element / length);
    if (row === 0) return random.value(dtype);
    if (row === 1) return isFloat(dtype) ? (random.boolean() ? -0 : random.integer(-1, 1)) : random.integer(0, 1);
    return isFloat(dtype) ? element / 3 : Math.min(element, integerRange(dtype)[1]);
  };
}

const check = (sort: Case, length: number, bindings: Bindings = {}): Promise<void> =>
  checkKernel(sortKernel({ ...sort, rows }), [bindings], fill(sort.dtype, length, new Random(length)));

const results: readonly (readonly SortResult[])[] = [['values'], ['positions'], ['values', 'positions']];
const directions = ['ascending', 'descending'] as const;

it.each(computedDTypes.filter((dtype) => !isHalf(dtype)))('%s rows are sorted and selected from', async (dtype) => {
  for (const length of [1, 2, 39, 41, 700]) {
    for (const [at, direction] of directions.entries()) {
      const wanted = results[(length + at) % 3];
      await check({ dtype, direction, results: wanted, length, count: length }, length);
      await check({ dtype, direction, results: wanted, length, count: Math.ceil(length / 50) }, length);
      await check({ dtype, direction, results: wanted, length, count: Math.ceil(length / 3) }, length);
    }
  }
});

it.each(results)('%s of rows whose length shows when they are sorted', async (...wanted) => {
  const length = dim('N', { min: 10, max: 4000 });
  for (const size of [10, 60, 600]) {
    await check({ dtype: 'float32', direction: 'descending', results: wanted, length, count: 10 }, size, { N: size });
    await check({ dtype: 'float32', direction: 'ascending', results: wanted, length, count: length }, size, {
      N: size,
    });
  }
});

it('long rows, of which all digits are the same, or hardly any', async () => {
  const sort = { dtype: 'int32', direction: 'ascending', results: ['values', 'positions'] } as const;
  const kernel = sortKernel({ ...sort, rows, length: 5000, count: 5000 });
  for (const reach of [1, 255, 65537, 2 ** 31 - 1]) {
    const random = new Random(reach);
    await checkKernel(kernel, [{}], () => random.integer(-reach, reach));
  }
});
