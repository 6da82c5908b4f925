/** Creation: the same tensors outside traces, where data are uploaded, and inside, where they are part of the graph. */
import { describe, expect, test } from 'vitest';
import type { Literal } from '../../ir/types.ts';
import * as k from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { evaluate } from '../support/oracle.ts';

/** A row: what makes the tensor, its dtype, its shape, its elements. */
type Row = readonly [make: () => Tensor, dtype: string, shape: readonly number[], data: readonly number[]];

const rows: Readonly<Record<string, Row>> = {
  number: [() => k.tensor(2.5), 'float32', [], [2.5]],
  boolean: [() => k.tensor(true), 'bool', [], [1]],
  nested: [
    () =>
      k.tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    'float32',
    [2, 3],
    [1, 2, 3, 4, 5, 6],
  ],
  booleans: [() => k.tensor([[true], [false]]), 'bool', [2, 1], [1, 0]],
  'numbers with booleans': [() => k.tensor([2, true]), 'float32', [2], [2, 1]],
  nothing: [() => k.tensor([]), 'float32', [0], []],
  'rows of nothing': [() => k.tensor([[], []]), 'float32', [2, 0], []],
  'a shape': [() => k.tensor([1, 2, 3, 4], { shape: [2, 2] }), 'float32', [2, 2], [1, 2, 3, 4]],
  'a dtype': [() => k.tensor([1, -2], { dtype: 'int32' }), 'int32', [2], [1, -2]],
  'numbers as bool': [() => k.tensor([0, 3, Number.NaN], { dtype: 'bool' }), 'bool', [3], [0, 1, 1]],
  bigints: [() => k.tensor([1n, -5n]), 'int32', [2], [1, -5]],
  'a BigInt64Array': [
    () => k.tensor(BigInt64Array.of(2n ** 31n - 1n, -(2n ** 31n))),
    'int32',
    [2],
    [2 ** 31 - 1, -(2 ** 31)],
  ],
  'bigints as int32': [() => k.tensor([1n, -5n], { dtype: 'int32' }), 'int32', [2], [1, -5]],
  Float32Array: [() => k.tensor(new Float32Array([1, 2])), 'float32', [2], [1, 2]],
  Int32Array: [() => k.tensor(new Int32Array([-1, 2]), { shape: [2, 1] }), 'int32', [2, 1], [-1, 2]],
  Uint32Array: [() => k.tensor(new Uint32Array([4294967295])), 'uint32', [1], [4294967295]],
  'special numbers': [
    () => k.tensor([-0, Number.NaN, Number.NEGATIVE_INFINITY]),
    'float32',
    [3],
    [-0, Number.NaN, Number.NEGATIVE_INFINITY],
  ],
  'rounded numbers': [() => k.tensor([0.1]), 'float32', [1], [Math.fround(0.1)]],
  zeros: [() => k.zeros([2, 2]), 'float32', [2, 2], [0, 0, 0, 0]],
  'no zeros': [() => k.zeros([0, 3]), 'float32', [0, 3], []],
  ones: [() => k.ones([3], { dtype: 'int32' }), 'int32', [3], [1, 1, 1]],
  'true ones': [() => k.ones([], { dtype: 'bool' }), 'bool', [], [1]],
  full: [() => k.full([2], 7), 'float32', [2], [7, 7]],
  'full of true': [() => k.full([2], true), 'bool', [2], [1, 1]],
  arange: [() => k.arange(4), 'int32', [4], [0, 1, 2, 3]],
  'arange from': [() => k.arange(2, 11, 4), 'int32', [3], [2, 6, 10]],
  'arange downwards': [() => k.arange(5, -1, -2), 'int32', [3], [5, 3, 1]],
  'arange of floats': [() => k.arange(0, 1, 0.25), 'float32', [4], [0, 0.25, 0.5, 0.75]],
  'an empty arange': [() => k.arange(3, 1), 'int32', [0], []],
  'arange as floats': [() => k.arange(1, 4, 1, { dtype: 'float32' }), 'float32', [3], [1, 2, 3]],
  linspace: [() => k.linspace(0, 1, 5), 'float32', [5], [0, 0.25, 0.5, 0.75, 1]],
  'linspace without its end': [() => k.linspace(0, 1, 4, { endpoint: false }), 'float32', [4], [0, 0.25, 0.5, 0.75]],
  'linspace of one': [() => k.linspace(3, 9, 1), 'float32', [1], [3]],
  eye: [() => k.eye(2), 'float32', [2, 2], [1, 0, 0, 1]],
  'a shifted eye': [() => k.eye(2, 3, { k: 1, dtype: 'int32' }), 'int32', [2, 3], [0, 1, 0, 0, 0, 1]],
  'an eye below': [() => k.eye(3, 2, { k: -1 }), 'float32', [3, 2], [0, 0, 1, 0, 0, 1]],
};

const same = (given: Literal, [, dtype, shape, data]: Row): void => {
  expect({ dtype: given.dtype, shape: given.shape, data: Array.from(given.data) }).toEqual({ dtype, shape, data });
};

describe.each(Object.entries(rows))('%s', (_, row) => {
  test('inside a trace', () => same(evaluate(row[0], []), row));

  test('outside', async () => {
    const made = row[0]();
    const data = await made.data();
    same({ dtype: made.dtype, shape: made.shape, data: Array.from(data, Number) }, row);
    made.dispose();
  });
});

test('like another tensor', async () => {
  const x = k.tensor([[1, 2, 3]], { dtype: 'int32' });
  expect(Array.from(await k.zerosLike(x).data())).toEqual([0, 0, 0]);
  expect(k.onesLike(x)).toMatchObject({ dtype: 'int32', shape: [1, 3] });
  expect(k.onesLike(x, { dtype: 'float32' })).toMatchObject({ dtype: 'float32', shape: [1, 3] });
  expect(Array.from(await k.fullLike(x, -4).data())).toEqual([-4, -4, -4]);
});

test('many elements inside a trace become an input of the program, few a constant', () => {
  const few = evaluate((x) => x.add(k.tensor(new Float32Array(8))), [{ dtype: 'float32', shape: [8], data: [1] }]);
  expect(few.shape).toEqual([8]);
  const many = (): unknown =>
    evaluate((x) => x.add(k.tensor(new Float32Array(5000))), [{ dtype: 'float32', shape: [5000], data: [1] }]);
  expect(many).toThrow(/number of inputs/);
});

test('an unknown device is an error', () => {
  expect(() => k.tensor([1], { device: 'abacus' })).toThrow(/unknown_device/);
});
