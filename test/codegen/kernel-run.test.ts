/** Generated kernels of every shape against the interpreter, on WASM bit for bit. */
import { describe, expect, it } from 'vitest';
import { addDims, dim, mulDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { ReduceKind } from '../../ir/opcodes.ts';
import { checkKernel, wave } from '../support/kernel-check.ts';
import { at, floordiv, KernelMaker, mod, read, readWrite, write } from '../support/kernel-maker.ts';
import { isOnWebgpu } from '../support/target.ts';

const everyLength = [...Array(41).keys(), 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, 3079];
const lengths =
  process.env.KILN_TEST === 'full' ? everyLength : everyLength.filter((n) => n < 10 || n % 8 < 2 || n % 8 === 7);

const n = dim('N', { min: 0 });
const m = dim('M', { min: 0 });

describe('elementwise', () => {
  it('has no cliff at any length', async () => {
    const k = new KernelMaker('chain', [read('x', n), write('y', n)]);
    k.parallel('i', n, () => {
      const x = k.load('x', at('i'));
      k.store(
        'y',
        at('i'),
        k.apply('maximum', k.apply('add', k.apply('multiply', x, k.constant(2)), k.constant(1)), x),
      );
    });
    await checkKernel(
      k.finish(),
      [...lengths, 70001].map((N) => ({ N })),
    );
  });

  it('knows static lengths', async () => {
    for (const length of [...Array(20).keys(), 100, 40000]) {
      const k = new KernelMaker('static', [read('x', length), write('y', length)]);
      k.parallel('i', length, () => k.store('y', at('i'), k.apply('negate', k.load('x', at('i')))));
      await checkKernel(k.finish());
    }
  });

  it('works in place', async () => {
    const k = new KernelMaker('in_place', [read('x', n), write('y', n, 'float32', 0)]);
    k.parallel('i', n, () => k.store('y', at('i'), k.apply('sqrt', k.apply('abs', k.load('x', at('i'))))));
    await checkKernel(
      k.finish(),
      lengths.map((N) => ({ N })),
    );
  });

  it('broadcasts rows, columns and scalars', async () => {
    const k = new KernelMaker('broadcast', [
      read('x', mulDims(m, n)),
      read('r', n),
      read('c', m),
      read('s', 1),
      write('y', mulDims(m, n)),
    ]);
    k.parallel('i', m, () =>
      k.parallel('j', n, () => {
        const row = k.apply('add', k.load('x', at([n, 'i'], 'j')), k.load('r', at('j')));
        k.store(
          'y',
          at([n, 'i'], 'j'),
          k.apply('multiply', k.apply('divide', row, k.load('c', at('i'))), k.load('s', at(0))),
        );
      }),
    );
    await checkKernel(
      k.finish(),
      [1, 3, 8, 13, 200].flatMap((N) => [1, 2, 7, 300].map((M) => ({ N, M }))),
    );
  });

  it('transposes and reverses', async () => {
    const k = new KernelMaker('transpose', [
      read('x', mulDims(m, n)),
      write('y', mulDims(m, n)),
      write('z', mulDims(m, n)),
    ]);
    k.parallel('i', n, () =>
      k.parallel('j', m, () => {
        k.store('y', at([m, 'i'], 'j'), k.load('x', at([n, 'j'], 'i')));
      }),
    );
    k.parallel('i', m, () =>
      k.parallel('j', n, () => {
        const last: ReturnType<typeof at> = { offset: addDims(n, -1), terms: at([n, 'i'], [-1, 'j']).terms };
        k.store('z', last, k.load('x', at([n, 'i'], 'j')));
      }),
    );
    await checkKernel(
      k.finish({ independent: true }),
      [1, 3, 8, 37].flatMap((N) => [1, 2, 7, 64].map((M) => ({ N, M }))),
    );
  });

  it('transposes in blocks', async () => {
    const k = new KernelMaker('blocks', [read('x', 96 * 80 * 2), read('r', 80 * 96), write('y', 2 * 96 * 80)]);
    k.parallel('b', 2, () =>
      k.parallel('i', 96, () =>
        k.parallel('j', 80, () => {
          const x = k.load('x', at([7680, 'b'], [96, 'j'], 'i'));
          k.store('y', at([7680, 'b'], [80, 'i'], 'j'), k.apply('add', x, k.load('r', at([80, 'i'], 'j'))));
        }),
      ),
    );
    await checkKernel(k.finish());
  });

  it('gathers by data and by floordiv and mod', async () => {
    const k = new KernelMaker('gather', [read('x', 50), read('where', n, 'int32'), write('y', n), write('z', n)]);
    k.parallel('i', n, () => {
      const where = k.load('where', at('i'));
      k.store('y', at('i'), k.load('x', at([2, where])));
      const split = k.load('x', at([5, floordiv(at(3, 'i'), 7)], [1, mod(at([3, 'i']), 5)]));
      k.store('z', at('i'), split);
    });
    await checkKernel(
      k.finish(),
      [...Array(30).keys(), 60].map((N) => ({ N })),
      (name, i) => (name === 'where' ? (i * 7) % 25 : wave(name, i)),
    );
  });

  it('splits axes under floordiv and mod', async () => {
    const k = new KernelMaker('split', [read('x', 12), write('y', 48)]);
    k.parallel('i', 48, () => k.store('y', at('i'), k.load('x', at([1, floordiv(at('i'), 4)]))));
    await checkKernel(k.finish());
    const l = new KernelMaker('split', [read('x', 15), write('y', 60)]);
    l.parallel('i', 60, () => l.store('y', at('i'), l.load('x', at([5, mod(at('i'), 3)], [1, floordiv(at('i'), 12)]))));
    await checkKernel(l.finish());
  });

  it('pads and concatenates with predicated loads', async () => {
    const k = new KernelMaker('pad', [read('x', n), write('y', addDims(n, 7))]);
    k.parallel('i', addDims(n, 7), () => {
      const position = k.index(at(-3, 'i'));
      const size = k.let('int32', { kind: 'size', size: n });
      const inside = k.applyTo(
        'bool',
        'and',
        k.compare('GE', position, k.constant(0, 'int32')),
        k.compare('LT', position, size),
      );
      k.store('y', at('i'), k.load('x', at(-3, 'i'), inside, 9.5));
    });
    await checkKernel(
      k.finish(),
      lengths.map((N) => ({ N })),
    );
  });

  it('pads rows of images', async () => {
    const k = new KernelMaker('pad2', [read('x', 35), write('y', 7 * 9)]);
    k.parallel('i', 7, () =>
      k.parallel('j', 9, () => {
        const [row, column] = [k.index(at(-1, 'i')), k.index(at(-1, 'j'))];
        const both = k.applyTo(
          'bool',
          'and',
          k.compare('LT', k.applyTo('uint32', 'bitcast_convert', row), k.constant(5, 'uint32')),
          k.compare('LT', k.applyTo('uint32', 'bitcast_convert', column), k.constant(7, 'uint32')),
        );
        k.store('y', at([9, 'i'], 'j'), k.load('x', at(-8, [7, 'i'], 'j'), both, -1));
      }),
    );
    await checkKernel(k.finish());
  });

  it('handles bool memory and masks', async () => {
    const k = new KernelMaker('bools', [
      read('x', n),
      read('p', n, 'bool'),
      write('q', n, 'bool'),
      write('y', n),
      write('first', n, 'bool'),
    ]);
    k.parallel('i', n, () => {
      const [x, p] = [k.load('x', at('i')), k.load('p', at('i'))];
      k.store('q', at('i'), k.applyTo('bool', 'xor', p, k.compare('GT', x, k.constant(0))));
      k.store('y', at('i'), k.apply('select', p, x, k.apply('convert', p)));
      k.store('first', at('i'), k.load('p', at(0)));
    });
    await checkKernel(
      k.finish(),
      lengths.slice(1).map((N) => ({ N })),
      (name, i) => (name === 'p' ? ((i * 5) % 3 === 0 ? 1 : 0) : wave(name, i)),
    );
  });

  it('runs scalars', async () => {
    const k = new KernelMaker('scalars', [read('x', 2), write('y', 2)]);
    const sum = k.apply('add', k.load('x', at(0)), k.load('x', at(1)));
    k.store('y', at(0), sum);
    k.store('y', at(1), k.apply('negate', sum));
    await checkKernel(k.finish());
  });

  it('stores under a condition and with strides', async () => {
    const k = new KernelMaker('strided_store', [read('x', n), readWrite('y', mulDims(n, 3))]);
    k.parallel('i', n, () => {
      const x = k.load('x', at('i'));
      k.store('y', at([3, 'i']), x, { when: k.compare('GT', x, k.constant(0)) });
      k.store('y', at(1, [3, 'i']), x, { combine: 'add' });
    });
    await checkKernel(
      k.finish(),
      [...Array(20).keys()].map((N) => ({ N })),
    );
  });
});

/** WGSL lets an implementation take a subnormal number for zero. */
const tiny = isOnWebgpu ? 1e-37 : 1e-40;
const specials = [0, -0, 1, -1, 0.5, -2.5, 3, Infinity, -Infinity, NaN, 1e30, -1e30, tiny, 7.25, -7.25, 2147483648];
const integers = [0, 1, -1, 2, 3, -7, 31, 32, 33, 100, -(2 ** 31), 2 ** 31 - 1, 5, 64, -33, 12345];

describe('ops', () => {
  const pairs = 256;
  const exactFloat = ['add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum', 'remainder'] as const;
  const exactInteger = [
    'add',
    'subtract',
    'multiply',
    'divide',
    'remainder',
    'power',
    'maximum',
    'minimum',
    'and',
    'or',
    'xor',
    'shift_left',
    'shift_right_arithmetic',
    'shift_right_logical',
  ] as const;
  const fillFrom = (values: readonly number[]) => (name: string, i: number) =>
    values[name === 'a' ? i % values.length : Math.floor(i / values.length) % values.length];

  it.each(exactFloat)('%s of float32 gives the same bits', async (opcode) => {
    const k = new KernelMaker(opcode, [read('a', pairs), read('b', pairs), write('y', pairs)]);
    k.parallel('i', pairs, () => k.store('y', at('i'), k.apply(opcode, k.load('a', at('i')), k.load('b', at('i')))));
    await checkKernel(k.finish(), [{}], fillFrom(specials));
  });

  it.each(exactInteger.flatMap((opcode) => (['int32', 'uint32'] as const).map((dtype) => [opcode, dtype] as const)))(
    '%s of %s gives the same bits, also by one amount for all lanes',
    async (opcode, dtype) => {
      const k = new KernelMaker(opcode, [
        read('a', pairs, dtype),
        read('b', pairs, dtype),
        write('y', pairs, dtype),
        write('z', mulDims(16, 16), dtype),
        write('c', 16, dtype),
      ]);
      k.parallel('i', pairs, () =>
        k.store('y', at('i'), k.applyTo(dtype, opcode, k.load('a', at('i')), k.load('b', at('i')))),
      );
      k.parallel('i', 16, () =>
        k.parallel('j', 16, () => {
          k.store('z', at([16, 'i'], 'j'), k.applyTo(dtype, opcode, k.load('a', at('j')), k.load('b', at([16, 'i']))));
        }),
      );
      k.parallel('i', 16, () =>
        k.store('c', at('i'), k.applyTo(dtype, opcode, k.load('a', at('i')), k.constant(13, dtype))),
      );
      await checkKernel(k.finish({ independent: true }), [{}], fillFrom(integers));
    },
  );

  const unary: readonly (readonly [Parameters<KernelMaker['apply']>[0], DType, DType])[] = [
    ...(['abs', 'negate', 'sign', 'floor', 'ceil', 'round_nearest_even', 'sqrt'] as const).map(
      (o) => [o, 'float32', 'float32'] as const,
    ),
    ...(['int32', 'uint32'] as const).flatMap((d) =>
      (['abs', 'negate', 'sign', 'not'] as const).map((o) => [o, d, d] as const),
    ),
    ['not', 'bool', 'bool'],
    ['is_finite', 'float32', 'bool'],
    ...(['float32', 'int32', 'uint32', 'bool'] as const).flatMap((from) =>
      (['float32', 'int32', 'uint32', 'bool'] as const).map((to) => ['convert', from, to] as const),
    ),
    ['bitcast_convert', 'float32', 'int32'],
    ['bitcast_convert', 'int32', 'float32'],
    ['bitcast_convert', 'uint32', 'int32'],
  ];
  it.each(unary)('%s of %s to %s gives the same bits', async (opcode, from, to) => {
    const k = new KernelMaker(opcode, [read('a', 16, from), write('y', 16, to)]);
    k.parallel('i', 16, () => k.store('y', at('i'), k.applyTo(to, opcode, k.load('a', at('i')))));
    const values = from === 'float32' ? specials : from === 'bool' ? integers.map((v) => (v > 0 ? 1 : 0)) : integers;
    await checkKernel(k.finish(), [{}], (_, i) => values[i]);
  });

  it.each(
    (['float32', 'int32', 'uint32', 'bool'] as const).flatMap((d) =>
      (['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'] as const).map((c) => [c, d] as const),
    ),
  )('compare %s of %s gives the same bits', async (direction, dtype) => {
    const k = new KernelMaker('compare', [read('a', pairs, dtype), read('b', pairs, dtype), write('y', pairs, 'bool')]);
    k.parallel('i', pairs, () =>
      k.store('y', at('i'), k.compare(direction, k.load('a', at('i')), k.load('b', at('i')))),
    );
    await checkKernel(
      k.finish(),
      [{}],
      fillFrom(dtype === 'float32' ? specials : dtype === 'bool' ? integers.map((v) => (v > 0 ? 1 : 0)) : integers),
    );
  });
});

const kinds: readonly ReduceKind[] = ['sum', 'product', 'max', 'min', 'argmax', 'argmin'];
const resultOf = (kind: ReduceKind, dtype: DType): DType => (kind.startsWith('arg') ? 'int32' : dtype);

describe('reductions', () => {
  const nearOne = (_: string, i: number): number => Math.fround(1 + wave('', i) / 100);

  it.each(
    kinds.flatMap((kind) =>
      (['lanes', 'blocks'] as const).flatMap((order) =>
        (['rows', 'columns'] as const).map((way) => [kind, order, way] as const),
      ),
    ),
  )('%s in %s over %s', async (kind, order, way) => {
    const k = new KernelMaker(kind, [read('x', mulDims(m, n)), write('y', m, resultOf(kind, 'float32'))]);
    k.parallel('i', m, () => {
      const place = way === 'rows' ? at([n, 'i'], 'j') : at([m, 'j'], 'i');
      const [s] = k.reduce([{ name: 'j', extent: n }], [kind], () => [k.load('x', place)], { order });
      k.store('y', at('i'), s);
    });
    const sizes = lengths.map((N) => ({ N, M: 1 + (N % 9) }));
    await checkKernel(k.finish(), sizes, kind === 'product' ? nearOne : wave);
  });

  it('keeps NaN, infinities and the sign of zero', async () => {
    for (const kind of kinds) {
      const k = new KernelMaker(kind, [
        read('x', 16 * 11),
        write('y', 16, resultOf(kind, 'float32')),
        write('z', 11, resultOf(kind, 'float32')),
      ]);
      k.parallel('i', 16, () => {
        k.store(
          'y',
          at('i'),
          k.reduce([{ name: 'j', extent: 11 }], [kind], () => [k.load('x', at([11, 'i'], 'j'))])[0],
        );
      });
      k.parallel('i', 11, () => {
        k.store(
          'z',
          at('i'),
          k.reduce([{ name: 'j', extent: 16 }], [kind], () => [k.load('x', at([11, 'j'], 'i'))])[0],
        );
      });
      await checkKernel(k.finish({ independent: true }), [{}], (_, i) => specials[(i * 7 + Math.floor(i / 16)) % 16]);
    }
  });

  it.each(
    (['sum', 'product', 'max', 'min', 'argmax', 'argmin', 'and', 'or'] as const).flatMap((kind) =>
      (['int32', 'uint32', 'bool'] as const).map((d) => [kind, d] as const),
    ),
  )('%s of %s', async (kind, dtype) => {
    if (dtype === 'bool' && !['max', 'min', 'and', 'or'].includes(kind)) return expect(dtype).toBe('bool');
    const k = new KernelMaker(kind, [
      read('x', mulDims(m, n), dtype),
      write('y', m, resultOf(kind, dtype)),
      write('z', n, resultOf(kind, dtype)),
    ]);
    k.parallel('i', m, () => {
      k.store(
        'y',
        at('i'),
        k.reduce([{ name: 'j', extent: n }], [kind], () => [k.load('x', at([n, 'i'], 'j'))], { dtype })[0],
      );
    });
    k.parallel('i', n, () => {
      k.store(
        'z',
        at('i'),
        k.reduce([{ name: 'j', extent: m }], [kind], () => [k.load('x', at([n, 'j'], 'i'))], { dtype })[0],
      );
    });
    const fill = (_: string, i: number): number =>
      dtype === 'bool' ? ((i * 7) % 5 > 0 ? 1 : 0) : integers[(i * 11) % 16];
    await checkKernel(
      k.finish({ independent: true }),
      [1, 5, 8, 19, 40].flatMap((N) => [1, 3, 12].map((M) => ({ N, M }))),
      fill,
    );
  });

  it('sums over several axes and at the top', async () => {
    const k = new KernelMaker('total', [read('x', mulDims(m, n)), write('y', 1)]);
    const [s] = k.reduce(
      [
        { name: 'i', extent: m },
        { name: 'j', extent: n },
      ],
      ['sum'],
      () => [k.load('x', at([n, 'i'], 'j'))],
    );
    k.store('y', at(0), s);
    await checkKernel(
      k.finish(),
      [1, 3, 8, 9, 1025, 2300].flatMap((N) => [1, 2, 5].map((M) => ({ N, M }))),
    );
    const b = new KernelMaker('total_blocks', [read('x', mulDims(m, n)), write('y', 1)]);
    const [t] = b.reduce(
      [
        { name: 'i', extent: m },
        { name: 'j', extent: n },
      ],
      ['sum'],
      () => [b.load('x', at([n, 'i'], 'j'))],
      { order: 'blocks' },
    );
    b.store('y', at(0), t);
    await checkKernel(
      b.finish(),
      [1, 3, 8, 9, 255, 1025].flatMap((N) => [1, 2, 5].map((M) => ({ N, M }))),
    );
  });

  it('repeats large bodies by rotating partial sums', async () => {
    const k = new KernelMaker('rotating', [read('x', mulDims(m, n)), write('y', n), write('t', n)]);
    k.parallel('i', n, () => {
      const [s, p] = k.reduce([{ name: 'j', extent: m }], ['sum', 'max'], () => {
        let value = k.load('x', at([n, 'j'], 'i'));
        for (let i = 0; i < 15; i++) value = k.apply('add', k.apply('multiply', value, k.constant(0.5)), k.constant(i));
        return [value, value];
      });
      k.store('y', at('i'), s);
      k.store('t', at('i'), p);
    });
    await checkKernel(
      k.finish(),
      [1, 4, 7].flatMap((N) => [0, 1, 7, 8, 9, 30, 1024, 1027, 2060].map((M) => ({ N, M }))),
    );
  });

  it('pools windows', async () => {
    const k = new KernelMaker('pool', [read('x', 8 * 30), write('y', 4 * 15)]);
    k.parallel('i', 4, () =>
      k.parallel('j', 15, () => {
        const axes = [
          { name: 'u', extent: 2 },
          { name: 'v', extent: 2 },
        ];
        const [s] = k.reduce(axes, ['max'], () => [k.load('x', at([60, 'i'], [30, 'u'], [2, 'j'], 'v'))]);
        const [t] = k.reduce(axes, ['sum'], () => [k.load('x', at([60, 'i'], [30, 'u'], [2, 'j'], 'v'))]);
        k.store('y', at([15, 'i'], 'j'), k.apply('add', s, t));
      }),
    );
    await checkKernel(k.finish());
  });

  it('combines tuples: mean and variance in one sweep', async () => {
    for (const way of ['rows', 'columns'] as const) {
      const k = new KernelMaker('moments', [read('x', mulDims(m, n)), write('y', m), write('z', m)]);
      k.parallel('i', m, () => {
        const [, mean, square] = k.reduceTuple(
          [{ name: 'j', extent: n }],
          [0, 0, 0],
          () => [k.constant(1), k.load('x', way === 'rows' ? at([n, 'i'], 'j') : at([m, 'j'], 'i')), k.constant(0)],
          ([na, ma, sa], [nb, mb, sb]) => {
            const total = k.apply('add', na, nb);
            const safe = k.apply('maximum', total, k.constant(1));
            const delta = k.apply('subtract', mb, ma);
            const share = k.apply('divide', nb, safe);
            const mean = k.apply('add', ma, k.apply('multiply', delta, share));
            const cross = k.apply('multiply', k.apply('multiply', delta, delta), k.apply('multiply', na, share));
            return [total, mean, k.apply('add', k.apply('add', sa, sb), cross)];
          },
        );
        k.store('y', at('i'), mean);
        k.store('z', at('i'), square);
      });
      await checkKernel(
        k.finish(),
        [0, 1, 2, 5, 7, 8, 9, 15, 16, 17, 100].map((N) => ({ N, M: 1 + (N % 7) })),
      );
    }
  });
});

describe('nests', () => {
  it('normalises rows like softmax and layerNorm, several reductions over one row', async () => {
    const k = new KernelMaker('normalise', [read('x', mulDims(m, n)), write('y', mulDims(m, n))]);
    k.parallel('i', m, () => {
      const load = (): number => k.load('x', at([n, 'i'], 'j'));
      const axis = [{ name: 'j', extent: n }];
      const [top, total] = k.reduce(axis, ['max', 'sum'], () => {
        const x = load();
        return [x, x];
      });
      const size = k.let('float32', { kind: 'size', size: n });
      const mean = k.apply('divide', total, size);
      const [spread] = k.reduce(axis, ['sum'], () => {
        const delta = k.apply('subtract', load(), mean);
        return [k.apply('multiply', delta, delta)];
      });
      k.parallel('j', n, () => {
        const scaled = k.apply('divide', k.apply('subtract', load(), top), k.apply('sqrt', spread));
        k.store('y', at([n, 'i'], 'j'), scaled);
      });
    });
    await checkKernel(
      k.finish(),
      lengths.filter((N) => N > 0).map((N) => ({ N, M: 1 + (N % 5) })),
    );
  });

  it('uses scratch rows', async () => {
    const k = new KernelMaker(
      'scratch',
      [read('x', mulDims(m, n)), write('y', mulDims(m, n))],
      [{ name: 'row', dtype: 'float32', size: n }],
    );
    k.parallel('i', m, () => {
      k.parallel('j', n, () =>
        k.store('row', at('j'), k.apply('multiply', k.load('x', at([n, 'i'], 'j')), k.constant(3))),
      );
      const [s] = k.reduce([{ name: 'j', extent: n }], ['sum'], () => [k.load('row', at('j'))]);
      k.parallel('j', n, () => k.store('y', at([n, 'i'], 'j'), k.apply('divide', k.load('row', at('j')), s)));
    });
    await checkKernel(
      k.finish(),
      [1, 3, 8, 21, 100].flatMap((N) => [1, 5, 70].map((M) => ({ N, M }))),
    );
  });

  it('runs what scratch rows bind together in its order, also for a single row, whose loop goes away', async () => {
    const row = (name: string) => ({ name, dtype: 'float32', size: n }) as const;
    const k = new KernelMaker('one_row', [read('x', n), write('y', n)], [row('a'), row('b')]);
    const along = [{ name: 'j', extent: n }];
    k.parallel('i', 1, () => {
      const [top] = k.reduce(along, ['max'], () => [k.load('x', at('j'))]);
      k.parallel('j', n, () => k.store('a', at('j'), k.apply('subtract', k.load('x', at('j')), top)));
      const [sum] = k.reduce(along, ['sum'], () => [k.load('a', at('j'))]);
      k.parallel('j', n, () => k.store('b', at('j'), k.apply('subtract', k.load('a', at('j')), sum)));
      const [last] = k.reduce(along, ['sum'], () => [k.apply('multiply', k.load('b', at('j')), top)]);
      k.parallel('j', n, () => {
        const scaled = k.apply('multiply', k.load('a', at('j')), sum);
        k.store('y', at('j'), k.apply('subtract', scaled, last));
      });
    });
    await checkKernel(
      k.finish(),
      [1, 4, 9, 33].map((N) => ({ N })),
    );
  });

  it('carries values through sequential loops', async () => {
    for (const way of ['rows', 'columns'] as const) {
      const k = new KernelMaker('scan', [read('x', mulDims(m, n)), write('y', mulDims(m, n)), write('last', m)]);
      k.parallel('i', m, () => {
        const place = (): ReturnType<typeof at> => (way === 'rows' ? at([n, 'i'], 'j') : at([m, 'j'], 'i'));
        const start = k.constant(0);
        const one = k.constant(1);
        const [, b] = k.sequential('j', n, [start, one], 'float32', ([a, b]) => {
          const next = k.apply('add', a, k.load('x', place()));
          k.store('y', place(), next);
          return [b, next];
        });
        k.store('last', at('i'), b);
      });
      await checkKernel(
        k.finish(),
        [0, 1, 2, 9].flatMap((N) => [1, 4, 5, 18].map((M) => ({ N, M }))),
      );
    }
  });

  it('scatters with add, one update after the other', async () => {
    const k = new KernelMaker('scatter', [
      read('where', m, 'int32'),
      read('u', mulDims(m, n)),
      readWrite('y', mulDims(n, 10)),
    ]);
    k.sequential('i', m, [], 'float32', () => {
      const row = k.load('where', at('i'));
      const inside = k.compare('GE', row, k.constant(0, 'int32'));
      k.parallel('j', n, () => {
        k.store('y', at([n, row], 'j'), k.load('u', at([n, 'i'], 'j')), { combine: 'add', when: inside });
      });
      return [];
    });
    await checkKernel(
      k.finish(),
      [1, 5, 8].flatMap((N) => [1, 30].map((M) => ({ N, M }))),
      (name, i) => (name === 'where' ? ((i * 3) % 11) - 1 : wave(name, i)),
    );
  });

  it('runs dependent nests in order and independent ones by tiles', async () => {
    const build = (independent: boolean): ReturnType<KernelMaker['finish']> => {
      const y = independent ? write('y', n) : readWrite('y', n);
      const k = new KernelMaker('nests', [read('x', n), y, write('z', m)]);
      const rate = k.load('x', at(0));
      k.parallel('i', n, () => k.store('y', at('i'), k.apply('multiply', k.load('x', at('i')), rate)));
      k.parallel('j', m, () => k.store('z', at('j'), independent ? rate : k.load('y', at(0))));
      return k.finish({ independent });
    };
    for (const independent of [true, false])
      await checkKernel(
        build(independent),
        [1, 7, 40000].map((N) => ({ N, M: 66000 })),
      );
  });

  it('sums products without a template', async () => {
    const k = new KernelMaker('matmul', [
      read('a', mulDims(m, 9)),
      read('b', mulDims(9, n)),
      write('y', mulDims(m, n)),
    ]);
    k.parallel('i', m, () =>
      k.parallel('j', n, () => {
        const [s] = k.reduce([{ name: 'k', extent: 9 }], ['sum'], () => [
          k.apply('multiply', k.load('a', at([9, 'i'], 'k')), k.load('b', at([n, 'k'], 'j'))),
        ]);
        k.store('y', at([n, 'i'], 'j'), s);
      }),
    );
    await checkKernel(
      k.finish(),
      [1, 5, 8, 30].flatMap((N) => [1, 3].map((M) => ({ N, M }))),
    );
  });
});
