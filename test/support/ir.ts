/**
 * Short forms for tests of the IR: types from text, arrays from nested lists, one op built or evaluated by itself.
 *
 *     runOp('add', [array('i32', [1, 2]), array('i32', [3, 4])], {})       // i32[2] 4, 6
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { dim, type SymbolRange } from '../../base/dim.ts';
import { type DType, dtypeFromShortName } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, elementAt, positionOf, rowMajorStrides } from '../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import type { EvaluationMode } from '../../ir/ops/definition.ts';
import { definitions } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import { parseModule } from '../../ir/parser.ts';
import type { Func, Literal, Module, TensorType } from '../../ir/types.ts';
import { runs } from './runs.ts';

export type Nested = number | boolean | readonly Nested[];

const dtypeOf = (short: string): DType => {
  const dtype = dtypeFromShortName(short);
  if (!dtype) throw new Error(`no dtype ${short}`);
  return dtype;
};

/** An array from nested lists; sizes of empty lists may be given. */
export function array(short: string, values: Nested, shape?: readonly number[]): Literal {
  const found: number[] = [];
  for (let level: Nested = values; Array.isArray(level); level = level[0] as Nested) found.push(level.length);
  const flat = (Array.isArray(values) ? values.flat(Infinity as 1) : [values]).map(Number);
  return { dtype: dtypeOf(short), shape: shape ?? found, data: flat };
}

/** Nested lists of an array's elements. */
export function nested(literal: Literal): Nested {
  const data = denseData(literal);
  const build = (axis: number, from: number): Nested => {
    if (axis === literal.shape.length) return data[from];
    const inner = literal.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    return Array.from({ length: literal.shape[axis] }, (_, i) => build(axis + 1, from + i * inner));
  };
  return build(0, 0);
}

/** Symbols that types in tests may use. */
export const testSymbols: ReadonlyMap<string, SymbolRange> = new Map(
  [
    { name: 'B', min: 1, max: 64 },
    { name: 'T', min: 0, max: 100 },
    { name: 'N', min: 4, max: 4 },
  ].map((symbol) => [symbol.name, symbol]),
);
export const [B, T, N] = [...testSymbols.values()].map((symbol) => dim(symbol.name, symbol));

/** A type from text such as `f32[2,B+1]`. */
export function type(text: string): TensorType {
  const header = [...testSymbols.values()].map(({ name, min, max }) => `dim ${name} in [${min}, ${max}]`).join('\n');
  const module = parseModule(`${header}\nfunc @main(%x: ${text}) -> (${text}) { return %x }`);
  return module.functions[0].graph.parameters[0].type;
}

/** A module of one op over parameters. */
export function moduleOf<K extends Opcode>(
  opcode: K,
  types: readonly TensorType[],
  attributes: OpAttributes[K],
  functions: ReadonlyMap<string, Func> = new Map(),
): Module {
  const builder = new GraphBuilder({ functions });
  const operands = types.map(({ dtype, shape }) => builder.parameter({ dtype, shape }));
  const results = builder.results(opcode, operands, attributes);
  return { functions: [...functions.values(), { name: 'main', graph: builder.build(results) }], main: 'main' };
}

/** Types of an op's results. */
export const inferOp = <K extends Opcode>(
  opcode: K,
  types: readonly TensorType[],
  attributes: OpAttributes[K],
): readonly TensorType[] => {
  const { graph } = moduleOf(opcode, types, attributes).functions[0];
  return graph.results.map((result) => result.type);
};

/** The (first) result of one op on values. */
export const runOp = <K extends Opcode>(
  opcode: K,
  operands: readonly Literal[],
  attributes: OpAttributes[K],
  mode: EvaluationMode = 'double',
): Literal => evaluateModule(moduleOf(opcode, operands, attributes), operands, { mode })[0];

/** The KilnError a function throws. */
export function errorOf(run: () => unknown): KilnError {
  try {
    run();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** A property of samples of an op, without NaN and infinities so that sums can be compared. */
export function forSamples<K extends Opcode>(
  opcode: K,
  property: (operands: readonly Literal[], attributes: OpAttributes[K]) => void,
  options: { readonly count?: number; readonly special?: boolean } = {},
): void {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const sample = definitions[opcode].sample?.(new Random(seed, { special: options.special ?? false }));
      if (!sample) throw new Error(`${opcode} has no sampler`);
      property(sample.operands, sample.attributes);
    }),
    runs(options.count ?? 100),
  );
}

/** The element at an index. */
export const at = (literal: Literal, index: readonly number[]): number =>
  elementAt(literal, positionOf(index, rowMajorStrides(literal.shape)));

/** Equal shapes and elements, but for rounding in double precision. */
export function close(a: Literal, b: Literal): void {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [denseData(a), denseData(b)];
  for (let i = 0; i < x.length; i++) {
    if (x[i] !== y[i]) expect(Math.abs(x[i] - y[i])).toBeLessThanOrEqual(1e-10 * (1 + Math.abs(x[i])));
  }
}
