/**
 * Contractions, reductions, gather and scatter: the examples of the StableHLO specification, and checks against
 * formulas written in another way than the evaluator's.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementAt, equalLiterals, forEachIndex, positionOf, rowMajorStrides, splat } from '../../ir/literal.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import { definitions } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal } from '../../ir/types.ts';
import { array, nested, runOp } from '../support/ir.ts';
import { runs } from '../support/runs.ts';

type Values = Parameters<typeof array>[1];
const f = (values: Values, shape?: readonly number[]) => array('f32', values, shape);
const i = (values: Values, shape?: readonly number[]) => array('i32', values, shape);

/** Samples of an op, without NaN and infinities so that sums can be compared. */
function forSamples<K extends 'dot_general' | 'convolution' | 'reduce' | 'reduce_window' | 'gather' | 'scatter'>(
  opcode: K,
  property: (operands: readonly Literal[], attributes: OpAttributes[K]) => void,
  count = 100,
): void {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const sample = definitions[opcode].sample?.(new Random(seed, { special: false }));
      if (!sample) throw new Error('no sampler');
      property(sample.operands, sample.attributes as OpAttributes[K]);
    }),
    runs(count),
  );
}

const close = (a: Literal, b: Literal): void => {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [Array.from(a.data), Array.from(b.data)];
  x.forEach((value, k) => {
    expect(Math.abs(value - y[k])).toBeLessThanOrEqual(1e-10 * (1 + Math.abs(value)));
  });
};

const at = (literal: Literal, index: readonly number[]): number =>
  elementAt(literal, positionOf(index, rowMajorStrides(literal.shape)));

describe('dot_general', () => {
  test('example', () => {
    const lhs = f([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
    ]);
    const rhs = f([
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 0],
        [0, 1],
      ],
    ]);
    const attributes = { contract: [[2], [1]], batch: [[0], [0]] } as const;
    expect(nested(runOp('dot_general', [lhs, rhs], attributes))).toEqual(nested(lhs));
  });

  test('matrix product, outer product, full contraction, empty contraction', () => {
    const [a, b] = [
      f([
        [1, 2, 3],
        [4, 5, 6],
      ]),
      f([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
    ];
    const product = { contract: [[1], [0]], batch: [[], []] } as const;
    expect(nested(runOp('dot_general', [a, b], product))).toEqual([
      [22, 28],
      [49, 64],
    ]);
    const outer = { contract: [[], []], batch: [[], []] } as const;
    expect(nested(runOp('dot_general', [f([1, 2]), f([3, 4])], outer))).toEqual([
      [3, 4],
      [6, 8],
    ]);
    const full = {
      contract: [
        [0, 1],
        [1, 0],
      ],
      batch: [[], []],
    } as const;
    expect(nested(runOp('dot_general', [a, b], full))).toBe(1 + 6 + 15 + 8 + 20 + 36);
    expect(nested(runOp('dot_general', [f([], [2, 0]), f([], [0, 1])], product))).toEqual([[0], [0]]);
  });

  test('integers wrap', () => {
    const product = { contract: [[0], [0]], batch: [[], []] } as const;
    expect(nested(runOp('dot_general', [i([65536, 2147483647]), i([65536, 2])], product))).toBe(-2);
    const big = array('u32', [4294967295, 4294967295]);
    expect(nested(runOp('dot_general', [big, big], product))).toBe(2);
  });

  test('equals a sum over all index pairs that agree', () => {
    forSamples('dot_general', ([lhs, rhs], { contract, batch }) => {
      const result = runOp('dot_general', [lhs, rhs], { contract, batch });
      const sums = new Float64Array(result.shape.reduce((p, n) => p * n, 1));
      const strides = rowMajorStrides(result.shape);
      const free = (index: readonly number[], ...used: (readonly number[])[]) =>
        index.filter((_, axis) => !used.some((list) => list.includes(axis)));
      forEachIndex(lhs.shape, (l) => {
        forEachIndex(rhs.shape, (r) => {
          const agrees =
            contract[0].every((axis, k) => l[axis] === r[contract[1][k]]) &&
            batch[0].every((axis, k) => l[axis] === r[batch[1][k]]);
          if (!agrees) return;
          const target = [
            ...batch[0].map((axis) => l[axis]),
            ...free(l, contract[0], batch[0]),
            ...free(r, contract[1], batch[1]),
          ];
          sums[positionOf(target, strides)] += at(lhs, l) * at(rhs, r);
        });
      });
      if (result.dtype === 'int32') close(result, { ...result, data: sums.map((s) => s | 0) });
      else if (result.dtype === 'uint32') close(result, { ...result, data: sums.map((s) => s >>> 0) });
      else close(result, { ...result, data: sums });
    });
  });
});

describe('convolution', () => {
  const plain = (rank: number): OpAttributes['convolution'] => ({
    strides: new Array(rank).fill(1),
    padding: new Array(rank).fill([0, 0]),
    lhs_dilation: new Array(rank).fill(1),
    rhs_dilation: new Array(rank).fill(1),
    groups: 1,
  });

  test('example', () => {
    const lhs = f([
      [
        [
          [1, 2, 5, 6],
          [3, 4, 7, 8],
          [10, 11, 14, 15],
          [12, 13, 16, 17],
        ],
      ],
    ]);
    const rhs = f([
      [
        [
          [1, 1, 1],
          [1, 1, 1],
          [1, 1, 1],
        ],
      ],
    ]);
    const attributes = { ...plain(2), strides: [4, 4], lhs_dilation: [2, 2] };
    expect(nested(runOp('convolution', [lhs, rhs], attributes))).toEqual([
      [
        [
          [10, 26],
          [46, 62],
        ],
      ],
    ]);
  });

  test('cross-correlation, not mirrored', () => {
    const run = (attributes: OpAttributes['convolution']) =>
      nested(runOp('convolution', [f([[[1, 2, 3, 4]]]), f([[[1, 10]]])], attributes));
    expect(run(plain(1))).toEqual([[[21, 32, 43]]]);
    expect(run({ ...plain(1), padding: [[1, 1]] })).toEqual([[[10, 21, 32, 43, 4]]]);
    expect(run({ ...plain(1), padding: [[-1, -1]] })).toEqual([[[32]]]);
    expect(run({ ...plain(1), rhs_dilation: [2] })).toEqual([[[31, 42]]]);
    expect(run({ ...plain(1), rhs_dilation: [5] })).toEqual([[[]]]);
  });

  test('groups', () => {
    const lhs = f([[[1], [2], [3], [4]]]);
    const rhs = f([
      [[1], [10]],
      [[100], [1000]],
    ]);
    expect(nested(runOp('convolution', [lhs, rhs], { ...plain(1), groups: 2 }))).toEqual([[[21], [4300]]]);
  });

  test('without spatial axes it is a matrix product', () => {
    const [x, w] = [
      f([
        [1, 2],
        [3, 4],
      ]),
      f([
        [5, 6],
        [7, 8],
        [9, 10],
      ]),
    ];
    const product = runOp('dot_general', [x, w], { contract: [[1], [1]], batch: [[], []] });
    close(runOp('convolution', [x, w], plain(0)), product);
  });

  test('full padding with a mirrored kernel multiplies polynomials', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 4 }),
        (p, q) => {
          const product = new Array(p.length + q.length - 1).fill(0);
          p.forEach((a, j) => {
            q.forEach((b, k) => {
              product[j + k] += a * b;
            });
          });
          const attributes = { ...plain(1), padding: [[q.length - 1, q.length - 1]] as const };
          const result = runOp('convolution', [i([[p]]), i([[q.toReversed()]])], attributes);
          expect(nested(result)).toEqual([[product]]);
        },
      ),
      runs(100),
    );
  });

  test('equals pad, then a product of gathered patches', () => {
    forSamples('convolution', ([lhs, rhs], attributes) => {
      const { strides, padding, lhs_dilation, rhs_dilation, groups } = attributes;
      const result = runOp('convolution', [lhs, rhs], attributes);
      const [n, c, ...spatial] = lhs.shape;
      const [outputs, inner, ...window] = rhs.shape;
      const roomy = spatial.every((s, k) => {
        const spread = s === 0 ? 0 : (s - 1) * lhs_dilation[k] + 1;
        return spread + Number(padding[k][0]) + Number(padding[k][1]) >= 0;
      });
      if (!roomy) {
        expect(result.data).toHaveLength(0);
        return;
      }
      const padded = runOp('pad', [lhs, splat(lhs.dtype, [], 0)], {
        low: [0, 0, ...padding.map(([low]) => low)],
        high: [0, 0, ...padding.map(([, high]) => high)],
        interior: [0, 0, ...lhs_dilation.map((d) => d - 1)],
      });
      expect(padded.shape.slice(0, 2)).toEqual([n, c]);
      const data = new Float64Array(result.data.length);
      forEachIndex(result.shape, ([b, o, ...place], position) => {
        const group = Math.floor((o * groups) / outputs);
        let sum = 0;
        forEachIndex([inner, ...window], ([channel, ...tap]) => {
          const source = place.map((p, k) => p * strides[k] + tap[k] * rhs_dilation[k]);
          sum += at(padded, [b, group * inner + channel, ...source]) * at(rhs, [o, channel, ...tap]);
        });
        data[position] = lhs.dtype === 'int32' ? sum | 0 : lhs.dtype === 'uint32' ? sum >>> 0 : sum;
      });
      close(result, { ...result, data });
    });
  });
});

describe('reduce', () => {
  const x = f([
    [1, -0, 3],
    [-4, 5, 6],
  ]);
  test.each<[OpAttributes['reduce']['kind'], number[], Values]>([
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

const table = [
  [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ],
  [
    [9, 10],
    [11, 12],
    [13, 14],
    [15, 16],
  ],
  [
    [17, 18],
    [19, 20],
    [21, 22],
    [23, 24],
  ],
];

describe('gather', () => {
  test('example', () => {
    const indices = i([
      [
        [0, 0],
        [1, 0],
        [2, 1],
      ],
      [
        [0, 1],
        [1, 1],
        [0, 2],
      ],
    ]);
    const result = runOp('gather', [i(table), indices], {
      offset_axes: [2, 3],
      collapsed_axes: [0],
      start_index_map: [1, 0],
      index_vector_axis: 2,
      slice_sizes: [1, 2, 2],
      mode: 'clamp',
    });
    expect(nested(result)).toEqual([
      [
        [
          [1, 2],
          [3, 4],
        ],
        [
          [3, 4],
          [5, 6],
        ],
        [
          [13, 14],
          [15, 16],
        ],
      ],
      [
        [
          [9, 10],
          [11, 12],
        ],
        [
          [11, 12],
          [13, 14],
        ],
        [
          [17, 18],
          [19, 20],
        ],
      ],
    ]);
  });

  const take = (mode: 'clamp' | 'fill', indices: Literal) =>
    nested(
      runOp(
        'gather',
        [
          f([
            [1, 2],
            [3, 4],
            [5, 6],
          ]),
          indices,
        ],
        {
          offset_axes: [1],
          collapsed_axes: [0],
          start_index_map: [0],
          index_vector_axis: 1,
          slice_sizes: [1, 2],
          mode,
        },
      ),
    );

  test('rows of a table; out of range clamps or fills', () => {
    const indices = i([2, -1, 0, 3]);
    expect(take('clamp', indices)).toEqual([
      [5, 6],
      [1, 2],
      [1, 2],
      [5, 6],
    ]);
    expect(take('fill', indices)).toEqual([
      [5, 6],
      [0, 0],
      [1, 2],
      [0, 0],
    ]);
    expect(take('fill', array('u32', [4294967295, 1]))).toEqual([
      [0, 0],
      [3, 4],
    ]);
  });

  test('a window of the whole operand is the operand', () => {
    forSamples('gather', ([operand]) => {
      const rank = operand.shape.length;
      const axes = operand.shape.map((_, axis) => axis);
      const result = runOp('gather', [operand, i(new Array(rank).fill(-1), [rank])], {
        offset_axes: axes,
        collapsed_axes: [],
        start_index_map: axes,
        index_vector_axis: 0,
        slice_sizes: operand.shape,
        mode: 'clamp',
      });
      expect(equalLiterals(result, operand)).toBe(true);
    });
  });

  test('each window is a dynamic slice', () => {
    forSamples(
      'gather',
      ([operand, indices], attributes) => {
        if (attributes.mode !== 'clamp') return;
        const result = runOp('gather', [operand, indices], attributes);
        const { offset_axes, collapsed_axes, start_index_map, index_vector_axis } = attributes;
        forEachIndex(result.shape, (index, position) => {
          const batch = index.filter((_, axis) => !offset_axes.includes(axis));
          const starts = operand.shape.map(() => 0);
          start_index_map.forEach((axis, k) => {
            const place = batch.toSpliced(index_vector_axis, 0, k).slice(0, indices.shape.length);
            starts[axis] = Math.min(at(indices, place), 2 ** 31 - 1);
          });
          const window = runOp('dynamic_slice', [operand, ...starts.map((s) => i(s))], {
            sizes: attributes.slice_sizes,
          });
          let next = 0;
          const inside = operand.shape.map((_, axis) =>
            collapsed_axes.includes(axis) ? 0 : index[offset_axes[next++]],
          );
          expect(elementAt(result, position)).toBe(at(window, inside));
        });
      },
      40,
    );
  });
});

describe('scatter', () => {
  test('example', () => {
    const indices = i([
      [
        [0, 2],
        [1, 0],
        [2, 1],
      ],
      [
        [0, 1],
        [1, 0],
        [0, 9],
      ],
    ]);
    const result = runOp('scatter', [i(table), indices, splat('int32', [2, 3, 2, 2], 1)], {
      update_window_axes: [2, 3],
      inserted_window_axes: [0],
      scatter_axes_to_operand_axes: [1, 0],
      index_vector_axis: 2,
      kind: 'add',
    });
    expect(nested(result)).toEqual([
      [
        [1, 2],
        [5, 6],
        [7, 8],
        [7, 8],
      ],
      [
        [10, 11],
        [12, 13],
        [14, 15],
        [16, 17],
      ],
      [
        [18, 19],
        [20, 21],
        [21, 22],
        [23, 24],
      ],
    ]);
  });

  const put = (kind: OpAttributes['scatter']['kind'], indices: number[], updates: number[]) =>
    nested(
      runOp('scatter', [f([1, 2, 3]), i(indices), f(updates)], {
        update_window_axes: [],
        inserted_window_axes: [0],
        scatter_axes_to_operand_axes: [0],
        index_vector_axis: 1,
        kind,
      }),
    );

  test('kinds; equal indices apply in order', () => {
    expect(put('assign', [1, 1], [7, 8])).toEqual([1, 8, 3]);
    expect(put('add', [1, 1], [7, 8])).toEqual([1, 17, 3]);
    expect(put('multiply', [2, 0], [5, 4])).toEqual([4, 2, 15]);
    expect(put('max', [0, 1], [0, Number.NaN])).toEqual([1, Number.NaN, 3]);
    expect(put('min', [0, 2], [0, 9])).toEqual([0, 2, 3]);
    expect(put('assign', [-1, 3], [7, 8])).toEqual([1, 2, 3]);
  });

  test('a window that sticks out is dropped whole', () => {
    const result = runOp(
      'scatter',
      [
        f([1, 2, 3]),
        i([[2], [1]]),
        f([
          [7, 8],
          [5, 6],
        ]),
      ],
      {
        update_window_axes: [1],
        inserted_window_axes: [],
        scatter_axes_to_operand_axes: [0],
        index_vector_axis: 1,
        kind: 'assign',
      },
    );
    expect(nested(result)).toEqual([1, 5, 6]);
  });

  test('adding is the transpose of gathering with fill', () => {
    forSamples('gather', ([operand, indices], attributes) => {
      if (operand.dtype === 'bool' || operand.shape.includes(0)) return;
      const fill = { ...attributes, mode: 'fill' } as const;
      const gathered = runOp('gather', [operand, indices], fill);
      const weights = new Random(1, { special: false }).literal(operand.dtype, gathered.shape);
      const scattered = runOp('scatter', [splat(operand.dtype, operand.shape, 0), indices, weights], {
        update_window_axes: attributes.offset_axes,
        inserted_window_axes: attributes.collapsed_axes,
        scatter_axes_to_operand_axes: attributes.start_index_map,
        index_vector_axis: attributes.index_vector_axis,
        kind: 'add',
      });
      const inner = (a: Literal, b: Literal): Literal => {
        const axes = a.shape.map((_, axis) => axis);
        return runOp('dot_general', [a, b], { contract: [axes, axes], batch: [[], []] });
      };
      close(inner(gathered, weights), inner(operand, scattered));
    });
  });
});
