/** Contractions: the examples of the StableHLO specification, and sums written in another way than the evaluator's. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DType, isFloat } from '../../base/dtype.ts';
import { forEachIndex, positionOf, rowMajorStrides, splat } from '../../ir/literal.ts';
import type { OpAttributes } from '../../ir/opcodes.ts';
import { wrapInteger } from '../../ir/ops/scalar.ts';
import { array, at, close, forSamples, type Nested, nested, runOp } from '../support/ir.ts';
import { runs } from '../support/runs.ts';

const f = (values: Nested, shape?: readonly number[]) => array('f32', values, shape);
const i = (values: Nested, shape?: readonly number[]) => array('i32', values, shape);

const inDType = (dtype: DType, sum: number): number => (isFloat(dtype) ? sum : wrapInteger(dtype, sum));

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
      close(result, { ...result, data: sums.map((s) => inDType(result.dtype, s)) });
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
        data[position] = inDType(lhs.dtype, sum);
      });
      close(result, { ...result, data });
    });
  });
});
