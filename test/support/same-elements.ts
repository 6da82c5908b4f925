/**
 * That two ways of computing the same give the same bits; on WebGPU, where the order of a sum and what is rounded are up
 * to each kernel, nearly the same.
 *
 *     await expectSameElements(compile(checkpointed)(x), compile(plain)(x))
 */
import { expect } from 'vitest';
import { type Tensor, tree } from '../../index.ts';
import { isOnWebgpu } from './target.ts';

/** The float32 tensors of a tree. */
const elementsOf = (value: unknown): Promise<Float32Array[]> =>
  Promise.all(tree.leaves(value as Tensor[]).map((leaf) => (leaf as Tensor<'float32'>).data()));

/** Every element as bits. */
const bitsOf = (arrays: readonly Float32Array[]): number[][] =>
  arrays.map((data) => [...new Uint32Array(data.buffer, data.byteOffset, data.length)]);

export async function expectSameElements(given: unknown, expected: unknown): Promise<void> {
  const [a, b] = [await elementsOf(given), await elementsOf(expected)];
  expect(a.map(({ length }) => length)).toEqual(b.map(({ length }) => length));
  if (!isOnWebgpu) expect(bitsOf(a)).toEqual(bitsOf(b));
  for (const [i, data] of a.entries()) {
    const [differences, sizes] = [data.map((x, at) => Math.abs(x - b[i][at])), b[i].map(Math.abs)];
    const [most, greatest] = [differences, sizes].map((values) => values.reduce((a, v) => Math.max(a, v), 0));
    expect(most).toBeLessThanOrEqual(1e-5 * greatest);
  }
}
