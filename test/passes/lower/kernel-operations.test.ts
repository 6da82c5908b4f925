/** Operations of kernels as `explain` reports them, against counts by hand. */
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { OpAttributes } from '../../../ir/opcodes.ts';
import type { Graph } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { moduleOf } from '../../support/models.ts';

const operations = (graph: Graph) =>
  lowerModule(moduleOf(graph), { name: 'test', donated: [], precision: 'strict' }).report.groups.map(
    ({ flopsAfter }) => flopsAfter,
  );

const product: OpAttributes['dot_general'] = { contract: [[1], [0]], batch: [[], []] };
const [rows, depth, columns] = [8, 16, 4];

describe('operations of a kernel', () => {
  test('a contraction multiplies and adds, and computes its epilogue once for each result', () => {
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'float32', shape: [rows, depth] });
    const w = b.parameter({ dtype: 'float32', shape: [depth, columns] });
    const result = b.op('dot_general', [x, w], product);
    const graph = b.build([b.op('maximum', [result, result])]);
    expect(operations(graph)).toEqual([rows * columns * (2 * depth + 1)]);
  });

  test('what a contraction does to an operand counts once for each element of it', () => {
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'float32', shape: [rows, depth] });
    const w = b.parameter({ dtype: 'float32', shape: [depth, columns] });
    const graph = b.build([b.op('dot_general', [b.op('negate', [x]), w], product)]);
    expect(operations(graph)).toEqual([rows * depth + 2 * rows * columns * depth]);
  });

  test('what a row kernel computes in two sweeps counts twice', () => {
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'float32', shape: [rows, depth] });
    const square = b.op('multiply', [x, x]);
    const sum = b.op('reduce', [square], { kind: 'sum', axes: [1] });
    const graph = b.build([
      b.op('subtract', [square, b.op('broadcast_in_dim', [sum], { shape: [rows, depth], axes: [0] })]),
    ]);
    // One for the square and one for the sum, then the square again and the difference.
    expect(operations(graph)).toEqual([4 * rows * depth]);
  });
});
