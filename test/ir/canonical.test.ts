/** Keys: equal for what computes the same by the same ops, different for everything else. */
import { describe, expect, test } from 'vitest';
import { dim } from '../../base/dim.ts';
import { SourceLocation } from '../../base/location.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { attributesKey, canonicalGraph, canonicalModule, literalKey } from '../../ir/canonical.ts';
import { splat } from '../../ir/literal.ts';
import { parseModule } from '../../ir/parser.ts';
import type { Graph } from '../../ir/types.ts';
import { randomModule } from '../support/random-graph.ts';

const graphOf = (build: (b: GraphBuilder) => void, shape: readonly number[] = [2]): Graph => {
  const b = new GraphBuilder();
  b.parameter({ dtype: 'float32', shape }, 'x');
  build(b);
  return b.build([]);
};

const base = `func @g(%a: f32[2]) -> (f32[2]) {
  %b: f32[2] = tanh %a
  return %b
}
func @main(%x: f32[2], %y: f32[2]) -> (f32[2]) {
  %s: f32[2] = subtract %x, %y
  %c: f32[2] = constant {value=0}
  %t: f32[2] = call %s {function=@g}
  %r: f32[2] = add %t, %c
  return %r
}
`;

describe('canonical text', () => {
  const key = (text: string): string => canonicalModule(parseModule(text));

  test('leaves out names of values and functions, and locations', () => {
    expect(key(base.replaceAll('%s', '%difference').replaceAll('@g', '@other'))).toBe(key(base));
    expect(key(base.replace('tanh %a', 'tanh %a @m.ts:1:2'))).toBe(key(base));
    const named = graphOf((b) =>
      b.op('constant', [], { value: splat('float32', [], 1) }, { name: 'one', location: SourceLocation.of('a', 1, 1) }),
    );
    expect(canonicalGraph(named)).toBe(
      canonicalGraph(graphOf((b) => b.op('constant', [], { value: splat('float32', [], 1) }))),
    );
  });

  test.each([
    ['operand order', 'subtract %x, %y', 'subtract %y, %x'],
    ['opcode', 'subtract %x', 'multiply %x'],
    ['-0 and 0', 'value=0', 'value=-0'],
    ['NaN and 0', 'value=0', 'value=nan'],
    ['NaN and infinity', 'value=inf', 'value=nan'],
    ['splat and dense', 'value=0', 'value=[0, 0]'],
    ['result', 'return %r', 'return %t'],
    ['parameter types', '%x: f32[2], %y: f32[2]) -> (f32[2])', '%x: f32[2], %y: f32[2], %z: f32[]) -> (f32[2])'],
  ])('tells apart: %s', (_, from, to) => {
    const first = from.startsWith('value=') ? base.replace('value=0', from) : base;
    expect(key(base.replace(from === 'value=inf' ? 'value=0' : from, to))).not.toBe(key(first));
  });

  test('ranges of symbols count, also of those in attributes alone', () => {
    const sized = (max: number): string =>
      canonicalGraph(graphOf((b) => b.op('dimension_size', [], { size: dim('B', { max }), dtype: 'int32' })));
    expect(sized(8)).not.toBe(sized(9));
  });

  test('of many random modules, different modules have different keys', () => {
    const keys = new Set<string>();
    for (let seed = 0; seed < 50; seed++) keys.add(canonicalModule(randomModule(seed, { ops: 8 }).module));
    expect(keys.size).toBe(50);
  });

  test('a graph of 50,000 ops takes no recursion and little time', () => {
    const b = new GraphBuilder();
    let x = b.parameter({ dtype: 'float32', shape: [2, 3] });
    for (let i = 0; i < 50_000; i++) x = b.op('add', [x, x]);
    const text = canonicalGraph(b.build([x]));
    expect(text.startsWith('f32[2,3];add 0 0f32[2,3];add 1 1f32[2,3]')).toBe(true);
    expect(text.endsWith(';->50000')).toBe(true);
  });
});

test('attributes and literals by themselves', () => {
  expect(attributesKey('reduce', { kind: 'sum', axes: [0, 1] })).toBe('{sum [0,1]}');
  expect(attributesKey('tanh', {})).toBe('');
  expect(literalKey(splat('float32', [2, 2], -0))).toBe('f32[2,2]-0');
  expect(literalKey({ dtype: 'int32', shape: [2], data: [1, 2] })).toBe('i32[2]1 2');
});
