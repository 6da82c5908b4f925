/** Dtypes of results, plain numbers among operands, and methods: what an operation is beside its values. */
import { describe, expect, expectTypeOf, test } from 'vitest';
import { type DType, dtypes, promoteTypes } from '../../base/dtype.ts';
import * as k from '../../tracer/operations/index.ts';
import { Tensor } from '../../tracer/tensor.ts';
import { array, evaluate, resultTypes, values } from '../support/oracle.ts';

type Body = (x: Tensor, y: Tensor) => Tensor;

const dtypeOf = (body: Body, x: DType, y: DType = x): DType =>
  resultTypes(
    body as (...inputs: Tensor[]) => Tensor,
    [x, y].map((dtype) => ({ dtype, shape: [2] })),
  )[0].dtype;

const computed: readonly DType[] = ['float32', 'int32', 'uint32', 'bool'];

describe('dtypes', () => {
  test('operands promote as JAX promotes', () => {
    for (const x of dtypes) {
      for (const y of dtypes) {
        if (promoteTypes(x, y) === 'bool') continue;
        expect(dtypeOf((a, b) => a.add(b), x, y)).toBe(promoteTypes(x, y));
        expect(dtypeOf((a, b) => k.where(a, a, b), x, y)).toBe(promoteTypes(x, y));
      }
    }
  });

  test('true division and float functions give floats, comparisons bool, positions int32', () => {
    for (const dtype of computed) {
      for (const body of [
        (x, y) => x.div(y),
        (x) => x.exp(),
        (x) => x.mean(),
        (x) => x.sigmoid(),
        (x) => x.softmax(),
        (x) => x.std(),
      ] as Body[]) {
        expect(dtypeOf(body, dtype)).toBe('float32');
      }
      for (const body of [
        (x, y) => x.less(y),
        (x) => x.isnan(),
        (x) => x.any(),
        (x, y) => x.logicalAnd(y),
        (x) => x.logicalNot(),
      ] as Body[]) {
        expect(dtypeOf(body, dtype)).toBe('bool');
      }
      expect(dtypeOf((x) => x.argmax(), dtype)).toBe('int32');
      expect(dtypeOf((x) => x.countNonzero(), dtype)).toBe('int32');
    }
    expect(dtypeOf((x) => x.div(2), 'float16')).toBe('float16');
  });

  test('sums of bool are int32; everything else keeps its dtype', () => {
    const sums: Record<string, DType> = { float32: 'float32', int32: 'int32', uint32: 'uint32', bool: 'int32' };
    for (const dtype of computed) {
      expect(dtypeOf((x) => x.sum(), dtype)).toBe(sums[dtype]);
      expect(dtypeOf((x) => x.cumulativeSum(), dtype)).toBe(sums[dtype]);
      for (const body of [
        (x) => x.max(),
        (x) => x.reshape([1, 2]),
        (x) => x.flip(),
        (x) => x.slice([1]),
        (x) => x.pad(1),
      ] as Body[]) {
        expect(dtypeOf(body, dtype)).toBe(dtype);
      }
    }
  });

  test('are known to the type checker', () => {
    const check = (f: Tensor<'float32'>, i: Tensor<'int32'>, b: Tensor<'bool'>): void => {
      expectTypeOf(f.add(1)).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(i.add(i)).toEqualTypeOf<Tensor<'int32'>>();
      expectTypeOf(i.div(2)).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(i.exp()).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(b.sum()).toEqualTypeOf<Tensor<'int32'>>();
      expectTypeOf(f.greater(0)).toEqualTypeOf<Tensor<'bool'>>();
      expectTypeOf(f.reshape([-1]).T).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(f.argmax()).toEqualTypeOf<Tensor<'int32'>>();
      expectTypeOf(i.astype('float32')).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(k.tensor([[1, 2]])).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(k.tensor([true])).toEqualTypeOf<Tensor<'bool'>>();
      expectTypeOf(k.tensor(new Int32Array(2))).toEqualTypeOf<Tensor<'int32'>>();
      expectTypeOf(k.tensor([1], { dtype: 'uint32' })).toEqualTypeOf<Tensor<'uint32'>>();
      expectTypeOf(k.zeros([2])).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(k.concat([f, f])).toEqualTypeOf<Tensor<'float32'>>();
      expectTypeOf(k.random.key(0)).toEqualTypeOf<Tensor<'uint32'>>();
    };
    expect(check).toBeTypeOf('function');
  });
});

describe('plain numbers', () => {
  test('take the dtype of the tensor', () => {
    expect(dtypeOf((x) => x.add(1), 'int32')).toBe('int32');
    expect(dtypeOf((x) => x.mul(2), 'uint32')).toBe('uint32');
    expect(dtypeOf((x) => k.subtract(1, x), 'float32')).toBe('float32');
    expect(dtypeOf((x) => x.div(2), 'int32')).toBe('float32');
    expect(dtypeOf((x) => x.logicalAnd(true), 'bool')).toBe('bool');
    expect(values((x) => k.subtract(10, x), array([1, 2.5]))).toEqual([9, 7.5]);
    expect(values((x) => k.divide(1, x), array([4, 8], 'int32'))).toEqual([0.25, 0.125]);
    expect(values((x) => x.div(0.5), array([4, 8], 'int32'))).toEqual([8, 16]);
    expect(values((c) => k.where(c, 1, 0), array([true, false]))).toEqual([1, 0]);
  });

  test('alone are float32, booleans bool', () => {
    expect(evaluate(() => k.maximum(1, 2), [])).toMatchObject({ dtype: 'float32', shape: [] });
    expect(evaluate(() => k.logicalOr(true, false), [])).toMatchObject({ dtype: 'bool', shape: [] });
  });
});

describe('methods', () => {
  const notMethods = new Set(['where', 'tensor', 'zeros', 'ones', 'full', 'arange', 'linspace', 'eye']);

  test('are the functions of their names with the tensor first', () => {
    const x = array([
      [0.5, -0.25],
      [0.75, 0.125],
    ]);
    let compared = 0;
    for (const [name, operation] of Object.entries(k)) {
      const method = (Tensor.prototype as unknown as Record<string, unknown>)[name];
      if (notMethods.has(name) || typeof operation !== 'function' || typeof method !== 'function') continue;
      const unary = operation as (t: Tensor) => Tensor;
      const asFunction = (): unknown => evaluate((t) => unary(t), [x]);
      let expected: unknown;
      try {
        expected = asFunction();
      } catch {
        continue; // It needs more than one tensor.
      }
      expect(
        evaluate((t) => (t as unknown as Record<string, () => Tensor>)[name](), [x]),
        name,
      ).toEqual(expected);
      compared++;
    }
    expect(compared).toBeGreaterThan(60);
  });

  test('where keeps the tensor where the condition holds, T and mT are properties', () => {
    const x = array([
      [1, -2],
      [3, -4],
    ]);
    expect(values((t) => t.where(t.greater(0), 0), x)).toEqual([1, 0, 3, 0]);
    expect(values((t) => t.T, x)).toEqual([1, 3, -2, -4]);
    expect(values((t) => t.mT, x)).toEqual([1, 3, -2, -4]);
    expect(values((t) => t.sub(1).mul(2).div(4).neg(), x)).toEqual([-0, 1.5, -1, 2.5]);
  });

  test('do not show up when a tensor is enumerated', () => {
    expect(Object.keys(Tensor.prototype)).toEqual([]);
  });
});
