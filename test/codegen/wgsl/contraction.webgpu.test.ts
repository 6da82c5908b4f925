/** Contractions in tiles of workgroup memory against the interpreter. */
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { encodeBfloat16, encodeFloat16 } from '../../../base/half.ts';
import { generateKernel } from '../../../codegen/wgsl/kernel.ts';
import type { IndexExpression, Kernel, ScalarId } from '../../../ir/kernel.ts';
import { coreWebgpuTier } from '../../../runtime/program.ts';
import { type ConvolutionCase, convolutionKernels } from '../../support/convolutions.ts';
import { type Bindings, makeInputs } from '../../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../../support/kernel-maker.ts';
import { wgslErrors } from '../../support/webgpu-device.ts';
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

describe('small elements', () => {
  /** `y[i, j] = sum_k a[i, k] * b[j, k]` of bytes, or with `b` stored otherwise. */
  function bytes(rows: Dim, columns: Dim, depth: Dim, dtype: DType, isPlain = false): Kernel {
    const k = new KernelMaker('bytes', [
      read('a', mulDims(rows, depth), dtype),
      read('b', mulDims(columns, depth), dtype),
      write('y', mulDims(rows, columns), 'int32'),
    ]);
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const converted = (memory: string, index: IndexExpression): ScalarId =>
          k.applyTo('int32', 'convert', k.load(memory, index));
        const product = (): ScalarId =>
          k.applyTo(
            'int32',
            'multiply',
            converted('a', at([depth, 'i'], 'k')),
            converted('b', isPlain ? at([columns, 'k'], 'j') : at([depth, 'j'], 'k')),
          );
        const options = { order: 'blocks', dtype: 'int32' } as const;
        const [sum] = k.reduce([{ name: 'k', extent: depth }], ['sum'], () => [product()], options);
        k.store('y', at([columns, 'i'], 'j'), sum);
      }),
    );
    return k.finish();
  }
  const whole = { fill: (_: string, i: number): number => ((i * 7919) % 251) - 120 };
  const hasDots = (kernel: Kernel): boolean =>
    generateKernel(kernel, { precision: 'fast', tier: { ...coreWebgpuTier, integerDot: true } }).code.includes('dot4');

  it('of 8 bits multiply four steps at a time, where four are a word', async () => {
    for (const dtype of ['int8', 'uint8'] as const) {
      const kernel = bytes(35, 40, 100, dtype);
      expect(hasDots(kernel)).toBe(true);
      expect(codeOf(kernel)).not.toContain('dot4');
      await check(kernel, [{}], { ...whole, ways: dtype === 'int8' ? [strict, fast] : [fast] });
    }
    const symbolic = bytes(M, N, mulDims(4, K), 'int8');
    expect(hasDots(symbolic)).toBe(true);
    await check(symbolic, [{ M: 33, N: 5, K: 17 }], whole);
  });

  it('of 8 bits multiply one by one elsewhere', async () => {
    for (const kernel of [bytes(35, 40, 99, 'int8'), bytes(35, 40, 64, 'uint8', true)]) {
      expect(hasDots(kernel)).toBe(false);
      await check(kernel, [{}], whole);
    }
  });

  /** With float16 or bfloat16 storage. */
  function halves(rows: number, columns: number, depth: number, dtype: DType, rightTransposed: boolean): Kernel {
    const k = new KernelMaker('halves', [
      read('a', rows * depth, dtype),
      read('b', depth * columns, dtype),
      write('y', rows * columns, dtype),
    ]);
    const load = (memory: string, index: IndexExpression): ScalarId =>
      k.let('float32', { kind: 'load', memory, index });
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const right = rightTransposed ? at([depth, 'j'], 'k') : at([columns, 'k'], 'j');
        const product = (): ScalarId => k.apply('multiply', load('a', at([depth, 'i'], 'k')), load('b', right));
        const [sum] = k.reduce([{ name: 'k', extent: depth }], ['sum'], () => [product()], { order: 'blocks' });
        k.store('y', at([columns, 'i'], 'j'), sum);
      }),
    );
    return k.finish();
  }
  const bits = (dtype: DType) => ({
    fill: (name: string, i: number): number =>
      dtype === 'float16' ? encodeFloat16(wave(name, i)) : encodeBfloat16(wave(name, i)),
  });

  for (const dtype of ['float16', 'bfloat16'] as const) {
    it(`of ${dtype}`, async () => {
      await check(halves(36, 40, 33, dtype, false), [{}], bits(dtype));
      await check(halves(33, 35, 40, dtype, true), [{}], bits(dtype));
      await check(halves(2, 72, 128, dtype, true), [{}], bits(dtype));
    });
  }

  it('of float16 are valid code where the adapter has them', async () => {
    const tier = { ...coreWebgpuTier, shaderF16: true };
    for (const rightTransposed of [false, true]) {
      const { code } = generateKernel(halves(64, 64, 64, 'float16', rightTransposed), { precision: 'fast', tier });
      expect(code).toContain('array<vec4<f16>>');
      expect(await wgslErrors(code)).toEqual([]);
    }
  });
});

describe('sums over the same rows and columns', () => {
  /** A gated layer: `y = (a b) * max(a c, -0.5)`, in one sweep or in two. */
  function gated(rows: Dim, columns: Dim, depth: Dim, sweeps: 1 | 2): Kernel {
    const k = new KernelMaker('gated', [
      read('a', mulDims(rows, depth)),
      read('b', mulDims(depth, columns)),
      read('c', mulDims(columns, depth)),
      write('y', mulDims(rows, columns)),
    ]);
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const a = (): ScalarId => k.load('a', at([depth, 'i'], 'k'));
        const first = (): ScalarId => k.apply('multiply', a(), k.load('b', at([columns, 'k'], 'j')));
        const second = (): ScalarId => k.apply('multiply', k.load('c', at([depth, 'j'], 'k')), k.apply('negate', a()));
        const axes = [{ name: 'k', extent: depth }];
        const order = { order: 'blocks' } as const;
        const [x, gate] =
          sweeps === 1
            ? k.reduce(axes, ['sum', 'sum'], () => [first(), second()], order)
            : [...k.reduce(axes, ['sum'], () => [first()], order), ...k.reduce(axes, ['sum'], () => [second()], order)];
        k.store('y', at([columns, 'i'], 'j'), k.apply('multiply', x, k.apply('maximum', gate, k.constant(-0.5))));
      }),
    );
    return k.finish();
  }

  it('are computed by the same workgroups', async () => {
    const kernel = gated(40, 36, 33, 1);
    expect(usesTiles(kernel)).toBe(true);
    await check(kernel, [{}], { ways: [strict, fast] });
    await check(gated(M, N, K, 2), [{ M: 35, N: 33, K: 40 }]);
    await check(gated(2, 40, 70, 2));
  });
});

describe('factors', () => {
  it('may be gathered by position, and masked', async () => {
    const [rows, columns, depth] = [37, 40, 24];
    const k = new KernelMaker('gathered', [
      read('a', 10 * depth),
      read('rows', rows, 'int32'),
      read('b', depth * columns),
      write('y', rows * columns),
    ]);
    k.parallel('i', rows, () => {
      const row = k.load('rows', at('i'));
      k.parallel('j', columns, () => {
        const product = (): ScalarId => {
          const below = k.compare('LE', k.index(at('k')), k.index(at('j')));
          const b = k.load('b', at([columns, 'k'], 'j'), below, 0.25);
          return k.apply('multiply', k.load('a', at([depth, row], 'k')), b);
        };
        const [sum] = k.reduce([{ name: 'k', extent: depth }], ['sum'], () => [product()], { order: 'blocks' });
        k.store('y', at([columns, 'i'], 'j'), sum);
      });
    });
    const kernel = k.finish();
    expect(usesTiles(kernel)).toBe(true);
    await check(kernel, [{}], { fill: (name, i) => (name === 'rows' ? (i * 7) % 10 : wave(name, i)) });
  });
});

describe('products with few rows or columns', () => {
  const usesShares = (kernel: Kernel): boolean => codeOf(kernel).includes('add_shares');
  const cases: readonly [string, Kernel, Bindings?][] = [
    ['a row and a matrix along its columns', matmul(1, 300, 130, { epilogue: true })],
    ['a row and a matrix along the sum', matmul(1, 70, 520, { rightTransposed: true, prologue: true })],
    ['a row and sums that are no fours', matmul(1, 70, 131, { rightTransposed: true, epilogue: true })],
    ['a row and columns that are no fours', matmul(1, N, K, { epilogue: true }), { N: 83, K: 70 }],
    ['three rows', matmul(3, 68, 96, { epilogue: true, rightTransposed: true })],
    ['two rows of integers', matmul(2, N, 64, { dtype: 'int32', rightTransposed: true }), { N: 65 }],
    ['a column', matmul(90, 1, 128, { epilogue: true })],
    ['a column and rows beside each other', matmul(90, 2, 100, { leftTransposed: true, prologue: true })],
    ['batches', matmul(1, 40, 68, { batch: 3, epilogue: true })],
    [
      'sums in parts',
      matmul(1, N, dim('K', { min: 8192 }), { rightTransposed: true, epilogue: true }),
      { N: 9, K: 1100 },
    ],
    ['fours of sums in parts', matmul(2, 36, dim('K', { min: 8192 }), { batch: 2, epilogue: true }), { K: 300 }],
  ];
  for (const [text, kernel, sizes] of cases) {
    it(text, async () => {
      expect(usesShares(kernel)).toBe(true);
      await check(kernel, [sizes ?? {}], { fill: text.includes('integers') ? (_, i) => (i * 7919) % 1000 : wave });
    });
  }
});

describe('sums in parts', () => {
  it('have a second stage', async () => {
    const kernel = matmul(mulDims(4, dim('M')), mulDims(4, dim('N')), dim('K', { min: 4096 }), { epilogue: true });
    const { dispatches, scratchBytes } = generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier });
    expect(dispatches.length).toBe(2);
    expect(scratchBytes).not.toBe(0);
    await check(kernel, [
      { M: 4, N: 5, K: 300 },
      { M: 9, N: 1, K: 3 },
    ]);
  });

  it('have batches, and columns that are no fours', async () => {
    const kernel = matmul(M, N, dim('K', { min: 8192 }), { batch: dim('B'), prologue: true });
    expect(generateKernel(kernel, { precision: 'fast', tier: coreWebgpuTier }).dispatches.length).toBe(2);
    await check(kernel, [{ B: 3, M: 5, N: 7, K: 130 }], { ways: [strict, fast] });
  });
});

describe('convolutions', () => {
  const plain: ConvolutionCase['attributes'] = {
    strides: [1, 1],
    padding: [
      [1, 1],
      [1, 1],
    ],
    lhs_dilation: [1, 1],
    rhs_dilation: [1, 1],
    groups: 1,
  };
  type Case = Omit<ConvolutionCase, 'attributes'> & { readonly attributes?: Partial<ConvolutionCase['attributes']> };
  const cases: readonly [string, Case][] = [
    ['with padding', { lhs: [2, 5, 12, 12], rhs: [9, 5, 3, 3], epilogue: true }],
    ['of odd images', { lhs: [2, 5, 11, 13], rhs: [9, 5, 3, 3], prologue: true }],
    ['with strides', { lhs: [1, 6, 15, 16], rhs: [8, 6, 3, 3], attributes: { strides: [2, 2] } }],
    ['with dilated windows', { lhs: [1, 6, 15, 16], rhs: [8, 6, 3, 3], attributes: { rhs_dilation: [2, 3] } }],
    [
      'of dilated images, as gradients are',
      { lhs: [1, 6, 7, 8], rhs: [8, 6, 3, 3], attributes: { lhs_dilation: [2, 2] } },
    ],
    ['in groups', { lhs: [2, 8, 9, 12], rhs: [8, 4, 3, 3], attributes: { groups: 2 } }],
    [
      'of single points',
      {
        lhs: [2, 12, 7, 9],
        rhs: [8, 12, 1, 1],
        attributes: {
          padding: [
            [0, 0],
            [0, 0],
          ],
        },
      },
    ],
    ['as large as images, as gradients of weights are', { lhs: [5, 3, 12, 12], rhs: [6, 3, 12, 12] }],
  ];
  for (const [text, { attributes, ...rest }] of cases) {
    it(text, async () => {
      const kernels = convolutionKernels({ ...rest, attributes: { ...plain, ...attributes } });
      expect(kernels.some(usesTiles)).toBe(true);
      for (const kernel of kernels) await check(kernel);
    });
  }
});
