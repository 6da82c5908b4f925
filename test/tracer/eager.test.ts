/** Eager operations: one program for each signature, numbers as data, the same results as inside compile. */
import { describe, expect, it } from 'vitest';
import {
  add,
  compile,
  concat,
  KilnError,
  mul,
  profile,
  softmax,
  sum,
  type Tensor,
  tensor,
  where,
} from '../../index.ts';
import { sourcesNamed } from '../../tracer/program-cache.ts';

const x = tensor([1, 2, 3]);

describe('programs', () => {
  it('are one for each operation and signature', async () => {
    const before = sourcesNamed(mul.name).length;
    const y = tensor([[1, 2, 3, 4, 5]]);
    for (let i = 0; i < 3; i++) mul(y, y);
    expect(sourcesNamed(mul.name).length).toBe(before + 1);
    for (const n of [0.25, 0.5, Number.NaN, -0, 7])
      expect(await mul(y, n).array()).toEqual([[1, 2, 3, 4, 5].map((v) => v * n)]);
    expect(sourcesNamed(mul.name).length).toBe(before + 2);
  });

  it('run a composed operation as a whole', async () => {
    const y = tensor([
      [1, 2, 3],
      [1, 1, 1],
    ]);
    await softmax(y, -1).data();
    const { launches } = await profile(() => softmax(y, -1));
    expect(new Set(launches.map(({ program }) => program))).toEqual(new Set(['softmax']));
  });

  it('take lists of tensors and options', async () => {
    expect(await concat([x, x.neg()], 0).array()).toEqual([1, 2, 3, -1, -2, -3]);
    expect(sum(x, 0, { keepdims: true }).shape).toEqual([1]);
    expect(sum(x, 0, { keepdims: false }).shape).toEqual([]);
  });
});

describe('numbers', () => {
  it('take the dtype of the tensor', async () => {
    const i = tensor([1, 2], { dtype: 'int32' });
    expect(i.add(2).dtype).toBe('int32');
    expect(await add(2, i).array()).toEqual([3, 4]);
    expect(await add(1, 2).item()).toBe(3);
    expect(await where(i.greater(1), 1.5, 0).array()).toEqual([0, 1.5]);
    for (const wrong of [0.5, Number.NaN, 2 ** 31]) {
      expect(() => i.add(wrong)).toThrow(KilnError);
      expect(() => compile((t: Tensor) => t.add(wrong))(i)).toThrow(KilnError);
    }
    expect(await i.add(2).array()).toEqual([3, 4]);
  });
});

describe('order', () => {
  it('is that of the calls, also before the first compile is done', async () => {
    const y = tensor([[0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]]);
    const pending = y.add(1).mul(y).sub(0.125);
    expect(await pending.array()).toEqual([[0.625, 3.625, 8.625, 15.625, 24.625, 35.625, 48.625]]);
  });
});
