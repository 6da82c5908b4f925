/** Each rule of the verifier is broken once, beside a module that keeps it. */
import { describe, expect, test } from 'vitest';
import { dim } from '../../base/dim.ts';
import { SourceLocation } from '../../base/location.ts';
import { parseModule } from '../../ir/parser.ts';
import type { Func, Module, Op, OpOf, TensorType, Value } from '../../ir/types.ts';
import { verifierConstraints, verifyModule } from '../../ir/verifier.ts';
import { errorOf } from '../support/ir.ts';

const f32: TensorType = { dtype: 'float32', shape: [2] };
const value = (type: TensorType = f32): Value => ({ type });
const tanh = (operand: Value, result: Value, change: object = {}): Op =>
  ({ opcode: 'tanh', operands: [operand], attributes: {}, regions: [], results: [result], ...change }) as OpOf<'tanh'>;
const moduleOf = (...functions: Func[]): Module => ({ functions, main: 'main' });
const func = (name: string, parameters: Value[], ops: Op[], results: Value[]): Func => ({
  name,
  graph: { parameters, ops, results },
});

const [x, y, z] = [value(), value(), value()];
const good = func('main', [x], [tanh(x, y), tanh(y, z)], [z]);

/** Modules that break one rule each; `good` is the control case of all. */
const broken: readonly (readonly [label: string, module: Module])[] = [
  ['module_c1', moduleOf(good, func('main', [], [], []))],
  ['module_c2', moduleOf(func('other', [], [], []))],
  [
    'module_c3',
    moduleOf(
      func('main', [value({ dtype: 'float32', shape: [dim('B', { max: 4 })] })], [], []),
      func('f', [value({ dtype: 'float32', shape: [dim('B', { max: 5 })] })], [], []),
    ),
  ],
  ['graph_c1', moduleOf(func('main', [x, x], [], []))],
  ['graph_c1', moduleOf(func('main', [x], [tanh(x, y), tanh(x, y)], []))],
  ['graph_c2', moduleOf(func('main', [x], [tanh(y, z), tanh(x, y)], [z]))],
  ['graph_c2', moduleOf(func('main', [x], [], [y]))],
  ['op_c1', moduleOf(func('main', [x], [tanh(x, y, { opcode: 'tan' })], [y]))],
  ['op_c2', moduleOf(func('main', [x], [tanh(x, y, { attributes: { axis: 1 } })], [y]))],
  ['op_c2', moduleOf(func('main', [x], [tanh(x, y, { opcode: 'reverse', attributes: { axes: 0 } })], [y]))],
  ['op_c2', moduleOf(func('main', [x], [tanh(x, y, { opcode: 'reverse' })], [y]))],
  ['op_c3', moduleOf(func('main', [x], [tanh(x, y, { operands: [x, x] })], [y]))],
  ['op_c4', moduleOf(func('main', [x], [tanh(x, y, { results: [] })], []))],
  ['op_c4', moduleOf(func('main', [x], [tanh(x, value({ dtype: 'int32', shape: [2] }))], []))],
  ['op_c4', moduleOf(func('main', [x], [tanh(x, value({ dtype: 'float32', shape: [3] }))], []))],
  ['op_c5', moduleOf(func('main', [x], [tanh(x, y, { regions: [good.graph] })], [y]))],
];

describe('verifyModule', () => {
  test('accepts what is well formed', () => {
    verifyModule(moduleOf(good));
    verifyModule(moduleOf(func('f', [], [], []), good));
    expect(good.graph.ops).toHaveLength(2);
  });

  test.each(broken)('%s', (label, module) => {
    const error = errorOf(() => verifyModule(module));
    expect(error.code).toBe('invalid_ir');
    expect(error.summary).toContain(`${label}: ${verifierConstraints[label as keyof typeof verifierConstraints]}`);
  });

  test('every rule has a case', () => {
    const labels = new Set(broken.map(([label]) => label));
    expect(Object.keys(verifierConstraints).filter((label) => !labels.has(label))).toEqual([]);
  });

  test('a broken constraint of an op is named, with ten lines around the op and its place', () => {
    const lines = Array.from({ length: 20 }, (_, i) => `  %${i}: f32[2] = tanh %${i === 0 ? 'x' : i - 1}`);
    lines[12] = '  %12: f32[2] = add %11, %w @model.ts:7:3';
    const text = `func @main(%x: f32[2], %w: f32[3]) -> () {\n${lines.join('\n')}\n  return\n}\n`;
    const module = parseModule(text);
    const error = errorOf(() => verifyModule(module));
    expect(error.summary).toBe('@main, add: add: constraint add_c2 does not hold');
    expect(error.expected).toBe('both operands have the same shape');
    expect(String(error.location)).toBe('model.ts:7:3');
    expect(error.given?.split('\n')).toEqual([
      'f32[2] and f32[3]',
      ...[7, 8, 9, 10, 11].map((i) => `    ${String(i + 2).padStart(4)} |   %${i}: f32[2] = tanh %${i - 1}`),
      '  >   14 |   %12: f32[2] = add %11, %w @model.ts:7:3',
      ...[13, 14, 15, 16].map((i) => `    ${String(i + 2).padStart(4)} |   %${i}: f32[2] = tanh %${i - 1}`),
    ]);
  });

  test('calls see only functions before them', () => {
    const callee = 'func @f(%x: f32[2]) -> (f32[2]) {\n  return %x\n}\n';
    const caller = 'func @main(%x: f32[2]) -> (f32[2]) {\n  %0: f32[2] = call %x {function=@f}\n  return %0\n}\n';
    verifyModule(parseModule(callee + caller));
    expect(errorOf(() => verifyModule(parseModule(caller + callee))).summary).toContain('call_c1');
    const recursive = caller.replaceAll('@f', '@main');
    expect(errorOf(() => verifyModule(parseModule(recursive))).summary).toContain('call_c1');
  });

  test('locations do not matter', () => {
    const location = SourceLocation.of('a.ts', 1, 1);
    verifyModule(moduleOf(func('main', [x], [tanh(x, y, { location })], [y])));
    expect(String(location)).toBe('a.ts:1:1');
  });
});
