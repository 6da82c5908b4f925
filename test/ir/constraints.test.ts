/**
 * Every labelled constraint has a case that breaks it and nothing else: the same op with one thing changed back passes.
 */
import { describe, expect, test } from 'vitest';
import { mulDims, subDims } from '../../base/dim.ts';
import type { ErrorCode } from '../../base/error.ts';
import { splat } from '../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import { opcodeOfLabel } from '../../ir/ops/definition.ts';
import { definitions, opcodes, traitsOf } from '../../ir/ops/index.ts';
import type { Func } from '../../ir/types.ts';
import { B, errorOf, inferOp, moduleOf, T, type } from '../support/ir.ts';

interface Case {
  readonly label: string;
  readonly code: ErrorCode;
  readonly run: () => unknown;
  readonly control: () => unknown;
}

/** A valid op, and what to replace in it. */
function cases<K extends Opcode>(
  opcode: K,
  operands: readonly string[],
  attributes: OpAttributes[K],
  broken: readonly (readonly [number, ErrorCode, readonly string[] | undefined, Partial<OpAttributes[K]>?])[],
): Case[] {
  const infer = (types: readonly string[], values: OpAttributes[K]) => () => inferOp(opcode, types.map(type), values);
  return broken.map(([number, code, types, change]) => ({
    label: `${opcode}_c${number}`,
    code,
    run: infer(types ?? operands, { ...attributes, ...change }),
    control: infer(operands, attributes),
  }));
}

const same = undefined;
const list = [1, 1];
const conv = {
  strides: list,
  padding: [
    [0, 0],
    [0, 0],
  ] as const,
  lhs_dilation: list,
  rhs_dilation: list,
  groups: 2,
};
const window = {
  kind: 'sum',
  window: [2, 2],
  strides: list,
  padding: [
    [0, 0],
    [0, 0],
  ],
  base_dilation: list,
  window_dilation: list,
} as const;
const gather = {
  offset_axes: [1],
  collapsed_axes: [0],
  start_index_map: [0],
  index_vector_axis: 1,
  slice_sizes: [1, 8],
  mode: 'clamp',
} as const;
const scatter = {
  update_window_axes: [1],
  inserted_window_axes: [0],
  scatter_axes_to_operand_axes: [0],
  index_vector_axis: 1,
  kind: 'add',
} as const;
const none: readonly [number[], number[]] = [[], []];

const table: readonly Case[] = [
  ...cases('bitcast_convert', ['f32[2]'], { dtype: 'int32' }, [
    [1, 'dtype_mismatch', same, { dtype: 'float16' }],
    [1, 'dtype_mismatch', ['bool[2]'], { dtype: 'int8' }],
  ]),
  ...cases('compare', ['f32[2]', 'f32[2]'], { direction: 'LT' }, [
    [1, 'dtype_mismatch', ['f32[2]', 'i32[2]']],
    [2, 'shape_mismatch', ['f32[2]', 'f32[3]']],
  ]),
  ...cases('select', ['bool[2]', 'f32[2]', 'f32[2]'], {}, [
    [1, 'dtype_mismatch', ['i32[2]', 'f32[2]', 'f32[2]']],
    [2, 'dtype_mismatch', ['bool[2]', 'f32[2]', 'i32[2]']],
    [3, 'shape_mismatch', ['bool[2]', 'f32[2]', 'f32[3]']],
    [3, 'shape_mismatch', ['bool[]', 'f32[2]', 'f32[2]']],
  ]),
  ...cases('constant', [], { value: splat('float32', [2], 1) }, [
    [1, 'shape_mismatch', same, { value: { dtype: 'float32', shape: [2], data: [1, 2, 3] } }],
    [2, 'invalid_size', same, { value: splat('float32', [-1], 1) }],
    [3, 'invalid_argument', same, { value: splat('int32', [2], 1.5) }],
    [3, 'invalid_argument', same, { value: splat('uint32', [2], -1) }],
    [3, 'invalid_argument', same, { value: splat('bool', [2], 2) }],
  ]),
  ...cases('iota', [], { dtype: 'int32', shape: [2, B], axis: 1 }, [
    [1, 'dtype_mismatch', same, { dtype: 'bool' }],
    [2, 'invalid_size', same, { shape: [2, -1] }],
    [2, 'invalid_size', same, { shape: [2, Number.NaN] }],
    [3, 'invalid_argument', same, { axis: 2 }],
    [3, 'invalid_argument', same, { axis: 0.5 }],
  ]),
  ...cases('dimension_size', [], { size: B, dtype: 'float32' }, [
    [1, 'dtype_mismatch', same, { dtype: 'bool' }],
    [2, 'invalid_argument', same, { size: 1.5 }],
  ]),
  ...cases('broadcast_in_dim', ['f32[3,1]'], { shape: [2, 3, 4], axes: [1, 2] }, [
    [1, 'invalid_argument', same, { axes: [1] }],
    [2, 'invalid_argument', same, { axes: [1, 1] }],
    [2, 'invalid_argument', same, { axes: [1, 3] }],
    [3, 'shape_mismatch', same, { shape: [2, 5, 4] }],
    [3, 'unknown_size', ['f32[B,1]'], { shape: [2, 3, 4] }],
    [4, 'invalid_size', same, { shape: [-2, 3, 4] }],
  ]),
  ...cases('reshape', ['f32[B,4]'], { shape: [mulDims(B, 2), 2] }, [
    [1, 'shape_mismatch', ['f32[5]'], { shape: [6] }],
    [1, 'unknown_size', same, { shape: [B, T] }],
    [2, 'invalid_size', ['f32[4]'], { shape: [-2, -2] }],
  ]),
  ...cases('transpose', ['f32[2,3]'], { permutation: [1, 0] }, [
    [1, 'invalid_argument', same, { permutation: [1, 1] }],
    [1, 'invalid_argument', same, { permutation: [0] }],
  ]),
  ...cases('reverse', ['f32[2,3]'], { axes: [1, 0] }, [
    [1, 'invalid_argument', same, { axes: [2] }],
    [1, 'invalid_argument', same, { axes: [0, 0] }],
  ]),
  ...cases('slice', ['f32[4,B]'], { start: [1, 0], limit: [4, B], strides: [2, 1] }, [
    [1, 'invalid_argument', same, { start: [0] }],
    [2, 'invalid_size', same, { start: [-1, 0] }],
    [2, 'shape_mismatch', same, { start: [4, 0], limit: [3, B] }],
    [2, 'shape_mismatch', same, { limit: [5, B] }],
    [2, 'unknown_size', same, { limit: [4, 3] }],
    [3, 'invalid_argument', same, { strides: [0, 1] }],
  ]),
  ...cases('pad', ['f32[4,B]', 'f32[]'], { low: [1, -1], high: [0, 2], interior: [1, 0] }, [
    [1, 'dtype_mismatch', ['f32[4,B]', 'i32[]']],
    [2, 'shape_mismatch', ['f32[4,B]', 'f32[1]']],
    [3, 'invalid_argument', same, { low: [1] }],
    [4, 'invalid_argument', same, { interior: [-1, 0] }],
    [5, 'shape_mismatch', same, { low: [-9, 0] }],
    [5, 'unknown_size', same, { low: [0, -9] }],
    [5, 'unknown_size', ['f32[4,T]', 'f32[]'], { interior: [0, 1] }],
    [5, 'invalid_size', same, { high: [0.5, 2] }],
  ]),
  ...cases('concatenate', ['f32[2,3]', 'f32[2,B]'], { axis: 1 }, [
    [1, 'invalid_argument', []],
    [2, 'dtype_mismatch', ['f32[2,3]', 'i32[2,3]']],
    [3, 'invalid_argument', same, { axis: 2 }],
    [4, 'shape_mismatch', ['f32[2,3]', 'f32[3,3]']],
    [4, 'shape_mismatch', ['f32[2,3]', 'f32[2]']],
  ]),
  ...cases('dynamic_slice', ['f32[4,8]', 'i32[]', 'i32[]'], { sizes: [2, 8] }, [
    [1, 'invalid_argument', ['f32[4,8]', 'i32[]']],
    [1, 'dtype_mismatch', ['f32[4,8]', 'i32[]', 'f32[]']],
    [1, 'shape_mismatch', ['f32[4,8]', 'i32[]', 'i32[1]']],
    [2, 'invalid_argument', same, { sizes: [2] }],
    [3, 'shape_mismatch', same, { sizes: [5, 8] }],
    [3, 'invalid_size', same, { sizes: [-1, 8] }],
  ]),
  ...cases('dynamic_update_slice', ['f32[4,8]', 'f32[2,8]', 'i32[]', 'i32[]'], {}, [
    [1, 'dtype_mismatch', ['f32[4,8]', 'f32[2,8]', 'u32[]', 'i32[]']],
    [2, 'dtype_mismatch', ['f32[4,8]', 'i32[2,8]', 'i32[]', 'i32[]']],
    [3, 'shape_mismatch', ['f32[4,8]', 'f32[5,8]', 'i32[]', 'i32[]']],
    [3, 'shape_mismatch', ['f32[4,8]', 'f32[2]', 'i32[]', 'i32[]']],
  ]),
  ...cases('gather', ['f32[9,8]', 'i32[3,1]'], gather, [
    [1, 'dtype_mismatch', ['f32[9,8]', 'f32[3,1]']],
    [2, 'invalid_argument', same, { index_vector_axis: 3 }],
    [3, 'shape_mismatch', ['f32[9,8]', 'i32[3,2]']],
    [3, 'invalid_argument', same, { start_index_map: [2] }],
    [4, 'invalid_argument', same, { slice_sizes: [1] }],
    [4, 'shape_mismatch', same, { slice_sizes: [1, 9] }],
    [5, 'shape_mismatch', same, { slice_sizes: [2, 8] }],
    [5, 'invalid_argument', same, { collapsed_axes: [2] }],
    [6, 'invalid_argument', same, { offset_axes: [0, 1] }],
    [6, 'invalid_argument', same, { offset_axes: [2] }],
  ]),
  ...cases('scatter', ['f32[9,8]', 'i32[3,1]', 'f32[3,8]'], scatter, [
    [1, 'dtype_mismatch', ['f32[9,8]', 'bool[3,1]', 'f32[3,8]']],
    [2, 'invalid_argument', same, { index_vector_axis: -1 }],
    [3, 'shape_mismatch', ['f32[9,8]', 'i32[3,2]', 'f32[3,8]']],
    [4, 'dtype_mismatch', ['f32[9,8]', 'i32[3,1]', 'i32[3,8]']],
    [4, 'dtype_mismatch', ['bool[9,8]', 'i32[3,1]', 'bool[3,8]']],
    [5, 'invalid_argument', same, { inserted_window_axes: [3] }],
    [6, 'invalid_argument', same, { update_window_axes: [] }],
    [6, 'invalid_argument', same, { update_window_axes: [2] }],
    [7, 'shape_mismatch', ['f32[9,8]', 'i32[3,1]', 'f32[4,8]']],
    [7, 'shape_mismatch', ['f32[9,8]', 'i32[3,1]', 'f32[8]'], { update_window_axes: [0] }],
    [8, 'shape_mismatch', ['f32[9,8]', 'i32[3,1]', 'f32[3,9]']],
    [8, 'shape_mismatch', ['f32[0,8]', 'i32[3,1]', 'f32[3,8]']],
  ]),
  ...cases('sort', ['f32[B,4]'], { axis: 1, direction: 'ascending', count: 3, result: 'values' }, [
    [1, 'invalid_argument', same, { axis: 2 }],
    [2, 'shape_mismatch', same, { count: 5 }],
    [2, 'invalid_size', same, { count: -1 }],
    [2, 'unknown_size', same, { axis: 0 }],
  ]),
  ...cases('cumulative', ['f32[B,4]'], { kind: 'sum', axis: 1 }, [
    [1, 'invalid_argument', same, { axis: 2 }],
    [2, 'dtype_mismatch', ['bool[B,4]']],
  ]),
  ...cases('dot_general', ['f32[B,2,3]', 'f32[B,3,4]'], { contract: [[2], [1]], batch: [[0], [0]] }, [
    [1, 'dtype_mismatch', ['f32[B,2,3]', 'i32[B,3,4]']],
    [1, 'dtype_mismatch', ['bool[B,2,3]', 'bool[B,3,4]']],
    [2, 'invalid_argument', same, { contract: [[2], []] }],
    [2, 'invalid_argument', same, { contract: [[0], [1]] }],
    [2, 'invalid_argument', same, { contract: [[3], [1]] }],
    [3, 'shape_mismatch', ['f32[B,2,3]', 'f32[B,5,4]']],
    [3, 'unknown_size', ['f32[B,2,3]', 'f32[B,B,4]']],
    [4, 'shape_mismatch', ['f32[2,2,3]', 'f32[3,3,4]']],
    [4, 'unknown_size', ['f32[B,2,3]', 'f32[T,3,4]']],
  ]),
  ...cases('convolution', ['f32[B,4,8,8]', 'f32[6,2,3,3]'], conv, [
    [1, 'dtype_mismatch', ['f32[B,4,8,8]', 'i32[6,2,3,3]']],
    [2, 'shape_mismatch', ['f32[B,4,8,8]', 'f32[6,2,3]']],
    [2, 'shape_mismatch', ['f32[4]', 'f32[6]']],
    [3, 'invalid_argument', same, { strides: [1] }],
    [4, 'invalid_argument', same, { rhs_dilation: [0, 1] }],
    [5, 'invalid_argument', same, { groups: 0 }],
    [5, 'shape_mismatch', ['f32[B,4,8,8]', 'f32[5,2,3,3]']],
    [6, 'shape_mismatch', ['f32[B,5,8,8]', 'f32[6,2,3,3]']],
    [7, 'shape_mismatch', ['f32[B,4,8,8]', 'f32[6,2,0,3]']],
    [8, 'unknown_size', ['f32[B,4,8,B]', 'f32[6,2,3,3]']],
  ]),
  ...cases('reduce', ['f32[B,3]'], { kind: 'argmax', axes: [1] }, [
    [1, 'invalid_argument', same, { axes: [2] }],
    [2, 'dtype_mismatch', same, { kind: 'and' }],
    [2, 'dtype_mismatch', ['bool[B,3]'], { kind: 'sum' }],
    [3, 'invalid_argument', same, { axes: [0, 1] }],
    [3, 'invalid_argument', same, { axes: [] }],
    [4, 'shape_mismatch', ['f32[B,0]']],
    [4, 'unknown_size', ['f32[B,T]']],
  ]),
  ...cases('reduce_window', ['f32[4,B+1]'], window, [
    [1, 'dtype_mismatch', ['bool[4,B+1]']],
    [2, 'invalid_argument', same, { window: [2] }],
    [3, 'invalid_argument', same, { strides: [1, 0] }],
    [4, 'unknown_size', same, { window: [2, 4] }],
    [4, 'unknown_size', ['f32[4,T]'], { base_dilation: [1, 2] }],
  ]),
  ...elementwiseCases(),
  ...callCases(),
];

/** The ops that differ in their dtype class alone: wrong dtypes, then dtypes and shapes that differ. */
function elementwiseCases(): Case[] {
  return opcodes.flatMap((opcode) => {
    const { attributes, constraints, operands } = definitions[opcode];
    const labels = Object.keys(constraints);
    const plain = traitsOf(opcode).elementwise && Object.keys(attributes).length === 0 && opcode !== 'select';
    if (!plain || labels.length === 0) return [];
    const infer =
      (...types: readonly string[]) =>
      () =>
        inferOp(opcode as 'add', types.map(type), {});
    const accepts = (dtype: string): boolean => {
      try {
        infer(...operands.map(() => `${dtype}[2]`))();
        return true;
      } catch {
        return false;
      }
    };
    const dtypes = ['f32', 'i32', 'u32', 'bool'];
    const [right, wrong] = [dtypes.find(accepts), dtypes.find((dtype) => !accepts(dtype))];
    if (right === undefined || wrong === undefined) throw new Error(`${opcode} takes all dtypes or none`);
    const control = infer(...operands.map(() => `${right}[2]`));
    const rows: Case[] = [
      { label: labels[0], code: 'dtype_mismatch', run: infer(...operands.map(() => `${wrong}[2]`)), control },
    ];
    if (operands.length === 2) {
      const [dtype, shape, rank, unknown] = [`${wrong}[2]`, `${right}[3]`, `${right}[2,1]`, `${right}[B]`];
      rows.push(
        { label: labels[0], code: 'dtype_mismatch', run: infer(`${right}[2]`, dtype), control },
        { label: labels[1], code: 'shape_mismatch', run: infer(`${right}[2]`, shape), control },
        { label: labels[1], code: 'shape_mismatch', run: infer(`${right}[2]`, rank), control },
        { label: labels[1], code: 'unknown_size', run: infer(`${right}[2]`, unknown), control },
      );
    }
    return rows;
  });
}

function callCases(): Case[] {
  const { graph } = moduleOf('tanh', [type('f32[B]')], {}).functions[0];
  const functions = new Map<string, Func>([['f', { name: 'f', graph }]]);
  const call =
    (name: string, ...types: readonly string[]) =>
    () =>
      moduleOf('call', types.map(type), { function: name }, functions);
  const control = call('f', 'f32[B]');
  return [
    { label: 'call_c1', code: 'invalid_argument', run: call('g', 'f32[B]'), control },
    { label: 'call_c2', code: 'shape_mismatch', run: call('f', 'f32[3]'), control },
    { label: 'call_c2', code: 'shape_mismatch', run: call('f', 'i32[B]'), control },
    { label: 'call_c2', code: 'shape_mismatch', run: call('f'), control },
  ];
}

describe('constraints', () => {
  test.each(table)('$label: $code', ({ label, code, run, control }) => {
    control();
    const error = errorOf(run);
    expect(error.summary).toBe(`${opcodeOfLabel(label)}: constraint ${label} does not hold`);
    expect(error.code).toBe(code);
    expect(error.expected).toBeTruthy();
    expect(error.given).toBeTruthy();
  });

  test('every label has a case', () => {
    const labels = opcodes.flatMap((opcode) => Object.keys(definitions[opcode].constraints));
    expect(labels.filter((label) => !table.some((row) => row.label === label))).toEqual([]);
  });

  test('labels count from 1', () => {
    for (const opcode of opcodes) {
      const labels = Object.keys(definitions[opcode].constraints);
      expect(labels).toEqual(labels.map((_, i) => `${opcode}_c${i + 1}`));
    }
  });

  test('the number of operands', () => {
    const error = errorOf(() => inferOp('add', [type('f32[2]')], {}));
    expect(error.code).toBe('invalid_argument');
    expect(error.summary).toBe('add: number of operands');
    expect(error.expected).toBe('lhs, rhs');
    expect(errorOf(() => inferOp('dynamic_slice', [], { sizes: [] })).code).toBe('invalid_argument');
  });
});

describe('symbolic sizes in type rules', () => {
  const shapeOf = <K extends Opcode>(opcode: K, types: readonly string[], attributes: OpAttributes[K]): string =>
    String(inferOp(opcode, types.map(type), attributes)[0].shape);

  test('results are formulas', () => {
    expect(shapeOf('concatenate', ['f32[B,2]', 'f32[T,2]', 'f32[3,2]'], { axis: 0 })).toBe('B+T+3,2');
    expect(shapeOf('pad', ['f32[B]', 'f32[]'], { low: [1], high: [T], interior: [2] })).toBe('3*B+T-1');
    expect(shapeOf('slice', ['f32[B]'], { start: [subDims(B, 1)], limit: [B], strides: [1] })).toBe('1');
    expect(shapeOf('slice', ['f32[B]'], { start: [0], limit: [B], strides: [2] })).toBe('floordiv(B+1,2)');
    expect(shapeOf('dot_general', ['f32[B,T]', 'f32[T,4]'], { contract: [[1], [0]], batch: none })).toBe('B,4');
  });

  test('windows are counted by formula where they fit', () => {
    const attributes = { ...window, window: [2, 2], strides: [2, 2] };
    expect(shapeOf('reduce_window', ['f32[B+1,2*B]'], attributes)).toBe('floordiv(B+1,2),B');
    const wide = {
      ...conv,
      groups: 1,
      padding: [
        [1, 1],
        [1, 1],
      ] as const,
    };
    expect(shapeOf('convolution', ['f32[B,1,B,T+1]', 'f32[1,1,3,3]'], wide)).toBe('B,1,B,T+1');
  });

  test('a symbol of one value is that number', () => {
    expect(inferOp('add', [type('f32[N]'), type('f32[4]')], {})).toHaveLength(1);
  });
});
