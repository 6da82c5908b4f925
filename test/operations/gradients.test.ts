/**
 * Gradients where compositions could go wrong: at kinks, at zeros, and far out. The rest stands in recorded.test.ts.
 */
import { describe, expect, test } from 'vitest';
import * as k from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { array, gradients } from '../support/oracle.ts';

const slope = (fn: (x: Tensor) => Tensor, data: number[]): number[] => Array.from(gradients(fn, [array(data)])[0].data);

describe('far out and at zero', () => {
  const far = [-1e30, -1e4, -104, -89, -1e-30, -0, 0, 1e-30, 89, 104, 1e4, 1e30];
  const smooth: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    sigmoid: (x) => x.sigmoid(),
    logSigmoid: (x) => x.logSigmoid(),
    silu: (x) => x.silu(),
    softplus: (x) => x.softplus(),
    softsign: (x) => x.softsign(),
    tanh: (x) => x.tanh(),
    relu: (x) => x.relu(),
    leakyRelu: (x) => x.leakyRelu(),
    elu: (x) => x.elu(),
    selu: (x) => x.selu(),
    hardtanh: (x) => x.hardtanh(),
    hardsigmoid: (x) => x.hardsigmoid(),
    asinh: (x) => x.asinh(),
    atan: (x) => x.atan(),
    gelu: (x) => x.clip(-1e4, 1e4).gelu(),
    mish: (x) => x.clip(-1e4, 1e4).mish(),
    binaryCrossEntropyWithLogits: (x) => k.binaryCrossEntropyWithLogits(x, 0.25),
    huberLoss: (x) => k.huberLoss(x, 0),
    softmax: (x) => x.softmax(),
    logSoftmax: (x) => x.logSoftmax(),
    logsumexp: (x) => x.logsumexp(),
  };
  for (const [name, fn] of Object.entries(smooth)) {
    test(`${name} has a finite slope`, () => {
      const given = slope(fn, far);
      expect(given.filter((g) => !Number.isFinite(g) || Math.abs(g) > far.length)).toEqual([]);
    });
  }

  test('rows of -inf among others give no NaN', () => {
    expect(slope((x) => x.softmax().at(1), [Number.NEGATIVE_INFINITY, 0, 0])).toEqual([-0, 0.25, -0.25]);
    expect(slope((x) => x.logsumexp(), [Number.NEGATIVE_INFINITY, 0, 0])).toEqual([0, 0.5, 0.5]);
  });
});

describe('at kinks', () => {
  test('as JAX has them', () => {
    expect(slope((x) => x.relu(), [0, -0])).toEqual([0, 0]);
    expect(slope((x) => x.relu6(), [0, 6])).toEqual([0, 0.5]);
    expect(slope((x) => x.softplus(), [0])).toEqual([0.5]);
    expect(slope((x) => x.sigmoid(), [0])).toEqual([0.25]);
    expect(slope((x) => x.leakyRelu({ negativeSlope: 0.25 }), [0])).toEqual([1]);
    expect(slope((x) => x.elu(), [0])).toEqual([1]);
    expect(slope((x) => x.max(), [2, 1, 2])).toEqual([0.5, 0, 0.5]);
    expect(slope((x) => x.clip(0, 1), [0, 1, 0.5, 2])).toEqual([0.5, 0.5, 1, 0]);
    expect(slope((x) => k.logaddexp(x, x), [1, Number.POSITIVE_INFINITY])).toEqual([1, 2]);
  });

  test('the 2-norm of nothing but zeros has slope 0', () => {
    expect(slope((x) => x.vectorNorm(), [0, 0])).toEqual([0, 0]);
    expect(slope((x) => x.vectorNorm(), [3, 4])).toEqual([expect.closeTo(3 / 5), expect.closeTo(4 / 5)]);
  });

  test('small integer powers are products, with slopes for any base', () => {
    expect(slope((x) => x.pow(2), [-3, 0, 2])).toEqual([-6, 0, 4]);
    expect(slope((x) => x.pow(3), [-2, 0])).toEqual([12, 0]);
    expect(slope((x) => x.pow(0), [-2, 0])).toEqual([0, 0]);
  });

  test('the side of a where that is not taken has no part', () => {
    expect(slope((x) => k.where(x.greater(0), x.log(), 0), [2, 4])).toEqual([0.5, 0.25]);
    expect(slope((x) => x.stopGradient().mul(x), [3])).toEqual([3]);
  });
});

describe('of reads and writes by position', () => {
  test('positions that repeat add up, positions out of range get nothing', () => {
    const indices = (): Tensor => k.tensor([0, 2, 0, -1, 9], { dtype: 'int32' });
    expect(slope((x) => x.take(indices()).slice([0, 4]), [5, 6, 7])).toEqual([2, 0, 2]);
    expect(slope((x) => x.take(indices(), 0, { mode: 'clamp' }), [5, 6, 7])).toEqual([2, 0, 3]);
    expect(slope((x) => k.zeros([3]).indexAdd(indices(), x), [1, 1, 1, 1, 1])).toEqual([1, 1, 1, 1, 0]);
  });

  test('a moved window keeps its place', () => {
    const start = (): Tensor => k.tensor(2, { dtype: 'int32' });
    expect(slope((x) => x.dynamicSlice([start()], [2]), [1, 2, 3])).toEqual([0, 1, 1]);
    expect(slope((x) => x.dynamicUpdateSlice(k.zeros([1]), [start()]), [1, 2, 3])).toEqual([1, 1, 0]);
    expect(slope((x) => x.at(start()), [1, 2, 3])).toEqual([0, 0, 1]);
    expect(slope((x) => x.at(-3), [1, 2, 3])).toEqual([1, 0, 0]);
  });
});
