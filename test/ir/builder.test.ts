import { describe, expect, test } from 'vitest';
import { addDims, dim } from '../../base/dim.ts';
import { SourceLocation } from '../../base/location.ts';
import { broadcastTo, full, GraphBuilder, scalar, zerosLike } from '../../ir/builder.ts';
import { flopsOf, isAssociative } from '../../ir/ops/index.ts';
import { printGraph } from '../../ir/printer.ts';
import type { Func, TensorType } from '../../ir/types.ts';
import { errorOf } from '../support/ir.ts';

const B = dim('B', { max: 64 });
const type = (...shape: TensorType['shape']): TensorType => ({ dtype: 'float32', shape });

describe('GraphBuilder', () => {
  test('builds in order; graphs handed out do not change', () => {
    const b = new GraphBuilder();
    const x = b.parameter(type(B, 4), 'x');
    const first = b.build([x]);
    const y = b.op('tanh', [x], {}, { name: 'y' });
    const second = b.build([y]);
    expect(first.ops).toHaveLength(0);
    expect(second.ops[0].results[0]).toBe(y);
    expect(printGraph(second)).toBe(
      'func @main(%x: f32[B,4]) -> (f32[B,4]) {\n  %y: f32[B,4] = tanh %x\n  return %y\n}\n',
    );
  });

  test('an op that does not fit throws at its place and is not appended', () => {
    const b = new GraphBuilder();
    const [x, y] = [b.parameter(type(2)), b.parameter(type(3))];
    const error = errorOf(() => b.op('add', [x, y], {}, { location: SourceLocation.of('model.ts', 4, 5) }));
    expect(error.message).toBe(
      [
        '[shape_mismatch] add: constraint add_c2 does not hold',
        '  given:    f32[2] and f32[3]',
        '  expected: both operands have the same shape',
        '  at:       model.ts:4:5',
      ].join('\n'),
    );
    expect(b.build([]).ops).toHaveLength(0);
  });

  test('append keeps the op and its values', () => {
    const a = new GraphBuilder();
    const x = a.parameter(type(2));
    const y = a.op('tanh', [x]);
    const [op] = a.build([y]).ops;
    const b = new GraphBuilder();
    b.append(op);
    expect(b.build([y]).ops[0]).toBe(op);
  });

  test('calls have the results of the callee', () => {
    const f = new GraphBuilder();
    const x = f.parameter(type(B));
    const callee: Func = { name: 'f', graph: f.build([f.op('tanh', [x]), f.op('is_finite', [x])]) };
    const b = new GraphBuilder({ functions: new Map([['f', callee]]) });
    const z = b.parameter(type(B));
    const results = b.results('call', [z], { function: 'f' });
    expect(results.map((result) => result.type.dtype)).toEqual(['float32', 'bool']);
    expect(errorOf(() => b.op('call', [z], { function: 'f' })).code).toBe('internal');
  });
});

describe('helpers', () => {
  test('scalar, full, zerosLike, broadcastTo', () => {
    const b = new GraphBuilder();
    const x = b.parameter(type(4, 1), 'x');
    const one = scalar(b, 'int32', 1);
    const halves = full(b, type(B, 2), 0.5);
    expect(full(b, type(), 2).type.shape).toEqual([]);
    expect(zerosLike(b, halves).type).toEqual(halves.type);
    expect(broadcastTo(b, x, [addDims(B, 1), 4, 3]).type.shape.map(String)).toEqual(['B+1', '4', '3']);
    expect(broadcastTo(b, one, [])).toBe(one);
    expect(errorOf(() => broadcastTo(b, x, [3, 1])).code).toBe('shape_mismatch');
    expect(errorOf(() => broadcastTo(b, x, [1])).code).toBe('invalid_argument');
  });
});

describe('facts about ops', () => {
  test('floating point operations', () => {
    const b = new GraphBuilder();
    const x = b.parameter(type(B, 4));
    const w = b.parameter(type(4, 8));
    const y = b.op('dot_general', [x, w], { contract: [[1], [0]], batch: [[], []] });
    const sum = b.op('reduce', [b.op('add', [y, y])], { kind: 'sum', axes: [0] });
    const flops = b.build([b.op('reshape', [sum], { shape: [2, 4] })]).ops.map((op) => String(flopsOf(op)));
    expect(flops).toEqual(['64*B', '8*B', '8*B', '0']);
    const image = b.parameter(type(2, 4, 10));
    const kernel = b.parameter(type(6, 2, 3));
    b.op('convolution', [image, kernel], {
      strides: [1],
      padding: [[1, 1]],
      lhs_dilation: [1],
      rhs_dilation: [1],
      groups: 2,
    });
    expect(flopsOf(b.build([]).ops.at(-1) ?? raise())).toBe(2 * (2 * 6 * 10) * (2 * 3));
  });

  test('regrouping is exact for integers, never for float sums', () => {
    expect(isAssociative('add', { dtype: 'int32', shape: [] })).toBe(true);
    expect(isAssociative('add', { dtype: 'float32', shape: [] })).toBe(false);
    expect(isAssociative('maximum', { dtype: 'float32', shape: [] })).toBe(true);
    expect(isAssociative('subtract', { dtype: 'int32', shape: [] })).toBe(false);
  });
});

function raise(): never {
  throw new Error('no op');
}
