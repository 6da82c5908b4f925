/** Contractions through the packed, register-tiled schedule against the interpreter, bit for bit. */
import binaryen from 'binaryen';
import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { ContractionSchedule } from '../../codegen/wasm/contraction/schedule.ts';
import { generateKernel } from '../../codegen/wasm/kernel.ts';
import type { Kernel, ScalarId } from '../../ir/kernel.ts';
import { plainTier, type WasmTier } from '../../runtime/program.ts';
import { wasmFeatures } from '../../runtime/wasm/features.ts';
import { checkKernel, wave } from '../support/kernel-check.ts';
import { makeInputs } from '../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { compareWithInterpreter, generate } from '../support/kernel-run.ts';

const usesTiles = (kernel: Kernel): boolean =>
  generate(kernel).text().includes('f32x4.mul') && generate(kernel).code.length > 0;

interface Options {
  readonly leftTransposed?: boolean;
  readonly rightTransposed?: boolean;
  readonly prologue?: boolean;
  readonly epilogue?: boolean;
  readonly batch?: Dim;
  readonly dtype?: DType;
}

/** `y[b, i, j] = sum_k a[b, i, k] * b[b, k, j]`, with factors stored either way. */
function matmul(rows: Dim, columns: Dim, depth: Dim, options: Options = {}): Kernel {
  const { leftTransposed, rightTransposed, prologue, epilogue, batch, dtype = 'float32' } = options;
  const times = batch ?? 1;
  const size = (a: Dim, b: Dim): Dim => mulDims(times, mulDims(a, b));
  const buffers = [
    read('a', size(rows, depth), dtype),
    read('b', size(depth, columns), dtype),
    read('bias', columns),
    write('y', size(rows, columns), dtype),
  ];
  const k = new KernelMaker('matmul', buffers);
  const batchTerm = (elements: Dim): [Dim, string][] => (batch === undefined ? [] : [[elements, 'n']]);
  const left = leftTransposed ? at([rows, 'k'], 'i') : at([depth, 'i'], 'k');
  const right = rightTransposed ? at([depth, 'j'], 'k') : at([columns, 'k'], 'j');
  const within = (index: ReturnType<typeof at>, elements: Dim): ReturnType<typeof at> => ({
    ...index,
    terms: [...at(...batchTerm(elements)).terms, ...index.terms],
  });
  const apply = (opcode: 'multiply' | 'negate' | 'abs', ...ids: ScalarId[]): ScalarId =>
    k.applyTo(dtype, opcode, ...ids);
  const body = (): void => {
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const axes = [{ name: 'k', extent: depth }];
        const [sum] = k.reduce(
          axes,
          ['sum'],
          () => {
            const a = k.load('a', within(left, mulDims(rows, depth)));
            const b = k.load('b', within(right, mulDims(depth, columns)));
            return [apply('multiply', prologue ? apply('negate', a) : a, prologue ? apply('abs', b) : b)];
          },
          { order: 'blocks', dtype },
        );
        const result = epilogue
          ? k.apply('maximum', k.apply('add', sum, k.load('bias', at('j'))), k.constant(0.5))
          : sum;
        k.store('y', within(at([columns, 'i'], 'j'), mulDims(rows, columns)), result);
      }),
    );
  };
  if (batch === undefined) body();
  else k.parallel('n', batch, body);
  return k.finish();
}

const small = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

describe('matrix products', () => {
  it('are recognised', () => {
    expect(usesTiles(matmul(32, 32, 32))).toBe(true);
    expect(generate(matmul(32, 32, 32)).scratchBytes).toBeGreaterThan(0);
  });

  it('have the same bits at every remainder of rows and columns', async () => {
    const [m, n, k] = [dim('M'), dim('N'), dim('K', { min: 0 })];
    const kernels = [
      {},
      { leftTransposed: true },
      { rightTransposed: true },
      { leftTransposed: true, rightTransposed: true },
    ];
    for (const options of kernels) {
      const sizes = small.flatMap((M) => small.flatMap((N) => [0, 1, 7].map((K) => ({ M, N, K }))));
      await checkKernel(
        matmul(m, n, k, options),
        sizes.filter((_, i) => i % (options.leftTransposed ? 7 : 1) === 0),
      );
    }
  });

  it('have the same bits at every depth', async () => {
    const [m, n, k] = [dim('M'), dim('N'), dim('K', { min: 0 })];
    const sizes = [0, 1, 2, 7, 255, 256, 257, 513, 770].flatMap((K) => [{ M: 5, N: 11, K }]);
    for (const options of [{ prologue: true }, { rightTransposed: true }, { epilogue: true }])
      await checkKernel(matmul(m, n, k, options), sizes);
  });

  it('read no further than they may in the last of several chunks of columns', async () => {
    // Two rows take tiles of 16 columns; chunks of 520 columns leave 8 for the last tile of the first.
    for (const columns of [1025, 1026, 1029, 1033, 1040]) await checkKernel(matmul(2, columns, 3));
  });

  it('know static sizes', async () => {
    for (const depth of [1, 7, 256, 257, 513]) {
      for (const [rows, columns] of [
        [4, 8],
        [5, 9],
        [14, 33],
        [2, 100],
        [1, 37],
        [67, 12],
      ] as const) {
        await checkKernel(
          matmul(rows, columns, depth, { epilogue: true, prologue: rows % 2 === 0, rightTransposed: rows === 67 }),
        );
      }
    }
  });

  it('pack what is large, in either direction', async () => {
    await checkKernel(matmul(38, 150, 70));
    await checkKernel(matmul(38, 150, 70, { leftTransposed: true, rightTransposed: true }));
    await checkKernel(matmul(38, 150, 70, { leftTransposed: true, prologue: true, epilogue: true }));
  });

  it('take batches', async () => {
    await checkKernel(matmul(6, 10, 20, { batch: 3 }));
    await checkKernel(matmul(9, 13, 70, { batch: 5, prologue: true, epilogue: true, rightTransposed: true }));
  });

  it('take integers', async () => {
    for (const dtype of ['int32', 'uint32'] as const) {
      await checkKernel(matmul(9, 13, 300, { dtype }), [{}], (_, i) => (i * 7919) % 100000);
    }
  });

  it('keep NaN and infinities', async () => {
    const values = [0, -0, 1, -1, Infinity, NaN, 2, 3];
    await checkKernel(matmul(9, 13, 33), [{}], (_, i) => values[(i * 5 + (i >> 3)) % (i % 50 === 3 ? 8 : 4)]);
    await checkKernel(matmul(9, 13, 300), [{}], () => -0);
  });

  it('may have values between their loops', async () => {
    const k = new KernelMaker('between', [read('a', 20 * 30), read('b', 30 * 40), read('c', 20), write('y', 40 * 20)]);
    k.parallel('i', 20, () => {
      const c = k.load('c', at('i'));
      k.parallel('j', 40, () => {
        const axes = [{ name: 'k', extent: 30 }];
        const product = (): ScalarId =>
          k.apply('multiply', k.load('a', at([30, 'i'], 'k')), k.load('b', at([40, 'k'], 'j')));
        const [s] = k.reduce(axes, ['sum'], () => [product()], { order: 'blocks' });
        k.store('y', at([40, 'i'], 'j'), k.apply('add', s, c));
      });
    });
    expect(generate(k.finish()).scratchBytes).toBeGreaterThan(0);
    await checkKernel(k.finish());
  });

  it('have rows and columns the other way round', async () => {
    const k = new KernelMaker('swapped', [read('a', 20 * 30), read('b', 30 * 40), write('y', 40 * 20)]);
    k.parallel('j', 40, () =>
      k.parallel('i', 20, () => {
        const [s] = k.reduce(
          [{ name: 'k', extent: 30 }],
          ['sum'],
          () => [k.apply('multiply', k.load('a', at([30, 'i'], 'k')), k.load('b', at([40, 'k'], 'j')))],
          { order: 'blocks' },
        );
        k.store('y', at([20, 'j'], 'i'), s);
      }),
    );
    await checkKernel(k.finish());
  });
});

describe('several sums of products over one row and column', () => {
  /** A gated layer: `y = (a b) * tanh-like(a c)`, with the products in one sweep or in two. */
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

  for (const sweeps of [1, 2] as const) {
    it(`share a schedule: ${sweeps === 1 ? 'one sweep' : 'two sweeps'}`, async () => {
      expect(generate(gated(30, 40, 20, sweeps)).text()).toContain('strip_c0_1strip_4');
      await checkKernel(gated(30, 40, 20, sweeps));
      await checkKernel(gated(7, 13, 300, sweeps));
      const sizes = small.flatMap((M) => [1, 4, 9, 33].map((N) => ({ M, N, K: 1 + ((M * N) % 11) })));
      await checkKernel(gated(dim('M'), dim('N'), dim('K'), sweeps), sizes);
    });
  }
});

describe('sums that a mask throws away', () => {
  const [rows, columns, depth] = [23, 41, 19];

  /** `y[i, j] = mask(i, j) ? sum : -1`, with the sum used once more where `leak` says. */
  function masked(
    mask: (k: KernelMaker, i: ScalarId, j: ScalarId) => ScalarId,
    options: { inverted?: boolean; leak?: boolean } = {},
  ): Kernel {
    const k = new KernelMaker('masked', [
      read('a', rows * depth),
      read('b', depth * columns),
      read('c', rows * columns, 'bool'),
      write('y', rows * columns),
      write('z', rows * columns),
    ]);
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const condition = mask(k, k.index(at('i')), k.index(at('j')));
        const product = (): ScalarId =>
          k.apply('multiply', k.load('a', at([depth, 'i'], 'k')), k.load('b', at([columns, 'k'], 'j')));
        const [sum] = k.reduce([{ name: 'k', extent: depth }], ['sum'], () => [product()], { order: 'blocks' });
        const scaled = k.apply('multiply', sum, k.constant(0.5));
        const hidden = k.constant(-1);
        const result = options.inverted
          ? k.apply('select', condition, hidden, scaled)
          : k.apply('select', condition, scaled, hidden);
        k.store('y', at([columns, 'i'], 'j'), k.apply('negate', result));
        if (options.leak) k.store('z', at([columns, 'i'], 'j'), sum);
      }),
    );
    return k.finish();
  }

  const fill = (name: string, i: number): number => (name === 'c' ? (i % 3) & 1 : wave(name, i));

  for (const direction of ['LE', 'LT', 'GE', 'GT', 'EQ', 'NE'] as const) {
    it(`need not be computed where positions compare ${direction}`, async () => {
      for (const inverted of [false, true]) {
        await checkKernel(
          masked((k, i, j) => k.compare(direction, i, j), { inverted }),
          [{}],
          fill,
        );
        await checkKernel(
          masked((k, i, j) => k.compare(direction, j, i), { inverted }),
          [{}],
          fill,
        );
        await checkKernel(
          masked((k, i, j) => k.compare(direction, j, i), { inverted, leak: true }),
          [{}],
          fill,
        );
      }
    });
  }

  it('is computed where it says what to load', async () => {
    const k = new KernelMaker('lookup', [
      read('a', rows * depth, 'int32'),
      read('b', depth * columns, 'int32'),
      read('c', 64),
      write('y', rows * columns),
    ]);
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const product = (): ScalarId =>
          k.applyTo('int32', 'multiply', k.load('a', at([depth, 'i'], 'k')), k.load('b', at([columns, 'k'], 'j')));
        const axes = [{ name: 'k', extent: depth }];
        const [sum] = k.reduce(axes, ['sum'], () => [product()], { order: 'blocks', dtype: 'int32' });
        const shown = k.compare('LE', k.index(at('j')), k.index(at('i')));
        const found = k.load('c', at([1, k.applyTo('int32', 'and', sum, k.constant(63, 'int32'))]));
        k.store('y', at([columns, 'i'], 'j'), k.apply('select', shown, found, k.constant(0)));
      }),
    );
    await checkKernel(k.finish(), [{}], (name, i) => (name === 'c' ? wave(name, i) : (i * 7) % 19));
  });

  it('may lie in a band, or be hidden by more', async () => {
    const shifted = (k: KernelMaker, i: ScalarId, by: number): ScalarId =>
      k.applyTo('int32', 'add', i, k.constant(by, 'int32'));
    const band = (k: KernelMaker, i: ScalarId, j: ScalarId): ScalarId =>
      k.applyTo('bool', 'and', k.compare('LE', j, shifted(k, i, 3)), k.compare('GT', j, shifted(k, i, -9)));
    await checkKernel(masked(band), [{}], fill);
    await checkKernel(
      masked((k, i, j) => k.applyTo('bool', 'not', band(k, i, j)), { inverted: true }),
      [{}],
      fill,
    );
    await checkKernel(
      masked((k, i, j) => k.applyTo('bool', 'not', band(k, i, j))),
      [{}],
      fill,
    );
    const loaded = (k: KernelMaker): ScalarId => k.load('c', at([columns, 'i'], 'j'));
    await checkKernel(
      masked((k, i, j) => k.applyTo('bool', 'and', band(k, i, j), loaded(k))),
      [{}],
      fill,
    );
    await checkKernel(
      masked((k, i, j) => k.applyTo('bool', 'or', band(k, i, j), loaded(k))),
      [{}],
      fill,
    );
    await checkKernel(
      masked((k, i) => k.compare('LT', i, k.constant(9, 'int32'))),
      [{}],
      fill,
    );
    await checkKernel(
      masked((k, _, j) => k.compare('LT', j, k.constant(-9, 'int32'))),
      [{}],
      fill,
    );
  });
});

describe('convolutions', () => {
  /** `y[n, co, h, w] = sum x[n, ci, h + u - pad, w + v - pad] * f[co, ci, u, v]`. */
  function convolution(
    batch: number,
    input: number,
    output: number,
    size: number,
    window: number,
    pad: number,
  ): Kernel {
    const k = new KernelMaker('conv', [
      read('x', batch * input * size * size),
      read('f', output * input * window * window),
      write('y', batch * output * size * size),
    ]);
    const axes = [
      { name: 'c', extent: input },
      { name: 'u', extent: window },
      { name: 'v', extent: window },
    ];
    k.parallel('n', batch, () =>
      k.parallel('o', output, () =>
        k.parallel('h', size, () =>
          k.parallel('w', size, () => {
            const [s] = k.reduce(
              axes,
              ['sum'],
              () => {
                const inside = (a: string, b: string): ScalarId => {
                  const position = k.applyTo('uint32', 'bitcast_convert', k.index(at(-pad, a, b)));
                  return k.compare('LT', position, k.constant(size, 'uint32'));
                };
                const both = k.applyTo('bool', 'and', inside('h', 'u'), inside('w', 'v'));
                const place = at(
                  -pad * size - pad,
                  [input * size * size, 'n'],
                  [size * size, 'c'],
                  [size, 'h'],
                  [size, 'u'],
                  'w',
                  'v',
                );
                const x = k.load('x', place, both, 0);
                const f = k.load('f', at([input * window * window, 'o'], [window * window, 'c'], [window, 'u'], 'v'));
                return [k.apply('multiply', x, f)];
              },
              { order: 'blocks' },
            );
            const plane = size * size;
            k.store('y', at([output * plane, 'n'], [plane, 'o'], [size, 'h'], 'w'), s);
          }),
        ),
      ),
    );
    return k.finish();
  }

  it('are contractions with padded loads', async () => {
    await checkKernel(convolution(1, 3, 5, 11, 3, 1));
    await checkKernel(convolution(2, 9, 4, 8, 3, 1));
    await checkKernel(convolution(1, 4, 6, 9, 1, 0));
    await checkKernel(convolution(2, 2, 3, 13, 5, 2));
  });
});

describe('products of narrow integers', () => {
  const dtypes = ['int8', 'uint8', 'int16'] as const;
  /** `y = sum_k int32(a[i, k]) * int32(b[k, j])`, or wrapped to the dtype. */
  function narrow(rows: Dim, columns: Dim, depth: Dim, a: DType, b: DType, turned: boolean): Kernel {
    const k = new KernelMaker('narrow', [
      read('a', mulDims(rows, depth), a),
      read('b', mulDims(depth, columns), b),
      write('y', mulDims(rows, columns), 'int32'),
    ]);
    k.parallel('i', rows, () =>
      k.parallel('j', columns, () => {
        const wide = (id: ScalarId): ScalarId => k.applyTo('int32', 'convert', id);
        const factors = (): ScalarId[] => [
          wide(k.load('a', turned ? at([rows, 'k'], 'i') : at([depth, 'i'], 'k'))),
          wide(k.load('b', turned ? at([depth, 'j'], 'k') : at([columns, 'k'], 'j'))),
        ];
        const product = (): ScalarId => k.applyTo('int32', 'multiply', ...factors());
        const axes = [{ name: 'k', extent: depth }];
        const [sum] = k.reduce(axes, ['sum'], () => [product()], { order: 'blocks', dtype: 'int32' });
        k.store('y', at([columns, 'i'], 'j'), sum);
      }),
    );
    return k.finish();
  }

  it('are added in pairs, with wrapped sums', async () => {
    for (const a of dtypes) {
      for (const [m, n, depth] of [
        [9, 21, 40],
        [5, 8, 33],
        [8, 70, 3],
      ]) {
        for (const turned of [false, true]) {
          const kernel = narrow(m, n, depth, a, a === 'int16' ? 'int16' : 'int8', turned);
          expect(generate(kernel).text().includes('i32x4.dot_i16x8_s'), `${a} ${m} ${n} ${depth} ${turned}`).toBe(true);
          const extremes = [-128, 127, -32768, 32767, 0, 255, 128];
          await checkKernel(kernel, [{}], (_, i) => (i % 11 === 3 ? extremes[i % 7] : ((i * 7919) % 256) - 128));
        }
      }
    }
  });

  it('may have symbolic sizes', async () => {
    const kernel = narrow(dim('M'), dim('N'), dim('K', { min: 0 }), 'uint8', 'int8', false);
    const sizes = [0, 1, 2, 9].flatMap((K) => [{ M: 3, N: 9, K }]);
    await checkKernel(kernel, sizes, (_, i) => ((i * 7919) % 256) - 128);
  });
});

describe('schedules', () => {
  const schedules: readonly ContractionSchedule[] = [
    { tileRows: 4, tileColumns: 8, chunkColumns: 64, blockRows: 16, depthBlock: 256 },
    { tileRows: 2, tileColumns: 16, chunkColumns: 16, blockRows: 4, depthBlock: 256 },
    { tileRows: 6, tileColumns: 8, chunkColumns: 24, blockRows: 12, depthBlock: 512 },
    { tileRows: 5, tileColumns: 16, chunkColumns: 32, blockRows: 10, depthBlock: 1024 },
    { tileRows: 3, tileColumns: 24, chunkColumns: 1024, blockRows: 64, depthBlock: 256 },
  ];
  const kernels = [
    matmul(13, 35, 530),
    matmul(14, 42, 258, { leftTransposed: true, epilogue: true }),
    matmul(11, 29, 259, { leftTransposed: true, rightTransposed: true, prologue: true }),
    matmul(17, 30, 40, { batch: 2, dtype: 'int32' }),
    matmul(dim('M'), dim('N'), dim('K', { min: 0, max: 4000 }), { prologue: true, epilogue: true }),
  ];
  const sizes = [
    { M: 1, N: 1, K: 0 },
    { M: 5, N: 19, K: 513 },
  ];
  const tier: WasmTier = { ...plainTier, relaxedSimd: true };

  it('give the same bits in strict mode, with whatever the engine can do', () => {
    for (const [i, contraction] of schedules.entries()) {
      for (const kernel of kernels) {
        const generated = generateKernel(binaryen, kernel, { precision: 'strict', tier: plainTier, contraction });
        const relaxed = generateKernel(binaryen, kernel, { precision: 'strict', tier, contraction });
        expect(Buffer.compare(generated.code, relaxed.code)).toBe(0);
        const bindings = kernel === kernels[4] ? sizes[i % 2] : {};
        expect(compareWithInterpreter(kernel, makeInputs(kernel, bindings, wave), bindings, generated)).toBeUndefined();
      }
    }
  });

  it('of few rows and a large factor read it in place, some steps at a time', async () => {
    const few = [
      matmul(1, 1031, 9),
      matmul(5, 1030, 10),
      matmul(2, 17, 530),
      matmul(3, 500, 20, { dtype: 'int32' }),
      matmul(2, 34, 270, { epilogue: true, leftTransposed: true, batch: 2 }),
    ];
    for (const kernel of few) {
      expect(generate(kernel).text().includes('$target'), kernel.buffers.map(({ size }) => size).join()).toBe(true);
      await checkKernel(kernel);
    }
  });

  it('may fuse products with sums in fast mode', () => {
    const kernel = matmul(9, 21, 300);
    const fused = generateKernel(binaryen, kernel, { precision: 'fast', tier });
    expect(fused.text()).toContain('f32x4.relaxed_madd');
    if (!wasmFeatures().relaxedSimd) return;
    // Sums of small integers are exact, however they are rounded.
    const inputs = makeInputs(kernel, {}, (_, i) => ((i * 7919) % 31) - 15);
    expect(compareWithInterpreter(kernel, inputs, {}, fused)).toBeUndefined();
  });
});
