/**
 * Kernels of a scatter, the way lowering makes them: a table is copied, and updates are applied in order.
 *
 *     scatterKernel({ rows: 50, width: 16, updates: 32 })      // the gradient of an embedding
 */
import { type Dim, mulDims, subDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { Kernel, ScalarId, Store } from '../../ir/kernel.ts';
import { at, KernelMaker, read, readWrite } from './kernel-maker.ts';

export interface ScatteredRows {
  /** Rows of the table, elements of a row, updates. */
  readonly rows: Dim;
  readonly width: Dim;
  readonly updates: Dim;
  readonly dtype?: DType;
  readonly combine?: Store['combine'];
  /** Whether windows begin anywhere in a row of the table, so that they overlap. */
  readonly overlaps?: number;
}

/** A start that is in range or says that it is not, as lowering makes it. */
export function guarded(
  k: KernelMaker,
  start: ScalarId,
  last: ScalarId,
): { readonly start: ScalarId; readonly when: ScalarId } {
  const zero = k.constant(0, 'int32');
  const when = k.applyTo('bool', 'and', k.compare('LE', start, last), k.compare('GE', start, zero));
  return { start: k.applyTo('int32', 'minimum', k.applyTo('int32', 'maximum', start, zero), last), when };
}

/** `table[index[u], :] combine= update[u, :]`, and with `overlaps` at columns from `index[u]` on. */
export function scatterKernel({
  rows,
  width,
  updates,
  dtype = 'float32',
  combine = 'add',
  overlaps,
}: ScatteredRows): Kernel {
  const window = overlaps ?? width;
  const k = new KernelMaker('scatter', [
    read('index', updates, 'int32'),
    read('update', mulDims(updates, window), dtype),
    read('x', mulDims(rows, width), dtype),
    readWrite('y', mulDims(rows, width), dtype),
  ]);
  k.parallel('i', mulDims(rows, width), () => k.store('y', at('i'), k.load('x', at('i'))));
  const size = overlaps === undefined ? subDims(rows, 1) : subDims(width, overlaps);
  const last = k.let('int32', { kind: 'size', size });
  k.sequential('u', updates, [], 'int32', () => {
    const { start, when } = guarded(k, k.load('index', at('u')), last);
    k.parallel('w', window, () => {
      const value = k.load('update', at([window, 'u'], 'w'));
      const place = overlaps === undefined ? at([width, start], 'w') : at([1, start], 'w');
      k.store('y', place, value, { combine, when });
    });
    return [];
  });
  return k.finish();
}
