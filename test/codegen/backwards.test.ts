/** Loads that run backwards across the lanes, against the interpreter bit for bit. */
import { describe, it } from 'vitest';
import type { DType } from '../../base/dtype.ts';
import type { IndexExpression } from '../../ir/kernel.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';

const fillOf = (dtype: DType) => (_: string, i: number) =>
  dtype === 'bool' ? ((i * 31) % 7) & 1 : dtype === 'float32' ? Math.fround(Math.sin(i) * 3) : ((i * 31) % 251) - 120;

const backwardsFrom = (offset: number, index: IndexExpression): IndexExpression => ({ ...index, offset });

describe('loads that run backwards', () => {
  it('reverse rows of any length and dtype', async () => {
    for (const dtype of ['float32', 'int32', 'int16', 'int8', 'bool'] as const)
      for (const n of [1, 3, 4, 7, 8, 17, 64, 100]) {
        const k = new KernelMaker('flip', [read('x', 3 * n, dtype), write('y', 3 * n, dtype)]);
        k.parallel('i', 3, () =>
          k.parallel('j', n, () =>
            k.store('y', at([n, 'i'], 'j'), k.load('x', backwardsFrom(n - 1, at([n, 'i'], [-1, 'j'])))),
          ),
        );
        await checkKernel(k.finish(), [{}], fillOf(dtype));
      }
  });

  it('touch nothing where a predicate forbids it', async () => {
    const n = 32;
    const k = new KernelMaker('padded', [read('x', 2 * n), write('y', 4 * n)]);
    k.parallel('i', 4, () => {
      const inside = k.compare('LT', k.index(at('i')), k.constant(2, 'int32'));
      k.parallel('j', n, () => {
        const x = k.load('x', backwardsFrom(n - 1, at([n, 'i'], [-1, 'j'])), inside, 7);
        k.store('y', at([n, 'i'], 'j'), k.apply('add', x, k.load('x', backwardsFrom(2 * n - 1, at([-1, 'j'])))));
      });
    });
    await checkKernel(k.finish(), [{}], fillOf('float32'));
  });
});
