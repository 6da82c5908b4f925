/**
 * What sorting promises beyond recorded values: symbolic sizes, gradients, kernels shared, errors; see
 * recorded.test.ts.
 */
import { afterAll, expect, test } from 'vitest';
import * as k from '../../index.ts';

afterAll(() => k.shutdown());

test('sizes may be symbols', async () => {
  const T = k.dim('T', { min: 3, max: 4096 });
  const both = k.compile((x: k.Tensor) => [x.sort(0), ...x.topk(3, 0), x.median(0)] as const);
  await both.warmup(k.spec([T, 2], 'float32'));
  for (const size of [3, 8, 100]) {
    const rows = Array.from({ length: size }, (_, i) => [(i * 7) % size, 5 - i]);
    const [sorted, values, positions, middle] = both(k.tensor(rows));
    expect(await sorted.array()).toEqual(rows.map((_, i) => [i, i - size + 6]));
    expect(await values.array()).toEqual([0, 1, 2].map((i) => [size - 1 - i, 5 - i]));
    expect([...(await positions.data())].filter((_, i) => i % 2 === 1)).toEqual([0, 1, 2]);
    expect(await middle.array()).toEqual([(size - 1) / 2, 5 - (size - 1) / 2]);
  }
  expect(both.stats().compiles).toBe(1);
});

test('values and positions of a row are sorted once, with what comes before and after in one kernel', () => {
  const top = k.compile((x: k.Tensor) => {
    const [values, positions] = x.mul(2).exp().topk(4);
    return [values.add(1), positions] as const;
  });
  const { kernels } = top.lower(k.spec([16, 100], 'float32'));
  expect(kernels.toString().match(/kernel /g)).toHaveLength(1);
  expect(kernels.toString().match(/sort /g)).toHaveLength(1);
});

test('a softmax over sorted rows is one kernel with the sort', () => {
  const { kernels } = k.compile((x: k.Tensor) => x.sort(-1).softmax(-1)).lower(k.spec([16, 100], 'float32'));
  expect(kernels.toString().match(/kernel /g)).toHaveLength(1);
});

test('a sort that other rows read is stored', () => {
  const { refusals } = k.compile((x: k.Tensor) => x.sort(-1).cos().sum(0)).explain(k.spec([64, 2048], 'float32'));
  expect(refusals.map(({ rule }) => rule)).toContain('other-rows');
});

test('gradients go back through ties, slices and to both operands of a sum of sorts', async () => {
  const f = (x: k.Tensor): k.Tensor =>
    x
      .sort(1)
      .mul(k.tensor([1, 2, 3]))
      .sum();
  expect(
    await k
      .grad(f)(
        k.tensor([
          [5, 1, 5],
          [2, 2, 2],
        ]),
      )
      .array(),
  ).toEqual([
    [2, 1, 3],
    [1, 2, 3],
  ]);
  const g = (x: k.Tensor): k.Tensor => x.topk(2, 0)[0].square().sum();
  expect(
    await k
      .grad(g)(k.tensor([3, -1, 4, 1]))
      .array(),
  ).toEqual([6, 0, 8, 0]);
  const h = (x: k.Tensor): k.Tensor =>
    k
      .grad((y: k.Tensor) => y.sort().mul(y).square().sum())(x)
      .sum();
  k.checkGrads(h, [k.tensor([0.3, -0.5, 1.5])]);
});

test('positions put another tensor in order', async () => {
  const [keys, names] = [k.tensor([[3, 1, 2]]), k.tensor([[30, 10, 20]])];
  expect(await names.takeAlongAxis(keys.argsort()).array()).toEqual([[10, 20, 30]]);
});

test('what can not be sorted is said', () => {
  const x = k.zeros([2, 3]);
  expect(() => x.sort(2)).toThrow('axis out of range');
  expect(() => k.tensor(1).sort()).toThrow('at least one axis');
  expect(() => x.topk(4)).toThrow('more elements than the axis has');
  expect(() => x.topk(-1)).toThrow('not a size');
  expect(() => x.quantile(1.5)).toThrow('not a fraction');
  expect(() => k.zeros([0]).median()).toThrow('no elements');
});
