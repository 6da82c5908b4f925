/** Row kernels with contractions, such as attention, in blocks of rows: against the interpreter, bit for bit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Dim, dim } from '../../base/dim.ts';
import { splitUnits } from '../../codegen/common/units.ts';
import { writtenMemory } from '../../codegen/common/walk.ts';
import { matchRows, type RowKernel } from '../../codegen/wasm/rows/match.ts';
import type { Kernel } from '../../ir/kernel.ts';
import {
  type AttentionShape,
  attentionBackwardColumns,
  attentionBackwardRows,
  attentionForward,
  clipped,
  square,
} from '../support/attention-kernels.ts';
import { checkKernel, wave } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { caseCount } from '../support/runs.ts';

/** The schedule of a kernel whose loops need no normalising. */
function scheduleOf(kernel: Kernel): RowKernel | undefined {
  const written = writtenMemory(kernel);
  const [unit] = splitUnits(kernel.body, false, written);
  return matchRows(unit, { kernel, written, prefix: 'c0_' });
}

const kindsOf = (kernel: Kernel): readonly string[] => scheduleOf(kernel)?.phases.map(({ kind }) => kind) ?? [];

const shape: AttentionShape = { heads: 2, queries: 37, keys: 45, depth: 13, values: 17, exponential: square };
const kernels = {
  forward: attentionForward,
  'backward rows': attentionBackwardRows,
  'backward columns': (s: AttentionShape) => attentionBackwardColumns(s),
  'backward columns in one loop': (s: AttentionShape) => attentionBackwardColumns({ ...s, values: s.depth }, 'loop'),
  'backward columns in one sweep': (s: AttentionShape) => attentionBackwardColumns({ ...s, values: s.depth }, 'sweep'),
};

describe('attention', () => {
  it('is taken apart into contractions and sweeps over rows', () => {
    expect(kindsOf(attentionForward(shape))).toEqual(['contraction', 'rows', 'contraction', 'rows']);
    expect(kindsOf(attentionForward({ ...shape, dividesLate: true }))).toEqual([
      'contraction',
      'rows',
      'contraction',
      'rows',
    ]);
    const rows = ['contraction', 'contraction', 'rows', 'contraction', 'rows'];
    expect(kindsOf(attentionBackwardRows(shape))).toEqual(rows);
    expect(kindsOf(kernels['backward columns'](shape))).toEqual(Array(3).fill('contraction'));
    expect(kindsOf(kernels['backward columns in one loop'](shape))).toEqual(Array(2).fill('contraction'));
    expect(kindsOf(kernels['backward columns in one sweep'](shape))).toEqual(Array(2).fill('contraction'));
  });

  it('keeps a block of rows in scratch memory, and only the values that another phase needs', () => {
    const schedule = scheduleOf(attentionForward({ ...shape, queries: 64, inPlace: true }))!;
    expect(schedule.rows).toBe(16);
    expect(schedule.row.name).toBe('i');
    const arrays = schedule.arrays.map(({ size, name }) => [name.replace(/\d+$/, ''), size]);
    expect(arrays).toEqual([
      ['c0_s', 48],
      ['c0_value', 1],
      ['c0_value', 1],
    ]);
  });

  for (const [name, make] of Object.entries(kernels)) {
    it(`has the same bits as the interpreter: ${name}`, async () => {
      await checkKernel(make(shape));
      await checkKernel(make({ ...shape, bias: true, causal: true }));
      await checkKernel(make({ ...shape, interleaved: true, heads: 2, queries: 48, keys: 48, depth: 16, values: 16 }));
    });

    it(`has the same bits at every length: ${name}`, async () => {
      const [queries, keys, depth] = [dim('Q'), dim('K'), dim('D')];
      const lengths = [1, 2, 3, 4, 7, 8, 33, 41];
      const sizes = lengths.map((Q, i) => ({ Q, K: lengths[(i * 3 + 1) % lengths.length], D: 1 + ((i * 5) % 12) }));
      await checkKernel(make({ ...shape, queries, keys, depth, values: 5 }), sizes);
    });
  }

  it('keeps NaN, infinities and the sign of zero', async () => {
    const values = [0, -0, 1, -1, Infinity, NaN, 2, 3];
    const fill = (_: string, i: number): number => values[(i * 5 + (i >> 3)) % (i % 50 === 3 ? 8 : 4)];
    for (const make of Object.values(kernels)) await checkKernel(make(shape), [{}], fill);
  });

  it('leaves out what a mask hides', async () => {
    const masked = { ...shape, causal: true, hidden: -1e9, exponential: clipped };
    for (const make of Object.values(kernels)) {
      await checkKernel(make(masked));
      await checkKernel(make({ ...masked, queries: 70, keys: 70, depth: 4, values: 4, heads: 1 }));
      await checkKernel(
        make({ ...masked, queries: dim('T'), keys: dim('T'), depth: 3, values: 4 }),
        [1, 2, 5, 16, 35].map((T) => ({ T })),
      );
    }
    await checkKernel(attentionForward({ ...masked, heads: 1, queries: 300, keys: 300, depth: 2, values: 4 }));
  });

  it('computes hidden positions whose values are not finite', async () => {
    const masked = { ...shape, causal: true, hidden: -1e9, exponential: clipped };
    const fill = (name: string, i: number): number => (name === 'v' && i % 50 === 45 ? Infinity : wave(name, i));
    for (const make of Object.values(kernels)) await checkKernel(make(masked), [{}], fill);
    const zero = (name: string, i: number): number => (i % 3 === 0 ? -0 : wave(name, i));
    for (const make of Object.values(kernels)) await checkKernel(make(masked), [{}], zero);
  });

  it('sums long rows in blocks', async () => {
    await checkKernel(attentionForward({ ...shape, heads: 1, queries: 5, keys: 530, depth: 3, values: 9 }));
    await checkKernel(attentionForward({ ...shape, heads: 1, queries: 9, keys: 20, depth: 300, values: 5 }));
  });

  const choice = fc.record({
    kind: fc.constantFrom(...(Object.keys(kernels) as (keyof typeof kernels)[])),
    heads: fc.constantFrom(1, 2, 3),
    queries: fc.constantFrom<Dim>(1, 2, 5, 8, 31, 32, 33, 50),
    keys: fc.constantFrom<Dim>(1, 3, 4, 7, 16, 33, 40),
    depth: fc.integer({ min: 1, max: 20 }),
    values: fc.integer({ min: 1, max: 20 }),
    sharing: fc.constantFrom(1, 1, 2),
    causal: fc.boolean(),
    bias: fc.boolean(),
    interleaved: fc.boolean(),
    inPlace: fc.boolean(),
    dividesLate: fc.boolean(),
    hidden: fc.constantFrom(-3, -1e9, Number.NEGATIVE_INFINITY),
    exponential: fc.constantFrom(square, clipped),
  });

  it('has the same bits in random variants', async () => {
    await fc.assert(
      fc.asyncProperty(choice, async ({ kind, sharing, heads, ...rest }) => {
        // Gradients of shared keys are sums over heads, which these kernels do not make.
        const shared = kind === 'forward' || kind === 'backward rows' ? sharing : 1;
        const kernel = kernels[kind]({ ...rest, heads: heads * shared, sharing: shared });
        await checkKernel(kernel);
      }),
      { numRuns: caseCount(30, 200), seed: 20250812 },
    );
  });
});

describe('rows of other kernels', () => {
  const columns = 24;
  const depth = 10;

  /** `y[i, j] = f(i, sum_d a[i, d] b[d, j])`, and what `rest` adds for the row. */
  function rowKernel(
    rows: number,
    buffers: readonly ReturnType<typeof write>[],
    scratch: Kernel['scratch'],
    body: (k: KernelMaker, products: (store: (sum: number) => void) => void) => void,
  ): Kernel {
    const k = new KernelMaker('rows', [read('a', rows * depth), read('b', depth * columns), ...buffers], scratch);
    const products = (store: (sum: number) => void): void =>
      k.parallel('j', columns, () => {
        const factors = (): number[] => [
          k.apply('multiply', k.load('a', at([depth, 'i'], 'd')), k.load('b', at([columns, 'd'], 'j'))),
        ];
        const [sum] = k.reduce([{ name: 'd', extent: depth }], ['sum'], factors, { order: 'blocks' });
        store(sum);
      });
    k.parallel('i', rows, () => body(k, products));
    return k.finish();
  }

  const row = { name: 's', dtype: 'float32', size: columns } as const;

  it('are normalised after their contraction', async () => {
    const kernel = rowKernel(39, [write('y', 39 * columns)], [row], (k, products) => {
      products((sum) => k.store('s', at('j'), sum));
      const axes = [{ name: 'j', extent: columns }];
      const [total] = k.reduce(axes, ['sum'], () => [k.load('s', at('j'))]);
      const mean = k.apply('divide', total, k.constant(columns));
      k.parallel('j', columns, () =>
        k.store('y', at([columns, 'i'], 'j'), k.apply('subtract', k.load('s', at('j')), mean)),
      );
    });
    expect(kindsOf(kernel)).toEqual(['contraction', 'rows']);
    await checkKernel(kernel);
  });

  it('hand values of every dtype to later phases', async () => {
    const kernel = rowKernel(
      21,
      [read('c', 21), read('n', 21, 'int32'), read('t', 40), write('y', 21 * columns)],
      [row],
      (k, products) => {
        const [most] = k.reduce([{ name: 'd', extent: depth }], ['max'], () => [k.load('a', at([depth, 'i'], 'd'))]);
        const isLarge = k.compare('GT', most, k.load('c', at('i')));
        const count = k.applyTo('int32', 'select', isLarge, k.load('n', at('i')), k.constant(2, 'int32'));
        products((sum) => k.store('s', at('j'), k.apply('select', isLarge, sum, k.load('t', at('j', [1, count])))));
        k.parallel('j', columns, () => k.store('y', at([columns, 'i'], 'j'), k.load('s', at('j'))));
      },
    );
    expect(kindsOf(kernel)).toEqual(['rows', 'contraction', 'rows']);
    await checkKernel(kernel, [{}], (name, i) => (name === 'n' ? (i * 7) % 16 : wave(name, i)));
  });

  it('may write over their own input', async () => {
    const kernel = rowKernel(21, [write('y', 21 * depth, 'float32', 0)], [row], (k, products) => {
      const scale = k.load('a', at([depth, 'i']));
      products((sum) => k.store('s', at('j'), sum));
      k.parallel('d', depth, () => {
        const factors = (): number[] => [
          k.apply('multiply', k.load('s', at('j')), k.load('b', at([columns, 'd'], 'j'))),
        ];
        const [sum] = k.reduce([{ name: 'j', extent: columns }], ['sum'], factors, { order: 'blocks' });
        k.store('y', at([depth, 'i'], 'd'), k.apply('multiply', sum, scale));
      });
      const last = k.apply('multiply', scale, scale);
      k.store('y', at([depth, 'i']), last);
    });
    expect(kindsOf(kernel)).toEqual(['rows', 'contraction', 'contraction', 'rows']);
    await checkKernel(kernel);
  });

  it('leave a loop alone whose factors it also writes', async () => {
    const kernel = rowKernel(12, [write('y', 12)], [{ ...row, size: columns + 1 }], (k) => {
      k.parallel('j', columns, () => k.store('s', at('j'), k.load('b', at('j'))));
      k.parallel('e', 1, () => {
        const factors = (): number[] => [
          k.apply('multiply', k.load('s', at('d')), k.load('b', at([columns, 'd'], 'e'))),
        ];
        const [sum] = k.reduce([{ name: 'd', extent: depth }], ['sum'], factors, { order: 'blocks' });
        k.store('s', at(columns, 'e'), sum);
      });
      k.store('y', at('i'), k.load('s', at(columns)));
    });
    await checkKernel(kernel);
  });

  it('share a kernel with other work', async () => {
    const k = new KernelMaker(
      'two',
      [read('a', 9 * depth), read('b', depth * columns), write('y', 9), read('x', 50), write('z', 50)],
      [row],
    );
    k.parallel('i', 9, () => {
      k.parallel('j', columns, () => {
        const factors = (): number[] => [
          k.apply('multiply', k.load('a', at([depth, 'i'], 'd')), k.load('b', at([columns, 'd'], 'j'))),
        ];
        const [sum] = k.reduce([{ name: 'd', extent: depth }], ['sum'], factors, { order: 'blocks' });
        k.store('s', at('j'), sum);
      });
      const [most] = k.reduce([{ name: 'j', extent: columns }], ['max'], () => [k.load('s', at('j'))]);
      k.store('y', at('i'), most);
    });
    k.parallel('i', 50, () => k.store('z', at('i'), k.apply('negate', k.load('x', at('i')))));
    await checkKernel(k.finish({ independent: true }));
  });
});
