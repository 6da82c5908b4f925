/**
 * Operations on integers of 8 and 16 bits, compared with NumPy: all pairs of 256 numbers, by digests that
 * record-narrow.py writes. Positions in such dtypes, whose range may be less than the size they point into.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as k from '../../index.ts';

type Narrow = 'int8' | 'uint8' | 'int16' | 'uint16';

const recorded = JSON.parse(readFileSync(new URL('narrow.json', import.meta.url), 'utf8')) as Readonly<
  Record<Narrow, Readonly<Record<string, string>>>
>;

const digest = async (x: k.Tensor): Promise<string> => {
  const { buffer, byteOffset, byteLength } = (await x.data()) as Uint8Array;
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
    .slice(0, 16);
};

type Binary = (x: k.Tensor, y: k.Tensor) => k.Tensor;
type Unary = (x: k.Tensor) => k.Tensor;

const odd = (y: k.Tensor): k.Tensor => y.bitwiseOr(1);

const binary: Readonly<Record<string, Binary>> = {
  add: k.add,
  subtract: k.subtract,
  multiply: k.multiply,
  floorDivide: (x, y) => k.floorDivide(x, odd(y)),
  remainder: (x, y) => k.remainder(x, odd(y)),
  maximum: k.maximum,
  minimum: k.minimum,
  bitwiseAnd: k.bitwiseAnd,
  bitwiseOr: k.bitwiseOr,
  bitwiseXor: k.bitwiseXor,
  bitwiseLeftShift: k.bitwiseLeftShift,
  bitwiseRightShift: k.bitwiseRightShift,
  less: k.less,
};

const unary: Readonly<Record<string, Unary>> = {
  abs: k.abs,
  negative: k.negative,
  sign: k.sign,
  square: k.square,
  bitwiseInvert: k.bitwiseInvert,
  sum: (x) => k.sum(x),
  prod: (x) => k.prod(odd(x)),
  max: (x) => k.max(x),
  min: (x) => k.min(x),
  argmax: (x) => k.argmax(x),
  cumulativeSum: (x) => k.cumulativeSum(x),
  ...Object.fromEntries(
    (['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'float32', 'bool'] as const).map((to): [string, Unary] => [
      to,
      (x) => x.astype(to),
    ]),
  ),
};

describe.each(['int8', 'uint8', 'int16', 'uint16'] as const)('%s', (dtype) => {
  const step = dtype.endsWith('t8') ? 1 : 257;
  const line = k.tensor(Int32Array.from({ length: 256 }, (_, i) => i * step)).astype(dtype);

  test('all pairs, as NumPy has them', async () => {
    const all = k.compile((x: k.Tensor, y: k.Tensor) => Object.values(binary).map((f) => f(x, y)));
    const results = all(line.reshape([256, 1]), line.reshape([1, 256]));
    const names = Object.keys(binary);
    const found = Object.fromEntries(await Promise.all(results.map(async (r, i) => [names[i], await digest(r)])));
    expect(found).toEqual(Object.fromEntries(names.map((name) => [name, recorded[dtype][name]])));
  });

  test('functions, reductions and conversions, as NumPy has them', async () => {
    const all = k.compile((x: k.Tensor) => Object.values(unary).map((f) => f(x)));
    const results = all(line);
    const names = Object.keys(unary);
    const found = Object.fromEntries(await Promise.all(results.map(async (r, i) => [names[i], await digest(r)])));
    expect(found).toEqual(Object.fromEntries(names.map((name) => [name, recorded[dtype][name]])));
  });

  test('typed arrays go in and come out', async () => {
    const data = await line.data();
    expect(k.tensor(data).dtype).toBe(dtype);
    expect(await k.tensor(data).data()).toEqual(data);
  });
});

const elements = async (x: k.Tensor): Promise<number[]> => Array.from(await x.data(), Number);

test('floats saturate', async () => {
  const x = k.tensor([-1e9, -129, -0.9, Number.NaN, 127.9, 300, 1e9]);
  expect(await elements(x.astype('int8'))).toEqual([-128, -128, 0, 0, 127, 127, 127]);
  expect(await elements(x.astype('uint8'))).toEqual([0, 0, 0, 0, 127, 255, 255]);
  expect(await elements(x.astype('int16'))).toEqual([-32768, -129, 0, 0, 127, 300, 32767]);
});

test('results are in the dtypes of JAX', () => {
  const [a, b] = [k.tensor(new Int8Array([1, 2])), k.tensor(new Uint8Array([3, 4]))];
  expect(a.add(b).dtype).toBe('int16');
  expect(a.add(1).dtype).toBe('int8');
  expect(a.mul(k.tensor([0.5, 0.5])).dtype).toBe('float32');
  expect([a.sum(), b.sum(), a.mean(), a.cumulativeSum()].map(({ dtype }) => dtype)).toEqual([
    'int32',
    'uint32',
    'float32',
    'int8',
  ]);
  expect(() => a.add(300)).toThrow('from -128 to 127');
});

test('arange counts as far as the dtype goes, traced or not', async () => {
  for (const make of [
    () => k.arange(250, 256, 2, { dtype: 'uint8' }),
    () => k.arange(5, -1, -1, { dtype: 'uint8' }),
    () => k.arange(-128, 128, 100, { dtype: 'int8' }),
  ]) {
    expect(
      await k
        .compile(() => make())()
        .data(),
    ).toEqual(await make().data());
  }
  const tooFar = (): k.Tensor => k.arange(250, 258, 1, { dtype: 'uint8' });
  expect(tooFar).toThrow('from 0 to 255');
  expect(() => k.compile(() => tooFar())()).toThrow('from 0 to 255');
});

test('positions of few bits reach only so far, but count from the end of any axis', async () => {
  const at = k.tensor(new Int8Array([-1, 100, -128]));
  expect(await elements(k.arange(1000).take(at))).toEqual([999, 100, 872]);
  const classes = k.tensor(new Uint8Array([255, 3]));
  expect(await elements(classes.oneHot(300).argmax(-1))).toEqual([255, 3]);
  expect(await elements(k.nllLoss(k.zeros([2, 300]).sub(1), classes).reshape([1]))).toEqual([1]);
});

describe('products', () => {
  const [m, n, depth] = [13, 21, 300];
  const values = (count: number, seed: number): number[] => Array.from({ length: count }, (_, i) => (i * seed) % 256);
  const given = (dtype: 'int8' | 'uint8', shape: number[], seed: number): k.Tensor => {
    const numbers = values(shape[0] * shape[1], seed);
    const data = dtype === 'int8' ? Int8Array.from(numbers) : Uint8Array.from(numbers);
    return k.tensor(data, { shape });
  };

  test.each(['int8', 'uint8'] as const)('of %s are exact as int32, and wrap without being told', async (dtype) => {
    const [x, y] = [given(dtype, [m, depth], 7919), given(dtype, [depth, n], 104729)];
    const [a, b] = [Array.from(await x.data(), Number), Array.from(await y.data(), Number)];
    const expected = Array.from({ length: m * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let sum = 0;
      for (let d = 0; d < depth; d++) sum += a[i * depth + d] * b[d * n + j];
      return sum;
    });
    const wide = k.compile((p: k.Tensor, q: k.Tensor) => k.matmul(p, q, { dtype: 'int32' }));
    expect(Array.from(await wide(x, y).data())).toEqual(expected);
    expect(Array.from(await x.T.T.matmul(y, { dtype: 'int32' }).data())).toEqual(expected);
    const all = { contract: [[1], [0]], dtype: 'int32' } as const;
    expect(Array.from(await k.dotGeneral(x, y, all).data())).toEqual(expected);
    const wrapped = dtype === 'int8' ? Int8Array.from(expected) : Uint8Array.from(expected);
    expect(await k.matmul(x, y).data()).toEqual(wrapped);
  });
});
