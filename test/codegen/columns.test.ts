/**
 * Work down the columns of a matrix against the interpreter, bit for bit: every kind, partial tiles, several sweeps.
 */
import { describe, it } from 'vitest';
import { dim, mulDims } from '../../base/dim.ts';
import type { ReduceKind } from '../../ir/opcodes.ts';
import { checkKernel, wave } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';

const special = (name: string, i: number): number => (i % 97 === 5 ? Number.NaN : i % 31 === 2 ? -0 : wave(name, i));

function reduction(kind: ReduceKind, rows: number, columns: number) {
  const result = kind === 'argmax' || kind === 'argmin' ? 'int32' : 'float32';
  const k = new KernelMaker('down', [read('x', rows * columns), write('y', columns, result)]);
  k.parallel('j', columns, () => {
    const [r] = k.reduce([{ name: 'i', extent: rows }], [kind], () => [k.load('x', at([columns, 'i'], 'j'))]);
    k.store('y', at('j'), r);
  });
  return k.finish();
}

describe('columns', () => {
  it.each(['sum', 'product', 'max', 'min', 'argmax', 'argmin'] as const)('%s', async (kind) => {
    for (const [rows, columns] of [
      [16, 32],
      [17, 33],
      [23, 300],
      [1025, 37],
      [2055, 40],
    ]) {
      await checkKernel(reduction(kind, rows, columns));
      await checkKernel(reduction(kind, rows, columns), [{}], special);
    }
  });

  it('reduces by lanes and in turn at once, in either order', async () => {
    const columns = 37;
    for (const rows of [16, 17, 23, 1030]) {
      for (const kinds of [
        ['sum', 'argmax'],
        ['argmin', 'sum', 'max'],
        ['max', 'product', 'sum'],
      ] as const) {
        const outputs = kinds.map((kind, at) => write(`y${at}`, columns, kind.startsWith('arg') ? 'int32' : 'float32'));
        const k = new KernelMaker('together', [read('x', rows * columns), ...outputs]);
        k.parallel('j', columns, () => {
          const results = k.reduce([{ name: 'i', extent: rows }], kinds, () => {
            const x = k.load('x', at([columns, 'i'], 'j'));
            return kinds.map(() => x);
          });
          results.forEach((result, i) => {
            k.store(`y${i}`, at('j'), result);
          });
        });
        const kernel = k.finish();
        await checkKernel(kernel);
        await checkKernel(kernel, [{}], special);
      }
    }
  });

  it('goes through several axes and outer rows', async () => {
    const k = new KernelMaker('several', [read('x', 3 * 20 * 5 * 70), write('y', 3 * 70)]);
    k.parallel('b', 3, () =>
      k.parallel('j', 70, () => {
        const axes = [
          { name: 'i', extent: 20 },
          { name: 'l', extent: 5 },
        ];
        const [r] = k.reduce(axes, ['sum'], () => [k.load('x', at([7000, 'b'], [350, 'i'], [70, 'l'], 'j'))]);
        k.store('y', at([70, 'b'], 'j'), r);
      }),
    );
    await checkKernel(k.finish());
  });

  it('reduces, reduces what follows, and writes columns', async () => {
    const [n, m] = [dim('N', { min: 1 }), dim('M', { min: 1 })];
    const k = new KernelMaker('norm', [
      read('x', mulDims(m, n)),
      read('g', n),
      write('y', mulDims(m, n)),
      write('s', n),
    ]);
    k.parallel('j', n, () => {
      const g = k.load('g', at('j'));
      const x = () => k.load('x', at([n, 'i'], 'j'));
      const [greatest] = k.reduce([{ name: 'i', extent: m }], ['max'], () => [x()]);
      const shift = k.apply('multiply', greatest, g);
      const [sum] = k.reduce([{ name: 'i', extent: m }], ['sum'], () => [k.apply('subtract', x(), shift)]);
      k.store('s', at('j'), sum);
      k.parallel('i', m, () => k.store('y', at([n, 'i'], 'j'), k.apply('add', k.apply('subtract', x(), shift), sum)));
    });
    const kernel = k.finish();
    for (const N of [1, 31, 64, 301]) for (const M of [1, 7, 16, 1030]) await checkKernel(kernel, [{ N, M }]);
  });

  it('carries values down', async () => {
    const k = new KernelMaker('running', [read('x', 50 * 90), write('y', 50 * 90), write('last', 90)]);
    k.parallel('j', 90, () => {
      const zero = k.constant(0);
      const [end] = k.sequential('i', 50, [zero], 'float32', ([running]) => {
        const next = k.apply('add', running, k.load('x', at([90, 'i'], 'j')));
        k.store('y', at([90, 'i'], 'j'), next);
        return [next];
      });
      k.store('last', at('j'), end);
    });
    await checkKernel(k.finish());
  });

  it('reads what it overwrites before any output of the column is written', async () => {
    for (const columns of [37, 64, 300]) {
      // Each output lies over what the other one reads, as when gradients of biases update two moments.
      const k = new KernelMaker('moments', [
        read('x', 40 * columns),
        read('m', columns),
        read('v', columns),
        write('w', columns, 'float32', 1),
        write('n', columns, 'float32', 2),
      ]);
      k.parallel('j', columns, () => {
        const m = k.load('m', at('j'));
        const [sum] = k.reduce([{ name: 'i', extent: 40 }], ['sum'], () => [k.load('x', at([columns, 'i'], 'j'))]);
        const v = k.load('v', at('j'));
        k.store('w', at('j'), k.apply('add', v, k.apply('multiply', sum, sum)));
        k.store('n', at('j'), k.apply('add', m, sum));
      });
      await checkKernel(k.finish());
    }
  });

  it('leaves columns to plain loops that would read again, for each row, what they have overwritten', async () => {
    const columns = 64;
    const k = new KernelMaker('again', [
      read('x', 40 * columns),
      read('m', columns),
      write('y', 40 * columns, 'float32', 0),
      write('s', columns, 'float32', 1),
    ]);
    k.parallel('j', columns, () => {
      const m = k.load('m', at('j'));
      const x = () => k.load('x', at([columns, 'i'], 'j'));
      const [sum] = k.reduce([{ name: 'i', extent: 40 }], ['sum'], () => [x()]);
      k.store('s', at('j'), sum);
      k.parallel('i', 40, () => k.store('y', at([columns, 'i'], 'j'), k.apply('add', x(), m)));
    });
    await checkKernel(k.finish());
  });
});
