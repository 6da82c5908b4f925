/**
 * Products with weights of 8 bits: dequantised where they are read, never stored as floats. Counted in kernels and
 * bytes, and equal in every bit to the product with weights that were dequantised before.
 */
import { describe, expect, test } from 'vitest';
import { compile, grad, type Tensor, tensor } from '../../index.ts';

const [rows, depth, columns] = [37, 66, 50];

const int8 = (shape: readonly number[]) =>
  tensor(
    Int8Array.from({ length: shape[0] * shape[1] }, (_, i) => ((i * 89) % 256) - 128),
    { shape },
  );
const floats = (shape: readonly number[]) => {
  const length = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length }, (_, i) => Math.sin(i + 1)),
    { shape },
  );
};

const weights = int8([depth, columns]);
const scale = floats([columns]);
const zero = floats([columns]).mul(10).astype('int8');
const x = floats([rows, depth]);

type Dequantise = (w: Tensor, scale: Tensor, zero: Tensor) => Tensor;

const ways: Readonly<Record<string, Dequantise>> = {
  'zero points as floats': (w, s, z) => w.astype('float32').sub(z).mul(s),
  'zero points in 16 bits': (w, s, z) => w.astype('int16').sub(z).astype('float32').mul(s),
  'a scale alone': (w, s) => w.astype('float32').mul(s),
};

describe.each(Object.entries(ways))('%s', (_, dequantise) => {
  test('one kernel that moves the bytes of the weights once', async () => {
    const product = compile((x: Tensor, w: Tensor, s: Tensor, z: Tensor) => x.matmul(dequantise(w, s, z)));
    const { kernels, bytesMoved } = product.explain(x, weights, scale, zero);
    const most = 4 * rows * depth + depth * columns + 4 * columns + columns + 4 * rows * columns;
    expect(kernels).toBe(1);
    expect(bytesMoved).toBeLessThanOrEqual(most);
    const before = x.matmul(dequantise(weights, scale, zero));
    expect(await product(x, weights, scale, zero).data()).toEqual(await before.data());
  });

  test('so is the gradient of the other factor', async () => {
    const loss = (x: Tensor, w: Tensor, s: Tensor, z: Tensor): Tensor => x.matmul(dequantise(w, s, z)).sum();
    const gradient = compile(grad(loss));
    expect(gradient.explain(x, weights, scale, zero).bytesMoved).toBeLessThan(4 * depth * columns + 4 * rows * depth);
    const sums = await dequantise(weights, scale, zero).sum(1).data();
    const found = await gradient(x, weights, scale, zero).data();
    for (let i = 0; i < found.length; i++) expect(Number(found[i])).toBeCloseTo(Number(sums[i % depth]), 2);
  });
});

test('weights of a layer as torch stores them: outputs first', async () => {
  const stored = int8([columns, depth]);
  const layer = (x: Tensor, w: Tensor, s: Tensor): Tensor =>
    x.matmul(w.astype('float32').mul(s.reshape([columns, 1])).mT);
  const compiled = compile(layer);
  expect(compiled.explain(x, stored, scale).kernels).toBe(1);
  expect(await compiled(x, stored, scale).data()).toEqual(await layer(x, stored, scale).data());
});

test('products of integers stay in their dtype and wrap', async () => {
  const [a, b] = [int8([20, 32]), int8([32, 24])];
  const product = compile((a: Tensor, b: Tensor) => a.matmul(b))(a, b);
  const wide = a.astype('int32').matmul(b.astype('int32'));
  expect(product.dtype).toBe('int8');
  expect(await product.data()).toEqual(await wide.astype('int8').data());
});
