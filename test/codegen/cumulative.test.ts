/** Running sums and products from the graph to WASM: against the evaluator, and bit for bit against the interpreter. */
import { describe, expect, it } from 'vitest';
import { compile, cumulativeProd, cumulativeSum, flip, grad, type Tensor, tensor } from '../../index.ts';

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const data = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: count(shape) }, (_, i) => Math.fround(Math.sin(i * 12.9898 + 1)));

/**
 * In order within blocks of 1024, or of 1008 where a long axis has few others beside it; blocks before an element and
 * its own apart.
 */
function running(
  shape: readonly number[],
  axis: number,
  x: Float32Array,
  combine: (a: number, b: number) => number,
  one: number,
) {
  const result = new Float32Array(x.length);
  const stride = count(shape.slice(axis + 1));
  const block = shape[axis] > 4096 && x.length / shape[axis] < 64 ? 1008 : 1024;
  for (let start = 0; start < x.length; start++) {
    if (Math.floor(start / stride) % shape[axis] !== 0) continue;
    let [blocks, inner] = [one, one];
    for (let i = 0; i < shape[axis]; i++) {
      if (i % block === 0) [blocks, inner] = [Math.fround(combine(blocks, inner)), one];
      inner = Math.fround(combine(inner, x[start + i * stride]));
      result[start + i * stride] = combine(blocks, inner);
    }
  }
  return result;
}

const kinds = [
  { name: 'sum', run: cumulativeSum, combine: (a: number, b: number) => a + b, one: 0 },
  { name: 'product', run: cumulativeProd, combine: (a: number, b: number) => a * b, one: 1 },
];

describe('running combinations', () => {
  const shapes = [
    [1],
    [9],
    [1023],
    [1025],
    [3079],
    [5, 7],
    [6, 1030],
    [1030, 6],
    [3, 5, 9],
    [40, 20],
    [4100],
    [3, 5120],
    [5001, 2],
    [2, 2100, 3],
  ];
  for (const { name, run, combine, one } of kinds)
    it(`${name} along any axis`, async () => {
      for (const shape of shapes)
        for (const axis of shape.keys()) {
          const values = data(shape).map((v) => (name === 'product' ? 1 + v / 64 : v));
          const x = tensor(values, { shape });
          const result = await compile((t: Tensor) => run(t, axis), { precision: 'strict' })(x).data();
          const expected = running(shape, axis, values, combine, one);
          expect([...result], `${shape} along ${axis}`).toEqual([...expected]);
        }
    });

  it('of integers wrap', async () => {
    const x = tensor([2 ** 31 - 1, 1, 5], { dtype: 'int32' });
    expect([...(await cumulativeSum(x).data())]).toEqual([2 ** 31 - 1, -(2 ** 31), -(2 ** 31) + 5]);
  });

  it('compute before and after in one kernel, from either end', async () => {
    const shape = [12, 33];
    const x = tensor(data(shape), { shape });
    const fn = (t: Tensor): Tensor => flip(cumulativeSum(flip(t.mul(2), 1), 1), 1).add(t.max(1, { keepdims: true }));
    const compiled = compile(fn, { precision: 'strict' });
    expect(compiled.explain(x).kernels).toBeLessThanOrEqual(2);
    expect([...(await compiled(x).data())]).toEqual([...(await fn(x).data())]);
  });

  it('have gradients, with zeros among the factors', async () => {
    const x = tensor([1, 0, 2, 3]);
    const product = grad((t: Tensor) => cumulativeProd(t).sum());
    expect([...(await product(x).data())]).toEqual([1, 9, 0, 0]);
    const sum = grad((t: Tensor) =>
      cumulativeSum(t)
        .mul(tensor([1, 10, 100, 1000]))
        .sum(),
    );
    expect([...(await sum(x).data())]).toEqual([1111, 1110, 1100, 1000]);
  });
});
