/** Reductions: stated results, the examples of the StableHLO specification, and identities between ops. */
import { describe, expect, test } from 'vitest';
import { splat } from '../../ir/literal.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import type { Literal } from '../../ir/types.ts';
import { array, close, forSamples, type Nested, nested, runOp } from '../support/ir.ts';

const f = (values: Nested, shape?: readonly number[]) => array('f32', values, shape);
const i = (values: Nested, shape?: readonly number[]) => array('i32', values, shape);

describe('reduce', () => {
  const x = f([
    [1, -0, 3],
    [-4, 5, 6],
  ]);
  test.each<[OpAttributes['reduce']['kind'], number[], Nested]>([
    ['sum', [1], [4, 7]],
    ['sum', [0], [-3, 5, 9]],
    ['sum', [0, 1], 11],
    ['sum', [1, 0], 11],
    ['product', [1], [-0, -120]],
    ['max', [0], [1, 5, 6]],
    ['min', [1], [-0, -4]],
    ['argmax', [1], [2, 2]],
    ['argmin', [0], [1, 0, 0]],
    [
      'sum',
      [],
      [
        [1, 0, 3],
        [-4, 5, 6],
      ],
    ],
  ])('%s over %j', (kind, axes, expected) => {
    expect(nested(runOp('reduce', [x], { kind, axes }))).toEqual(expected);
  });

  test('over nothing is the identity', () => {
    const over = (operand: Literal, kind: OpAttributes['reduce']['kind']) =>
      nested(runOp('reduce', [operand], { kind, axes: [0] }));
    const [floats, ints, bools] = [f([], [0]), i([], [0]), array('bool', [], [0])];
    const words = array('u32', [], [0]);
    expect([over(floats, 'sum'), over(floats, 'product')]).toEqual([0, 1]);
    expect([over(floats, 'max'), over(floats, 'min')]).toEqual([-Infinity, Infinity]);
    expect([over(ints, 'max'), over(ints, 'min')]).toEqual([-2147483648, 2147483647]);
    expect([over(words, 'max'), over(words, 'min')]).toEqual([0, 4294967295]);
    expect([over(bools, 'and'), over(bools, 'or')]).toEqual([1, 0]);
  });

  test('NaN wins, and the first of equals', () => {
    const over = (values: number[], kind: OpAttributes['reduce']['kind']) =>
      nested(runOp('reduce', [f(values)], { kind, axes: [0] }));
    expect(over([1, Number.NaN, 3, Number.NaN], 'max')).toBeNaN();
    expect(over([1, Number.NaN, 3, Number.NaN], 'argmax')).toBe(1);
    expect(over([1, Number.NaN, -3], 'argmin')).toBe(1);
    expect(over([3, 7, 7], 'argmax')).toBe(1);
    expect(over([0, -0], 'argmin')).toBe(0);
    expect(over([-0, 0], 'max')).toBe(0);
    expect(over([0, -0], 'min')).toBe(-0);
    expect(over([-Infinity, -Infinity], 'argmax')).toBe(0);
  });

  test('bools and wrapping integers', () => {
    const bools = array('bool', [
      [true, false],
      [true, true],
    ]);
    expect(nested(runOp('reduce', [bools], { kind: 'and', axes: [1] }))).toEqual([0, 1]);
    expect(nested(runOp('reduce', [bools], { kind: 'or', axes: [0] }))).toEqual([1, 1]);
    expect(nested(runOp('reduce', [i([2147483647, 1])], { kind: 'sum', axes: [0] }))).toBe(-2147483648);
    expect(nested(runOp('reduce', [i([65536, 65537])], { kind: 'product', axes: [0] }))).toBe(65536);
  });

  test('axes one after the other give the same as at once', () => {
    forSamples('reduce', (operands, { kind, axes }) => {
      if (kind === 'argmax' || kind === 'argmin') return;
      const descending = [...axes].sort((a, b) => b - a);
      const steps = descending.reduce((x, axis) => runOp('reduce', [x], { kind, axes: [axis] }), operands[0]);
      close(steps, runOp('reduce', operands, { kind, axes }));
    });
  });

  test('a float sum is rounded once', () => {
    const values = array('f32', [2 ** 24, 1, 1]);
    expect(nested(runOp('reduce', [values], { kind: 'sum', axes: [0] }, 'rounded'))).toBe(2 ** 24 + 2);
  });
});

describe('reduce_window', () => {
  const plain = (rank: number): OpAttributes['reduce_window'] => ({
    kind: 'sum',
    window: new Array(rank).fill(1),
    strides: new Array(rank).fill(1),
    padding: new Array(rank).fill([0, 0]),
    base_dilation: new Array(rank).fill(1),
    window_dilation: new Array(rank).fill(1),
  });

  test('example', () => {
    const result = runOp(
      'reduce_window',
      [
        i([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
      ],
      {
        kind: 'sum',
        window: [2, 1],
        strides: [4, 1],
        padding: [
          [2, 1],
          [0, 0],
        ],
        base_dilation: [2, 1],
        window_dilation: [3, 1],
      },
    );
    expect(nested(result)).toEqual([
      [0, 0],
      [3, 4],
    ]);
  });

  test('pooling; padding is the identity', () => {
    const x = f([[1, -2, 3, -4, 5]]);
    const pool = {
      ...plain(2),
      window: [1, 2],
      strides: [1, 2],
      padding: [
        [0, 0],
        [1, 0],
      ],
    } as const;
    expect(nested(runOp('reduce_window', [x], { ...pool, kind: 'max' }))).toEqual([[1, 3, 5]]);
    expect(nested(runOp('reduce_window', [x], { ...pool, kind: 'sum' }))).toEqual([[1, 1, 1]]);
    expect(nested(runOp('reduce_window', [x], { ...pool, kind: 'product' }))).toEqual([[1, -6, -20]]);
    const outside = { ...plain(1), padding: [[2, 0]] as const };
    expect(nested(runOp('reduce_window', [f([7])], { ...outside, kind: 'min' }))).toEqual([Infinity, Infinity, 7]);
  });

  test('a window as large as the axes is a reduce', () => {
    forSamples('reduce', ([operand], { kind }) => {
      if (operand.shape.includes(0) || (kind !== 'sum' && kind !== 'product' && kind !== 'max' && kind !== 'min'))
        return;
      const rank = operand.shape.length;
      const whole = runOp('reduce_window', [operand], { ...plain(rank), kind, window: operand.shape });
      const axes = operand.shape.map((_, axis) => axis);
      close({ ...whole, shape: [] }, runOp('reduce', [operand], { kind, axes }));
    });
  });

  test('a sum is a convolution with ones', () => {
    forSamples('reduce_window', ([operand], { window, strides, padding, base_dilation, window_dilation }) => {
      const attributes = { kind: 'sum', window, strides, padding, base_dilation, window_dilation } as const;
      const lhs = runOp('reshape', [operand], { shape: [1, 1, ...operand.shape] });
      const result = runOp('convolution', [lhs, splat(operand.dtype, [1, 1, ...window], 1)], {
        strides,
        padding,
        lhs_dilation: base_dilation,
        rhs_dilation: window_dilation,
        groups: 1,
      });
      const summed = runOp('reduce_window', [operand], attributes);
      close(result, { ...summed, shape: [1, 1, ...summed.shape] });
    });
  });
});
