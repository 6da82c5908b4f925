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

async function check(kernel: Kernel, sizes: readonly Bindings[] = [{}], fill = wave): Promise<void> {
  for (const bindings of sizes) {
    const difference = await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings);
    expect(difference && `${JSON.stringify(bindings)}: ${difference}`).toBeUndefined();
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

  const edges = [1, 3, 16, 17, 63, 64, 65, 127, 128, 129];
  const sizes = edges.flatMap((m, i) => [
    { M: m, N: edges[(3 * i + 1) % 10], K: edges[(7 * i + 2) % 10] },
    { M: edges[(i + 5) % 10], N: m, K: 5 + i },
  ]);
  for (const leftTransposed of [false, true]) {
    for (const rightTransposed of [false, true]) {
      const stored = `${leftTransposed ? 'transposed' : 'plain'} and ${rightTransposed ? 'transposed' : 'plain'}`;
      it(`of any size, with factors ${stored}`, async () => {
        const options = { leftTransposed, rightTransposed };
        const every = leftTransposed === rightTransposed ? 1 : 4;
        await check(
          matmul(M, N, K, options),
          sizes.filter((_, i) => i % every === 0),
        );
      });
    }
  }

  it('of known sizes, in every tile', async () => {
    for (const [rows, columns, depth] of [
      [128, 128, 64],
      [129, 132, 40],
      [64, 64, 33],
      [65, 60, 16],
      [32, 32, 300],
      [12, 68, 24],
      [70, 12, 24],
    ]) {
      await check(
        matmul(rows, columns, depth, { epilogue: true, prologue: rows % 2 === 0, rightTransposed: rows === 65 }),
      );
    }
  });

  it('of no rows, no columns and no steps', async () => {
    await check(matmul(dim('M', { min: 0 }), dim('N', { min: 0 }), K, { prologue: true }), [
      { M: 0, N: 5, K: 7 },
      { M: 5, N: 0, K: 7 },
      { M: 9, N: 17, K: 0 },
    ]);
  });

  it('of long sums', async () => {
    for (const depth of [256, 257, 513, 770]) await check(matmul(20, 24, depth));
    await check(matmul(M, N, K), [{ M: 18, N: 20, K: 1025 }]);
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
      await check(matmul(19, 24, 300, { dtype }), [{}], (_, i) => (i * 7919) % 100000);
    }
  });

  it('keep NaN and infinities to their results', async () => {
    const values = [0, -0, 1, -1, Infinity, NaN, 2, 3];
    await check(matmul(19, 23, 33), [{}], (_, i) => values[(i * 5 + (i >> 3)) % (i % 50 === 3 ? 8 : 4)]);
  });

  it('have many tiles, in groups', async () => {
    await check(matmul(300, 40, 8), [{}]);
    await check(matmul(290, 36, M, { leftTransposed: true }), [{ M: 9 }]);
  });
});
