/** Transposes in register tiles against the interpreter, bit for bit: axes, odd sizes, dtypes, several arrays. */
import { describe, expect, it } from 'vitest';
import { dim, mulDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { generate } from '../support/kernel-run.ts';

const bytes = (_: string, i: number): number => ((i * 31) % 251) - 120;
const bits = (_: string, i: number): number => ((i * 31) % 7) & 1;

function permutation(shape: readonly number[], order: readonly number[], dtype: DType = 'float32') {
  const count = shape.reduce((a, b) => a * b, 1);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const k = new KernelMaker('permutation', [read('x', count, dtype), write('y', count, dtype)]);
  const written = order.map((_, axis) => order.slice(axis + 1).reduce((a, b) => a * shape[b], 1));
  const loops = (level: number): void => {
    if (level < order.length) k.parallel(`i${level}`, shape[order[level]], () => loops(level + 1));
    else {
      const x = k.load('x', at(...order.map((axis, i) => [strides[axis], `i${i}`] as const)));
      k.store('y', at(...written.map((stride, i) => [stride, `i${i}`] as const)), x);
    }
  };
  loops(0);
  return k.finish();
}

describe('transposes', () => {
  it('have no cliff at any size', async () => {
    const sizes = [4, 5, 7, 8, 9, 16, 31, 33];
    for (const rows of sizes)
      for (const columns of [4, 6, 8, 13]) await checkKernel(permutation([rows, columns], [1, 0]));
    await checkKernel(permutation([391, 6], [1, 0]));
    await checkKernel(permutation([6, 391], [1, 0]));
    await checkKernel(permutation([261, 515], [1, 0]));
  });

  it('turn any two of several axes', async () => {
    for (const order of [
      [0, 2, 1],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      await checkKernel(permutation([5, 6, 7], order));
      await checkKernel(permutation([3, 20, 9], order));
    }
    await checkKernel(permutation([5, 4, 3, 6], [3, 2, 1, 0]));
  });

  it('move integers and bools', async () => {
    for (const dtype of ['int8', 'uint8', 'int16', 'int32'] as const)
      for (const [rows, columns] of [
        [9, 13],
        [8, 24],
        [40, 17],
        [16, 300],
      ])
        await checkKernel(permutation([rows, columns], [1, 0], dtype), [{}], bytes);
    await checkKernel(permutation([19, 23], [1, 0], 'bool'), [{}], bits);
  });

  it('copy blocks of bytes whose rows conflict in a cache to scratch memory', async () => {
    const staged: [number[], number[], DType][] = [
      [[24, 512], [1, 0], 'int8'],
      [[600, 512], [1, 0], 'uint8'],
      [[264, 1024], [1, 0], 'bool'],
      [[16, 32, 48], [2, 1, 0], 'int8'],
      [[40, 32, 112], [2, 1, 0], 'int8'],
      [[2, 16, 512], [0, 2, 1], 'int8'],
    ];
    for (const [shape, order, dtype] of staged) {
      const kernel = permutation(shape, order, dtype);
      expect(generate(kernel).scratchBytes).toBeGreaterThan(0);
      await checkKernel(kernel, [{}], dtype === 'bool' ? bits : bytes);
    }
    for (const columns of [500, 520]) expect(generate(permutation([24, columns], [1, 0], 'int8')).scratchBytes).toBe(0);
    expect(generate(permutation([1024, 1024], [1, 0])).scratchBytes).toBe(0);
  });

  it('read another array at every other element', async () => {
    const [batch, rows, columns] = [2, 9, 5];
    const k = new KernelMaker('outer products', [
      read('x', batch * rows),
      read('w', batch * columns),
      write('y', batch * rows * columns),
    ]);
    k.parallel('b', batch, () => {
      k.parallel('i', rows, () => {
        k.parallel('j', columns, () => {
          const product = k.apply('multiply', k.load('x', at([rows, 'b'], 'i')), k.load('w', at([batch, 'j'], 'b')));
          k.store('y', at([rows * columns, 'b'], [columns, 'i'], 'j'), product);
        });
      });
    });
    await checkKernel(k.finish());
  });

  it('compute on the way, with rows, columns, positions and a second result', async () => {
    const [rows, columns] = [21, 18];
    const k = new KernelMaker('fused', [
      read('x', rows * columns),
      read('row', rows),
      read('column', columns),
      read('z', rows * columns),
      write('y', rows * columns),
      write('turned', rows * columns),
    ]);
    k.parallel('i', columns, () =>
      k.parallel('j', rows, () => {
        const x = k.load('x', at([columns, 'j'], 'i'));
        const rates = k.apply('add', k.load('row', at('j')), k.load('column', at('i')));
        const place = k.apply('convert', k.index(at([3, 'i'], 'j')));
        const sum = k.apply('add', k.apply('multiply', x, rates), k.load('z', at([rows, 'i'], 'j')));
        k.store('y', at([rows, 'i'], 'j'), k.apply('add', sum, place));
        k.store('turned', at([columns, 'j'], 'i'), k.apply('negate', sum));
      }),
    );
    await checkKernel(k.finish());
  });

  it('work in place', async () => {
    for (const [rows, columns] of [
      [12, 24],
      [12, 20],
      [11, 21],
    ]) {
      const k = new KernelMaker('in_place', [
        read('x', rows * columns),
        read('z', rows * columns),
        write('y', rows * columns, 'float32', 1),
      ]);
      k.parallel('i', columns, () =>
        k.parallel('j', rows, () => {
          const x = k.load('x', at([columns, 'j'], 'i'));
          k.store('y', at([rows, 'i'], 'j'), k.apply('add', x, k.load('z', at([rows, 'i'], 'j'))));
        }),
      );
      await checkKernel(k.finish());
    }
  });

  it('take symbolic sizes', async () => {
    const [n, m] = [dim('N', { min: 4 }), dim('M', { min: 4 })];
    const k = new KernelMaker('symbolic', [read('x', mulDims(m, n)), write('y', mulDims(m, n))]);
    k.parallel('i', n, () => k.parallel('j', m, () => k.store('y', at([m, 'i'], 'j'), k.load('x', at([n, 'j'], 'i')))));
    const kernel = k.finish();
    for (const N of [4, 9, 300]) for (const M of [5, 8, 270]) await checkKernel(kernel, [{ N, M }]);
  });
});
