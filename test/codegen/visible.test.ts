/** Which columns of masked contractions count. */
import { expect, it } from 'vitest';
import { splitUnits } from '../../codegen/common/units.ts';
import { writtenMemory } from '../../codegen/common/walk.ts';
import { matchContraction } from '../../codegen/wasm/contraction/match.ts';
import { visibleColumns } from '../../codegen/wasm/contraction/visible.ts';
import type { ScalarId } from '../../ir/kernel.ts';
import { indexText } from '../../ir/kernel-print.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';

const [rows, columns, depth] = [20, 30, 10];

/** The bounds of a product of matrices whose epilogue is `finish(sum, i, j)`. */
function boundsOf(
  finish: (k: KernelMaker, sum: ScalarId, i: ScalarId, j: ScalarId) => ScalarId,
): { from: string[]; to: string[] } | undefined {
  const k = new KernelMaker('masked', [
    read('a', rows * depth),
    read('b', depth * columns),
    write('y', rows * columns),
  ]);
  k.parallel('i', rows, () =>
    k.parallel('j', columns, () => {
      const product = (): ScalarId =>
        k.apply('multiply', k.load('a', at([depth, 'i'], 'k')), k.load('b', at([columns, 'k'], 'j')));
      const [sum] = k.reduce([{ name: 'k', extent: depth }], ['sum'], () => [product()], { order: 'blocks' });
      k.store('y', at([columns, 'i'], 'j'), finish(k, sum, k.index(at('i')), k.index(at('j'))));
    }),
  );
  const kernel = k.finish();
  const written = writtenMemory(kernel);
  const visible = visibleColumns(matchContraction(splitUnits(kernel.body, false, written)[0], written)!);
  return visible && { from: visible.from.map(indexText), to: visible.to.map(indexText) };
}

const hidden = (k: KernelMaker): ScalarId => k.constant(Number.NEGATIVE_INFINITY);

it('end at the diagonal under a causal mask', () => {
  const causal = boundsOf((k, sum, i, j) => k.apply('select', k.compare('GE', i, j), sum, hidden(k)));
  expect(causal).toEqual({ from: [], to: ['i + 1'] });
  const strict = boundsOf((k, sum, i, j) => k.apply('select', k.compare('GE', j, i), hidden(k), sum));
  expect(strict).toEqual({ from: [], to: ['i'] });
});

it('may have two ends', () => {
  const band = boundsOf((k, sum, i, j) => {
    const near = k.compare('GT', k.applyTo('int32', 'add', j, k.constant(4, 'int32')), i);
    return k.apply('select', k.applyTo('bool', 'and', k.compare('LE', j, i), near), sum, hidden(k));
  });
  expect(band).toEqual({ from: ['i + -3'], to: ['i + 1'] });
});

it('are all where the sum goes elsewhere too', () => {
  expect(boundsOf((_, sum) => sum)).toBeUndefined();
  const added = boundsOf((k, sum, i, j) =>
    k.apply('add', sum, k.apply('select', k.compare('GE', i, j), k.constant(0), hidden(k))),
  );
  expect(added).toBeUndefined();
  const twice = boundsOf((k, sum, i, j) => {
    const masked = k.apply('select', k.compare('GE', i, j), sum, hidden(k));
    return k.apply('multiply', masked, k.apply('select', k.compare('GE', j, i), sum, k.constant(1)));
  });
  expect(twice).toBeUndefined();
});
