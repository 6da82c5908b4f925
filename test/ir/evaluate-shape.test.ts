/** Ops that move elements: the examples of the StableHLO specification, and identities between ops. */
import { describe, expect, test } from 'vitest';
import { equalLiterals } from '../../ir/literal.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { Literal } from '../../ir/types.ts';
import { array, forSamples, type Nested, nested, runOp } from '../support/ir.ts';

const f = (values: Nested, shape?: readonly number[]) => array('f32', values, shape);
const i = (value: number) => array('i32', value);

describe('examples', () => {
  test('broadcast_in_dim', () => {
    const result = runOp('broadcast_in_dim', [f([[1, 2, 3]])], { shape: [2, 3, 2], axes: [2, 1] });
    const each = [
      [1, 1],
      [2, 2],
      [3, 3],
    ];
    expect(nested(result)).toEqual([each, each]);
  });

  test('transpose', () => {
    const operand = f([
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [
        [7, 8],
        [9, 10],
        [11, 12],
      ],
    ]);
    expect(nested(runOp('transpose', [operand], { permutation: [2, 1, 0] }))).toEqual([
      [
        [1, 7],
        [3, 9],
        [5, 11],
      ],
      [
        [2, 8],
        [4, 10],
        [6, 12],
      ],
    ]);
    expect(nested(runOp('transpose', [operand], { permutation: [1, 2, 0] }))).toEqual([
      [
        [1, 7],
        [2, 8],
      ],
      [
        [3, 9],
        [4, 10],
      ],
      [
        [5, 11],
        [6, 12],
      ],
    ]);
  });

  test('reverse', () => {
    expect(
      nested(
        runOp(
          'reverse',
          [
            f([
              [1, 2],
              [3, 4],
              [5, 6],
            ]),
          ],
          { axes: [1] },
        ),
      ),
    ).toEqual([
      [2, 1],
      [4, 3],
      [6, 5],
    ]);
  });

  test('slice', () => {
    const operand = f([
      [0, 0, 0, 0],
      [0, 0, 1, 2],
      [0, 0, 3, 4],
    ]);
    const attributes = { start: [1, 2], limit: [3, 4], strides: [1, 1] };
    expect(nested(runOp('slice', [operand], attributes))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    const strided = { start: [1], limit: [6], strides: [2] };
    expect(nested(runOp('slice', [f([0, 1, 2, 3, 4, 5, 6])], strided))).toEqual([1, 3, 5]);
  });

  test('pad', () => {
    const attributes = { low: [0, 1], high: [2, 1], interior: [1, 2] };
    expect(
      nested(
        runOp(
          'pad',
          [
            f([
              [1, 2, 3],
              [4, 5, 6],
            ]),
            f(-0),
          ],
          attributes,
        ),
      ),
    ).toEqual([
      [-0, 1, -0, -0, 2, -0, -0, 3, -0],
      [-0, -0, -0, -0, -0, -0, -0, -0, -0],
      [-0, 4, -0, -0, 5, -0, -0, 6, -0],
      [-0, -0, -0, -0, -0, -0, -0, -0, -0],
      [-0, -0, -0, -0, -0, -0, -0, -0, -0],
    ]);
  });

  test('pad crops with negative amounts, also between dilated elements', () => {
    const run = (low: number, high: number, interior: number) =>
      nested(runOp('pad', [f([1, 2, 3]), f(9)], { low: [low], high: [high], interior: [interior] }));
    expect(run(-1, -1, 0)).toEqual([2]);
    expect(run(-1, 1, 1)).toEqual([9, 2, 9, 3, 9]);
    expect(run(-4, 3, 0)).toEqual([9, 9]);
    expect(nested(runOp('pad', [f([], [0]), f(9)], { low: [1], high: [1], interior: [3] }))).toEqual([9, 9]);
  });

  test('concatenate', () => {
    const operands = [
      f([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      f([], [0, 2]),
      f([[7, 8]]),
    ];
    expect(nested(runOp('concatenate', operands, { axis: 0 }))).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    const wide = [
      f([[1], [2]]),
      f([
        [3, 4],
        [5, 6],
      ]),
    ];
    expect(nested(runOp('concatenate', wide, { axis: 1 }))).toEqual([
      [1, 3, 4],
      [2, 5, 6],
    ]);
  });

  test('iota and dimension_size', () => {
    expect(nested(runOp('iota', [], { dtype: 'int32', shape: [2, 3], axis: 1 }))).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ]);
    expect(nested(runOp('iota', [], { dtype: 'float32', shape: [2, 3], axis: 0 }))).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
    expect(nested(runOp('dimension_size', [], { size: 7, dtype: 'float32' }))).toBe(7);
    expect(nested(runOp('dimension_size', [], { size: -1, dtype: 'uint32' }))).toBe(4294967295);
  });

  test('dynamic_slice moves starts inside', () => {
    const operand = f([
      [0, 0, 1, 2],
      [0, 0, 3, 4],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    expect(nested(runOp('dynamic_slice', [operand, i(-1), i(3)], { sizes: [2, 2] }))).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test('dynamic_update_slice moves starts inside', () => {
    const operand = f([
      [1, 1, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 1, 1],
    ]);
    const update = f([
      [5, 6],
      [7, 8],
    ]);
    expect(nested(runOp('dynamic_update_slice', [operand, update, i(-1), i(3)], {}))).toEqual([
      [1, 1, 5, 6],
      [1, 1, 7, 8],
      [1, 1, 1, 1],
    ]);
  });
});

/** Samples with NaN, infinities and -0: moving elements keeps their bits. */
const forAll = <K extends Opcode>(opcode: K, property: Parameters<typeof forSamples<K>>[1]): void =>
  forSamples(opcode, property, { special: true });

const same = (a: Literal, b: Literal): void => {
  expect(equalLiterals(a, b)).toBe(true);
};

describe('identities', () => {
  test('a transpose is undone by the inverse permutation', () => {
    forAll('transpose', (operands, { permutation }) => {
      const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
      const there = runOp('transpose', operands, { permutation });
      same(runOp('transpose', [there], { permutation: inverse }), operands[0]);
    });
  });

  test('reversing twice is nothing', () => {
    forAll('reverse', (operands, attributes) => {
      same(runOp('reverse', [runOp('reverse', operands, attributes)], attributes), operands[0]);
    });
  });

  test('reshaping back is nothing', () => {
    forAll('reshape', (operands, attributes) => {
      same(runOp('reshape', [runOp('reshape', operands, attributes)], { shape: operands[0].shape }), operands[0]);
    });
  });

  test('slices of a concatenation are its parts', () => {
    forAll('concatenate', (operands, { axis }) => {
      const joined = runOp('concatenate', operands, { axis });
      let at = 0;
      for (const operand of operands) {
        const start = operand.shape.map((_, a) => (a === axis ? at : 0));
        const limit = operand.shape.map((size, a) => start[a] + size);
        same(runOp('slice', [joined], { start, limit, strides: start.map(() => 1) }), operand);
        at += operand.shape[axis];
      }
    });
  });

  test('padding without cropping is undone by a strided slice', () => {
    forAll('pad', (operands, { low, high, interior }) => {
      const [before, after] = [low.map((n) => Math.abs(Number(n))), high.map((n) => Math.abs(Number(n)))];
      const padded = runOp('pad', operands, { low: before, high: after, interior });
      const { shape } = operands[0];
      if (shape.includes(0)) return;
      const strides = interior.map((gap) => gap + 1);
      const limit = shape.map((size, axis) => before[axis] + (size - 1) * strides[axis] + 1);
      same(runOp('slice', [padded], { start: before, limit, strides }), operands[0]);
    });
  });

  test('a negative pad is a slice', () => {
    forAll('slice', ([operand], { start, limit }) => {
      const value = { dtype: operand.dtype, shape: [], data: [0] };
      const low = start.map((n) => -Number(n));
      const high = limit.map((n, axis) => Number(n) - operand.shape[axis]);
      const sliced = runOp('slice', [operand], { start, limit, strides: low.map(() => 1) });
      same(runOp('pad', [operand, value], { low, high, interior: low.map(() => 0) }), sliced);
    });
  });

  test('a dynamic slice that fits is a slice', () => {
    forAll('dynamic_slice', ([operand, ...starts], { sizes }) => {
      const start = starts.map((s, axis) =>
        Math.max(0, Math.min(s.data[0], operand.shape[axis] - Number(sizes[axis]))),
      );
      const limit = start.map((s, axis) => s + Number(sizes[axis]));
      const strides = start.map(() => 1);
      same(
        runOp('dynamic_slice', [operand, ...starts], { sizes }),
        runOp('slice', [operand], { start, limit, strides }),
      );
    });
  });

  test('a slice of what was updated there is the update', () => {
    forAll('dynamic_update_slice', (operands) => {
      const [, update, ...starts] = operands;
      const updated = runOp('dynamic_update_slice', operands, {});
      same(runOp('dynamic_slice', [updated, ...starts], { sizes: update.shape }), update);
    });
  });
});
