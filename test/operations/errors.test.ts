/** Bad arguments: each gives its code, names the operation and says what was given. */
import { describe, expect, test } from 'vitest';
import type { Dim } from '../../base/dim.ts';
import { dim } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { type ErrorCode, KilnError } from '../../base/error.ts';
import * as k from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { moduleOf } from '../support/oracle.ts';

type Body = (x: Tensor, y: Tensor) => unknown;
type Input = readonly Dim[] | { readonly dtype: DType; readonly shape: readonly Dim[] };

const typeOf = (input: Input): { dtype: DType; shape: readonly Dim[] } =>
  'dtype' in input ? input : { dtype: 'float32', shape: input };
const int = (...shape: number[]): Input => ({ dtype: 'int32', shape });
const bool = (...shape: number[]): Input => ({ dtype: 'bool', shape });

function errorOf(body: Body, x: Input, y: Input): KilnError {
  try {
    moduleOf((a, b) => [body(a, b) as Tensor].flat(), [typeOf(x), typeOf(y)]);
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

const B = dim('B', { min: 2, max: 64 });
const C = dim('C', { min: 2, max: 64 });
const wrong = <T>(value: unknown): T => value as T;

/** What, the code, the operation, inputs. */
type Row = readonly [what: string, code: ErrorCode, body: Body, x?: Input, y?: Input];

const rows: readonly Row[] = [
  // Operands.
  ['shapes that do not broadcast', 'shape_mismatch', (x, y) => x.add(y), [2, 3], [2, 4]],
  ['a rank that does not broadcast', 'shape_mismatch', (x, y) => k.where(x, x, y), [2, 3], [3, 3]],
  ['sizes that may differ', 'unknown_size', (x, y) => x.mul(y), [B], [C]],
  ['a size that may be the number', 'unknown_size', (x, y) => x.mul(y), [B], [7]],
  ['a size that can not be the number', 'shape_mismatch', (x, y) => x.mul(y), [B], [70]],
  ['a fraction with integers', 'dtype_mismatch', (x) => x.add(0.5), int(3)],
  ['a negative number with unsigned integers', 'dtype_mismatch', (x) => x.mul(-1), { dtype: 'uint32', shape: [2] }],
  ['NaN with integers', 'dtype_mismatch', (x) => x.maximum(Number.NaN), int(3)],
  ['negated bools', 'dtype_mismatch', (x) => x.neg(), bool(3)],
  ['subtracted bools', 'dtype_mismatch', (x, y) => x.sub(y), bool(3), bool(3)],
  ['bits of floats', 'dtype_mismatch', (x, y) => x.bitwiseAnd(y)],
  ['shifted floats', 'dtype_mismatch', (x) => k.bitwiseLeftShift(x, 1)],
  ['an array for a tensor', 'invalid_argument', () => k.exp(wrong<Tensor>([1, 2]))],
  ['a number for a tensor', 'invalid_argument', () => k.relu(wrong<Tensor>(1))],
  ['nothing for an operand', 'invalid_argument', (x) => k.add(x, wrong<Tensor>(undefined))],
  ['an unknown dtype', 'invalid_argument', (x) => x.astype(wrong<DType>('float31'))],
  // Axes.
  ['an axis out of range', 'invalid_argument', (x) => x.sum(2)],
  ['a negative axis out of range', 'invalid_argument', (x) => x.sum(-3)],
  ['a fractional axis', 'invalid_argument', (x) => x.sum(0.5)],
  ['an axis named twice', 'invalid_argument', (x) => x.sum([0, -2])],
  ['softmax of a scalar', 'invalid_argument', (x) => x.softmax(), []],
  ['a maximum of nothing', 'shape_mismatch', (x) => x.max(1), [2, 0]],
  ['a position in nothing', 'shape_mismatch', (x) => x.argmax(), [0]],
  ['a running sum without axis', 'invalid_argument', (x) => x.cumulativeSum(), [2, 3]],
  ['a norm of order NaN', 'invalid_argument', (x) => x.vectorNorm(0, { ord: Number.NaN })],
  // Shapes.
  ['another number of elements', 'shape_mismatch', (x) => x.reshape([5]), [2, 3]],
  ['-1 that does not come out even', 'shape_mismatch', (x) => x.reshape([-1, 4]), [2, 3]],
  ['-1 twice', 'invalid_size', (x) => x.reshape([-1, -1]), [2, 3]],
  ['-1 beside 0', 'shape_mismatch', (x) => x.reshape([-1, 0]), [0, 3]],
  ['a fractional size', 'invalid_size', (x) => x.reshape([1.5, 4]), [2, 3]],
  ['a NaN size', 'invalid_size', () => k.zeros([Number.NaN])],
  ['a negative size', 'invalid_size', () => k.ones([2, -3])],
  ['a shape that is a number', 'invalid_size', () => k.zeros(wrong<number[]>(3))],
  ['a broadcast that shrinks', 'shape_mismatch', (x) => x.broadcastTo([1]), [3]],
  ['a broadcast of too many axes', 'shape_mismatch', (x) => x.broadcastTo([3]), [2, 3]],
  ['half a permutation', 'invalid_argument', (x) => x.permuteDims([0]), [2, 3]],
  ['a permutation that repeats', 'invalid_argument', (x) => x.permuteDims([0, 0]), [2, 3]],
  ['an axis that is not 1', 'shape_mismatch', (x) => x.squeeze(0), [2, 3]],
  ['a squeezed symbolic axis', 'unknown_size', (x) => x.squeeze(0), [dim('N', { min: 1 })]],
  ['the transpose of a vector', 'shape_mismatch', (x) => x.mT, [3]],
  ['a triangle of a vector', 'shape_mismatch', (x) => x.tril(), [3]],
  // Slices and parts.
  ['a position out of range', 'invalid_argument', (x) => x.slice(2), [2, 3]],
  ['a negative position out of range', 'invalid_argument', (x) => x.at(-3), [2, 3]],
  ['more ranges than axes', 'invalid_argument', (x) => x.slice(null, null, null), [2, 3]],
  ['a step of 0', 'invalid_argument', (x) => x.slice([0, 2, 0]), [2, 3]],
  ['a fractional bound', 'invalid_argument', (x) => x.slice([0.5]), [2, 3]],
  ['a bound that the symbol may not reach', 'unknown_size', (x) => x.slice([0, 5]), [B]],
  [
    'padding for other axes',
    'invalid_argument',
    (x) =>
      x.pad(
        [[1, 1]].concat([
          [1, 1],
          [0, 0],
        ]) as [number, number][],
      ),
    [2, 3],
  ],
  ['cropping more than there is', 'invalid_size', (x) => x.pad(-2), [2, 3]],
  ['nothing to join', 'invalid_argument', () => k.concat([])],
  ['joining other sizes', 'shape_mismatch', (x, y) => k.concat([x, y], 0), [2, 3], [2, 4]],
  ['joining other ranks', 'shape_mismatch', (x, y) => k.concat([x, y]), [2, 3], [3]],
  ['stacking other shapes', 'shape_mismatch', (x, y) => k.stack([x, y]), [2, 3], [3, 2]],
  ['parts that do not come out even', 'shape_mismatch', (x) => x.split(2, 1), [2, 3]],
  ['no parts', 'invalid_size', (x) => x.split(0), [2, 3]],
  // Indexing.
  ['float indices', 'dtype_mismatch', (x, y) => x.take(y)],
  ['an unknown mode', 'invalid_argument', (x, y) => x.take(y, 0, { mode: wrong<'fill'>('wrap') }), [2, 3], int(2)],
  ['indices into nothing', 'shape_mismatch', (x, y) => x.take(y), [0, 3], int(2)],
  ['indices of another rank', 'shape_mismatch', (x, y) => x.takeAlongAxis(y), [2, 3], int(2)],
  ['updates that do not fit', 'shape_mismatch', (x, y) => x.indexAdd(y, x), [2, 3], int(4)],
  ['float updates of integers', 'dtype_mismatch', (x, y) => x.indexAdd(x, y), int(2), [2]],
  ['a start for each axis missing', 'invalid_argument', (x) => x.dynamicSlice([0], [1, 1]), [2, 3]],
  ['a part larger than the tensor', 'shape_mismatch', (x) => x.dynamicSlice([0, 0], [3, 3]), [2, 3]],
  ['classes of a fractional number', 'invalid_size', (x) => x.oneHot(2.5), int(3)],
  // Products.
  ['inner sizes that differ', 'shape_mismatch', (x, y) => x.matmul(y), [2, 3], [4, 5]],
  ['batches that do not broadcast', 'shape_mismatch', (x, y) => x.matmul(y), [2, 3, 4], [3, 4, 5]],
  ['a scalar in a matrix product', 'shape_mismatch', (x, y) => x.matmul(y), [2, 3], []],
  ['a formula of other operands', 'invalid_argument', (x, y) => k.einsum('ij->i', [x, y])],
  ['a formula of other ranks', 'invalid_argument', (x) => k.einsum('ijk->i', [x])],
  ['no operands', 'invalid_argument', () => k.einsum('ij->i')],
  ['a letter of two sizes', 'shape_mismatch', (x, y) => k.einsum('ij,jk->ik', [x, y]), [2, 3], [4, 5]],
  ['a letter out of nowhere', 'invalid_argument', (x) => k.einsum('ij->k', [x])],
  // Convolution and pooling.
  ['channels that differ', 'shape_mismatch', (x, y) => x.conv2d(y), [1, 3, 8, 8], [4, 2, 3, 3]],
  [
    'groups that do not divide',
    'shape_mismatch',
    (x, y) => x.conv2d(y, null, { groups: 2 }),
    [1, 3, 8, 8],
    [4, 1, 3, 3],
  ],
  ['an image of another rank', 'shape_mismatch', (x, y) => x.conv2d(y), [8, 8], [4, 2, 3, 3]],
  ['a stride of 0', 'invalid_argument', (x, y) => x.conv1d(y, null, { stride: 0 }), [1, 2, 8], [3, 2, 3]],
  [
    'padding for another rank',
    'invalid_argument',
    (x, y) => x.conv1d(y, null, { padding: [1, 2] }),
    [1, 2, 8],
    [3, 2, 3],
  ],
  ['an unknown layout', 'invalid_argument', (x) => x.maxPool2d(2, { layout: wrong<'NCHW'>('HWNC') }), [1, 2, 8, 8]],
  ['padding beyond the window', 'invalid_argument', (x) => x.maxPool2d(2, { padding: 2 }), [1, 2, 8, 8]],
  ['a bias of another size', 'shape_mismatch', (x, y) => x.conv1d(y, k.zeros([4])), [1, 2, 8], [3, 2, 3]],
  // Layers and losses.
  ['an unknown approximation', 'invalid_argument', (x) => x.gelu({ approximate: wrong<'tanh'>('quick') })],
  ['an unknown reduction', 'invalid_argument', (x, y) => k.mseLoss(x, y, { reduction: wrong<'sum'>('max') }), [2], [2]],
  ['a weight of another shape', 'shape_mismatch', (x, y) => k.layerNorm(x, y), [2, 3], [4]],
  ['targets of another shape', 'shape_mismatch', (x, y) => k.crossEntropy(x, y), [2, 3], int(3)],
  ['probabilities of another shape', 'shape_mismatch', (x, y) => k.crossEntropy(x, y), [2, 3], [2]],
  ['a probability above 1', 'invalid_argument', (x) => k.dropout(x, k.random.key(0), { p: 1.5 })],
  // Creation.
  ['ragged arrays', 'shape_mismatch', () => k.tensor([[1, 2], [3]])],
  ['an array beside a number', 'shape_mismatch', () => k.tensor(wrong<number[]>([1, [2]]))],
  ['data that are no numbers', 'invalid_argument', () => k.tensor(wrong<number[]>(['a']))],
  ['tensors as data', 'invalid_argument', (x) => k.tensor(wrong<number[]>([x, x]))],
  ['bigints', 'dtype_mismatch', () => k.tensor([1n, 2n ** 40n])],
  ['64-bit integers', 'unsupported_dtype', () => k.tensor([1], { dtype: 'int64' })],
  ['64-bit floats', 'unsupported_dtype', () => k.tensor(new Float64Array(2))],
  ['a shape that does not hold the data', 'shape_mismatch', () => k.tensor([1, 2, 3], { shape: [2, 2] })],
  ['fractions as integers', 'dtype_mismatch', () => k.tensor([1.5], { dtype: 'int32' })],
  ['a fraction that fills integers', 'dtype_mismatch', () => k.full([2], 0.5, { dtype: 'int32' })],
  ['a step of 0 in a range', 'invalid_argument', () => k.arange(0, 3, 0)],
  ['an endless range', 'invalid_argument', () => k.arange(Number.POSITIVE_INFINITY)],
  ['a negative number of points', 'invalid_size', () => k.linspace(0, 1, -1)],
];

describe('bad arguments', () => {
  for (const [what, code, body, x = [2, 3], y = [2, 3]] of rows) {
    test(`${what}: ${code}`, () => {
      const error = errorOf(body, x, y);
      expect(error.code).toBe(code);
      expect(error.summary).toMatch(/^[a-zA-Z0-9_.]+: /);
      expect(error.given ?? error.hint).toBeTypeOf('string');
      expect(error.location?.toString()).toContain('errors.test.ts');
    });
  }

  test('the message says what was given, expected and where', () => {
    const { message } = errorOf((x, y) => x.add(y), [8, 3], [8, 4]);
    expect(message).toMatch(/add: shapes do not broadcast together/);
    expect(message).toMatch(/given: +\[8,3\] and \[8,4\]/);
    expect(message).toMatch(/expected: sizes that are equal or 1/);
  });
});
