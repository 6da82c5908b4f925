/**
 * float16 and bfloat16: storage of every pattern and rounding of any number, promotion, and what ops round where. Ops
 * themselves are held to the evaluator with all others (test/end-to-end).
 */
import { afterAll, describe, expect, test } from 'vitest';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../../base/half.ts';
import * as k from '../../index.ts';
import { Random } from '../../ir/ops/random.ts';

afterAll(() => k.shutdown());

const formats = [
  ['float16', decodeFloat16, encodeFloat16],
  ['bfloat16', decodeBfloat16, encodeBfloat16],
] as const;

const bitsOf = async (x: k.Tensor): Promise<Uint16Array> => new Uint16Array((await x.bytes()).buffer);

/** Where two long arrays are not the same. */
const differences = (given: ArrayLike<number>, expected: ArrayLike<number>): string[] =>
  Array.from(expected)
    .map((value, i) => (Object.is(given[i], value) ? '' : `${i}: ${given[i]} instead of ${value}`))
    .filter((text) => text !== '')
    .slice(0, 5);

describe.each(formats)('%s', (dtype, decode, encode) => {
  const patterns = Float32Array.from({ length: 65536 }, (_, bits) => decode(bits));

  test('every pattern is widened to its number, and stored again as it was', async () => {
    const stored = k.tensor(patterns, { dtype });
    expect(differences(await stored.data(), patterns)).toEqual([]);
    expect(differences(await stored.astype('float32').data(), patterns)).toEqual([]);
    expect(differences(await stored.astype('float32').astype(dtype).data(), patterns)).toEqual([]);
  });

  test.each(['fast', 'strict'] as const)(
    'any float32 is rounded to the nearest, ties to even: %s',
    async (precision) => {
      const random = new Random(5);
      const numbers = new Float32Array(40_000);
      const words = new Uint32Array(numbers.buffer);
      for (let i = 0; i < words.length; i++) words[i] = random.next() * 2 ** 32;
      for (let i = 0; i < 20_000; i++) {
        // Ties, their neighbours, and the numbers of the format.
        const [low, high] = [decode(i), decode(i + 1)];
        numbers[2 * i] = (low + high) / 2;
        if (i % 3 > 0) words[2 * i] += i % 3 === 1 ? 1 : -1;
      }
      const round = k.compile((x: k.Tensor) => [x.astype(dtype), x.astype(dtype).astype('float32')] as const, {
        precision,
      });
      const [stored, wide] = round(k.tensor(numbers));
      const expected = Uint16Array.from(numbers, encode);
      const isNumber = (_: unknown, i: number): boolean => !Number.isNaN(numbers[i]);
      expect((await bitsOf(stored)).filter(isNumber)).toEqual(expected.filter(isNumber));
      expect(await wide.data()).toEqual(Float32Array.from(expected, decode));
    },
  );

  test('the end of a row, lanes apart and single elements', async () => {
    const x = k.tensor(patterns.subarray(15000, 15000 + 7 * 13), { dtype, shape: [7, 13] });
    const wide = (await x.astype('float32').array()) as number[][];
    expect(await x.T.astype('float32').array()).toEqual(wide[0].map((_, j) => wide.map((row) => row[j])));
    expect(await x.slice(1, 3).item()).toBe(wide[1][3]);
    expect(await x.T.array()).toEqual(wide[0].map((_, j) => wide.map((row) => row[j])));
    expect(await x.indexAdd(k.tensor([2], { dtype: 'int32' }), k.zeros([1, 13], { dtype })).array()).toEqual(wide);
  });

  test('ops are rounded one by one in strict', async () => {
    const x = k.tensor([1, 3, 0.1, 1000], { dtype });
    const both = k.compile((x: k.Tensor) => x.div(3).mul(3).sub(x), { precision: 'strict' });
    const values = [...(await x.data())];
    const round = (value: number): number => decode(encode(value));
    const expected = values.map((v) => round(round(round(v / 3) * 3) - v));
    expect([...(await both(x).data())]).toEqual(expected);
  });

  test('sums are taken in float32, and rounded once', async () => {
    const ones = k.ones([4096], { dtype });
    expect(await ones.sum().item()).toBe(4096);
    expect(await ones.reshape([1, 4096]).matmul(ones).item()).toBe(4096);
    expect(await k.full([300], 300, { dtype }).mean().item()).toBe(300);
    expect(await k.full([100], 200, { dtype }).vectorNorm().item()).toBe(2000);
    expect(await k.arange(0, 3001, 1).div(3000).astype(dtype).quantile(0.75).item()).toBe(0.75);
  });

  test('creation, display and gradients', async () => {
    expect(k.arange(0, 3, 1, { dtype }).dtype).toBe(dtype);
    expect(String(k.linspace(0, 1, 3, { dtype }))).toBe('[0.  0.5 1. ]');
    expect(String(k.full([2], 0.5, { dtype }))).toBe('[0.5 0.5]');
    const x = k.tensor([1.5, -2], { dtype });
    const gradient = k.grad((y: k.Tensor) => y.square().sum())(x);
    expect(gradient.dtype).toBe(dtype);
    expect([...(await gradient.data())]).toEqual([3, -4]);
    expect((await x.data()).constructor).toBe(Float32Array);
    expect((await x.bytes()).length).toBe(4);
    expect([...(await x.sort().data())]).toEqual([-2, 1.5]);
  });
});

test('results are in the dtypes of JAX', () => {
  const [half, brain] = [k.ones([2], { dtype: 'float16' }), k.ones([2], { dtype: 'bfloat16' })];
  expect(half.add(brain).dtype).toBe('float32');
  expect(half.add(k.ones([2])).dtype).toBe('float32');
  expect(half.mul(2).dtype).toBe('float16');
  expect(brain.add(k.ones([2], { dtype: 'int32' })).dtype).toBe('bfloat16');
  expect([half.sum(), half.mean(), half.exp(), half.greater(0)].map(({ dtype }) => dtype)).toEqual([
    'float16',
    'float16',
    'float16',
    'bool',
  ]);
});

test.each(formats)('few rows times weights of %s, read where they are', async (dtype) => {
  const elements = (count: number, step: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * step));
  const product = k.compile((x: k.Tensor, w: k.Tensor) => x.matmul(w), { precision: 'strict' });
  for (const [rows, depth, columns] of [
    [1, 300, 1030],
    [3, 17, 45],
    [7, 260, 513],
  ]) {
    const x = k.tensor(elements(rows * depth, 0.7), { shape: [rows, depth] });
    const w = k.tensor(elements(depth * columns, 0.3), { shape: [depth, columns], dtype });
    const expected = await product(x, w.astype('float32')).data();
    expect(await product(x, w).data()).toEqual(expected);
    expect(await product(x, w.T.add(0).T).data()).toEqual(expected);
  }
});

test('weights in 16 bits are widened inside the product, and only their bytes are moved', async () => {
  const x = k.tensor(
    Float32Array.from({ length: 37 * 66 }, (_, i) => Math.sin(i)),
    { shape: [37, 66] },
  );
  for (const [dtype] of formats) {
    const w = k.tensor(
      Float32Array.from({ length: 66 * 50 }, (_, i) => Math.cos(i)),
      { shape: [66, 50], dtype },
    );
    const product = k.compile((x: k.Tensor, w: k.Tensor) => x.matmul(w));
    const { kernels, bytesMoved } = product.explain(x, w);
    expect([kernels, bytesMoved]).toEqual([1, 4 * 37 * 66 + 2 * 66 * 50 + 4 * 37 * 50]);
    expect(await product(x, w).data()).toEqual(await x.matmul(w.astype('float32')).data());
  }
});
