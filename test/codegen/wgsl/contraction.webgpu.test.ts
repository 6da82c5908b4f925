/** Contractions in tiles of workgroup memory against the interpreter. */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { IndexExpression, Kernel, ScalarId } from '../../../ir/kernel.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { compareOnGpu } from '../../support/webgpu-kernel.ts';

const wave = (_: string, i: number): number => Math.fround(Math.sin(i * 12.9898 + 1) * 3);

const codeOf = (kernel: Kernel, precision: 'fast' | 'strict' = 'fast'): string =>
  generateKernel(kernel, { precision, tier: coreWebgpuTier }).code;
const usesTiles = (kernel: Kernel): boolean => codeOf(kernel).includes('left_tiles');

/** The ways of the harness: strict, and fast with workgroups in several rows. */
const [strict, fast] = [0, 1];

async function check(
  kernel: Kernel,
  sizes: readonly Bindings[] = [{}],
  { fill = wave, ways = [fast] }: { fill?: typeof wave; ways?: readonly number[] } = {},
): Promise<void> {
  for (const bindings of sizes) {
    for (const way of ways) {
      const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, way);
      expect(difference && `${JSON.stringify(bindings)}: ${difference}`).toBeUndefined();
    }
  }
}

interface Options {
  readonly leftTransposed?: boolean;
  readonly rightTransposed?: boolean;
  readonly prologue?: boolean;
  readonly epilogue?: boolean;
  readonly resultTransposed?: boolean;
  readonly batch?: Dim;
  readonly dtype?: DType;
}

/** `y[n, i, j] = sum_k a[n, i, k] * b[n, k, j]`, with factors and result stored either way. */
function matmul(rows: Dim, columns: Dim, depth: Dim, options: Options = {}): Kernel {
  const { leftTransposed, rightTransposed, resultTransposed, prologue, epilogue, batch, dtype = 'float32' } = options;
  const size = (a: Dim, b: Dim): Dim => mulDims(batch ?? 1, mulDims(a, b));
  const k = new KernelMaker('matmul', [
    read('a', size(rows, depth), dtype),
    read('b', size(depth, columns), dtype),
    read('bias', columns),
    write('y', size(rows, columns), dtype),
  ]);
  const within = (index: IndexExpression, elements: Dim): IndexExpression => ({
    ...index,
    terms: [...at(...(batch === undefined ? [] : [[elements, 'n'] as const])).terms, ...index.terms],
  });
  const left = within(leftTransposed ? at([rows, 'k'], 'i') : at([depth, 'i'], 'k'), mulDims(rows, depth));
  const right = within(rightTransposed ? at([depth, 'j'], 'k') : at([columns, 'k'], 'j'), mulDims(depth, columns));
  const result = within(resultTransposed ? at([rows, 'j'], 'i') : at([columns, 'i'], 'j'), mulDims(rows, columns));
  const body = (): void =>
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const product = (): ScalarId => {
          const [a, b] = [k.load('a', left), k.load('b', right)];
          const negated = prologue ? k.applyTo(dtype, 'negate', a) : a;
          return k.applyTo(dtype, 'multiply', negated, prologue ? k.applyTo(dtype, 'abs', b) : b);
        };
        const axes = [{ name: 'k', extent: depth }];
        const [sum] = k.reduce(axes, ['sum'], () => [product()], { order: 'blocks', dtype });
        const biased = (): ScalarId =>
          k.apply('maximum', k.apply('add', sum, k.load('bias', at('j'))), k.constant(0.5));
        k.store('y', result, epilogue ? biased() : sum);
      }),
    );
  if (batch === undefined) body();
  else k.parallel('n', batch, body);
  return k.finish();
}

const [M, N, K] = [dim('M'), dim('N'), dim('K', { min: 0 })];

describe('matrix products', () => {
  it('are recognised', () => {
    expect(usesTiles(matmul(32, 32, 32))).toBe(true);
    expect(usesTiles(matmul(M, N, K))).toBe(true);
    expect(usesTiles(matmul(4, 4, 4))).toBe(false);
  });

  it('of any size', async () => {
    await check(
      matmul(M, N, K),
      [
        { M: 1, N: 64, K: 64 },
        { M: 16, N: 3, K: 100 },
        { M: 17, N: 33, K: 16 },
        { M: 63, N: 65, K: 1 },
        { M: 31, N: 1, K: 15 },
      ],
      { ways: [strict, fast] },
    );
  });

  for (const leftTransposed of [false, true]) {
    for (const rightTransposed of [false, true]) {
      const stored = (isTransposed: boolean): string => (isTransposed ? 'transposed' : 'plain');
      it(`whose factors are ${stored(leftTransposed)} and ${stored(rightTransposed)}`, async () => {
        const options = { leftTransposed, rightTransposed };
        await check(matmul(M, N, K, options), [{ M: 33, N: 35, K: 17 }]);
        await check(matmul(36, 40, 32, { ...options, epilogue: true, prologue: true }));
      });
    }
  }

  // Tiles are chosen by the sizes that are likely: what is said of these symbols makes them large or narrow.
  const [large, wide, narrow] = [(name: string) => dim(name, { min: 4096 }), dim('N', { min: 1 << 14 }), dim('N')];
  const tiles: readonly [string, Kernel, Bindings][] = [
    ['8x128', matmul(large('M'), large('N'), K), { M: 130, N: 129, K: 11 }],
    ['8x128', matmul(large('M'), mulDims(4, large('N')), 16, { epilogue: true }), { M: 65, N: 33 }],
    ['16x64', matmul(mulDims(12, dim('B', { min: 64 })), mulDims(16, dim('N', { min: 64 })), 24), { B: 6, N: 5 }],
    ['16x16', matmul(12, mulDims(4, wide), 24), { N: 17 }],
    ['16x64', matmul(dim('M', { min: 1 << 16 }), 12, 20, { prologue: true }), { M: 70 }],
    ['16x32', matmul(40, mulDims(4, narrow), 20), { N: 9 }],
  ];
  for (const [tile, kernel, sizes] of tiles) {
    it(`in left tiles of ${tile}`, async () => {
      expect(codeOf(kernel)).toContain(`left_tiles_${tile}`);
      await check(kernel, [sizes]);
    });
  }

  it('of no rows, no columns and no steps', async () => {
    await check(matmul(dim('M', { min: 0 }), dim('N', { min: 0 }), K, { prologue: true }), [
      { M: 0, N: 5, K: 7 },
      { M: 5, N: 0, K: 7 },
      { M: 9, N: 17, K: 0 },
    ]);
  });

  it('of long sums', async () => {
    await check(matmul(20, 24, 257), [{}], { ways: [strict, fast] });
    await check(matmul(M, N, K), [{ M: 9, N: 10, K: 770 }], { ways: [strict] });
  });

  it('have batches', async () => {
    await check(matmul(6, 12, 20, { batch: 3 }));
    await check(matmul(33, 20, 24, { batch: dim('B'), epilogue: true, rightTransposed: true }), [{ B: 1 }, { B: 5 }]);
  });

  it('are written transposed', async () => {
    await check(matmul(36, 40, 24, { resultTransposed: true }));
    await check(matmul(35, 41, 23, { resultTransposed: true, epilogue: true }));
  });

  it('of integers', async () => {
    for (const dtype of ['int32', 'uint32'] as const) {
      await check(matmul(19, 24, 300, { dtype }), [{}], { fill: (_, i) => (i * 7919) % 100000 });
    }
  });

  it('keep NaN and infinities to their results', async () => {
    const values = [0, -0, 1, -1, Infinity, NaN, 2, 3];
    await check(matmul(19, 23, 33), [{}], { fill: (_, i) => values[(i * 5 + (i >> 3)) % (i % 50 === 3 ? 8 : 4)] });
  });

  it('have many tiles, in groups', async () => {
    await check(matmul(300, 40, 8));
  });
});
