/** Reductions of long rows in two phases against the interpreter, bit for bit, whatever the split. */
import { describe, expect, it } from 'vitest';
import type { ReduceKind } from '../../ir/opcodes.ts';
import { checkKernel, wave } from '../support/kernel-check.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { generate } from '../support/kernel-run.ts';

const ties = (_: string, i: number): number => (i % 70000 < 2000 ? Number.NEGATIVE_INFINITY : i % 1000 === 3 ? 7 : -0);
const nans = (name: string, i: number): number => (i % 30011 === 30010 ? Number.NaN : wave(name, i));

function reduction(kind: ReduceKind, rows: number, length: number) {
  const result = kind === 'argmax' || kind === 'argmin' ? 'int32' : 'float32';
  const k = new KernelMaker('long', [read('x', rows * length), write('y', rows, result), write('z', rows, result)]);
  const row = (): void => {
    const load = () => [k.load('x', rows === 1 ? at('r') : at([length, 'i'], 'r'))];
    const [r] = k.reduce([{ name: 'r', extent: length }], [kind], load);
    const place = rows === 1 ? at(0) : at('i');
    k.store('y', place, r);
    k.store('z', place, k.applyTo(result, 'negate', r));
  };
  if (rows === 1) row();
  else k.parallel('i', rows, row);
  return k.finish();
}

describe('long rows', () => {
  it.each(['sum', 'max', 'min', 'argmax', 'argmin', 'product'] as const)('%s', async (kind) => {
    for (const [rows, length] of [
      [1, 65536],
      [1, 70003],
      [3, 65541],
    ]) {
      const kernel = reduction(kind, rows, length);
      expect(generate(kernel).phases.length).toBe(2);
      for (const fill of kind === 'product' ? [wave] : [wave, ties, nans]) {
        await checkKernel(kernel, [{}], fill);
      }
    }
  });
});
