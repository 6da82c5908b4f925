/**
 * Kernels that sort rows, the way lowering makes them: copied to scratch memory, sorted, and what was asked for stored.
 *
 *     sortKernel({ dtype: 'float32', direction: 'ascending', results: ['values'], rows: 3, length: 700, count: 10 })
 */
import { type Dim, mulDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { SortDirection, SortResult } from '../../ir/opcodes.ts';
import { at, KernelMaker, read, write } from './kernel-maker.ts';

export interface SortedRows {
  readonly dtype: DType;
  readonly direction: SortDirection;
  readonly results: readonly SortResult[];
  readonly rows: Dim;
  readonly length: Dim;
  readonly count: Dim;
}

export function sortKernel({ dtype, direction, results, rows, length, count }: SortedRows): Kernel {
  const [values, positions] = [results.includes('values'), results.includes('positions')];
  const k = new KernelMaker(
    'sort',
    [
      read('x', mulDims(rows, length), dtype),
      write('v', mulDims(rows, count), dtype),
      write('p', mulDims(rows, count), 'int32'),
    ],
    [
      { name: 's0', dtype, size: length },
      { name: 's1', dtype, size: count },
      { name: 's2', dtype: 'int32', size: count },
    ],
  );
  k.parallel('i', rows, () => {
    k.parallel('j', length, () => k.store('s0', at('j'), k.load('x', at([length, 'i'], 'j'))));
    k.sort({
      keys: 's0',
      length,
      direction,
      count,
      ...(values && { values: 's1' }),
      ...(positions && { positions: 's2' }),
    });
    k.parallel('l', count, () => {
      if (values) k.store('v', at([count, 'i'], 'l'), k.load('s1', at('l')));
      if (positions) k.store('p', at([count, 'i'], 'l'), k.load('s2', at('l')));
    });
  });
  return k.finish();
}
