/** Gather and scatter: the examples of the StableHLO specification, and identities between ops. */
import { describe, expect, test } from 'vitest';
import { elementAt, equalLiterals, forEachIndex, splat } from '../../ir/literal.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal } from '../../ir/types.ts';
import { array, at, close, forSamples, type Nested, nested, runOp } from '../support/ir.ts';

const f = (values: Nested, shape?: readonly number[]) => array('f32', values, shape);
const i = (values: Nested, shape?: readonly number[]) => array('i32', values, shape);

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
      { count: 40 },
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

  test('windows that overlap apply in the order of the index vectors, wherever the window axes stand', () => {
    const scattered = (updates: Literal, windowAxis: number) =>
      nested(
        runOp('scatter', [f([0, 0, 0]), i([0, 1]), updates], {
          update_window_axes: [windowAxis],
          inserted_window_axes: [],
          scatter_axes_to_operand_axes: [0],
          index_vector_axis: 1,
          kind: 'assign',
        }),
      );
    const rows = [
      [1, 2],
      [3, 4],
    ];
    const columns = [
      [1, 3],
      [2, 4],
    ];
    expect(scattered(f(rows), 1)).toEqual([1, 3, 4]);
    expect(scattered(f(columns), 0)).toEqual([1, 3, 4]);
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
