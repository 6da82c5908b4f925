/** Printer and parser: golden text, exact round trips, errors that name the line. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dim, floorDivDims } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';
import { printNumber } from '../../ir/attributes.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { canonicalModule } from '../../ir/canonical.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { equalLiterals, splat } from '../../ir/literal.ts';
import { definitions, opcodes } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import { parseModule } from '../../ir/parser.ts';
import { printModule } from '../../ir/printer.ts';
import type { Module, Op, Value } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { errorOf, moduleOf, type } from '../support/ir.ts';
import { randomModule } from '../support/random-graph.ts';
import { runs } from '../support/runs.ts';

const roundTrip = (text: string): string => printModule(parseModule(text), { locations: true });

describe('golden text', () => {
  test('a module as the header comments show it', () => {
    const batch = dim('B', { max: 4096 });
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'float32', shape: [batch, 4] }, 'x');
    const w = b.parameter({ dtype: 'float32', shape: [4, 2] }, 'w');
    const location = SourceLocation.of('model.ts', 12, 14);
    const y = b.op('dot_general', [x, w], { contract: [[1], [0]], batch: [[], []] }, { location });
    const module: Module = { functions: [{ name: 'main', graph: b.build([y]) }], main: 'main' };
    const lines = [
      'dim B in [1, 4096]',
      '',
      'func @main(%x: f32[B,4], %w: f32[4,2]) -> (f32[B,2]) {',
      '  %0: f32[B,2] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]} @model.ts:12:14',
      '  return %0',
      '}',
      '',
    ];
    expect(printModule(module, { locations: true })).toBe(lines.join('\n'));
    expect(printModule(module)).toBe(lines.join('\n').replace(' @model.ts:12:14', ''));
    expect(roundTrip(lines.join('\n'))).toBe(lines.join('\n'));
  });

  test.each([
    [
      'every kind of attribute and several functions',
      `main @step
dim B in [1, 64]
dim T in [0, 2147483647]

func @layer(%x: f32[B,T]) -> (f32[B,T], bool[B,T]) {
  %0: f32[B,T] = tanh %x
  %1: bool[B,T] = compare %0, %x {direction=LT}
  return %0, %1
}

func @"my layer-2"(%a.b: f32[B,T]) -> () {
  return
}

func @step(%x: f32[B,T], %i: i32[]) -> (f32[2*B-1,T], f32[]) {
  %h: f32[B,T], %mask: bool[B,T] = call %x {function=@layer}
  call %h {function=@"my layer-2"}
  %0: f32[] = dimension_size {size=floordiv(T+3,4), dtype=f32}
  %1: f32[2*B-1,T] = pad %h, %0 {low=[0,0], high=[0,0], interior=[1,0]}
  %2: f32[B,1] = dynamic_slice %h, %i, %i {sizes=[B,1]} @src/a b.ts:1:2
  %3: f32[3] = constant {value=[-0, inf, nan]}
  %4: bool[2,2] = constant {value=[[true, false], [false, true]]}
  %5: i32[2,0] = constant {value=[[], []]}
  %6: f32[7] = constant {value=1e-45}
  %7: f32[1,1,2,1] = reduce_window %2 {kind=max, window=[1,1], strides=[1,1], padding=[[0,0],[-1,B]], base_dilation=[1,1], window_dilation=[1,1]}
  return %1, %0
}
`,
    ],
    [
      'regions and several results',
      `func @main(%x: f32[4]) -> (f32[4]) {
  %0: f32[4], %1: i32[4] = add %x, %x @m.ts:3:9 region (%a: f32[], %b: f32[]) {
    %2: bool[] = compare %a, %b {direction=GT}
    return %2
  } region () {
    %3: f32[] = constant {value=1}
    return %3
  }
  return %0
}
`,
    ],
    ['no parameters and no ops', 'func @main() -> () {\n  return\n}\n'],
  ])('round trip: %s', (_, text) => {
    expect(roundTrip(text)).toBe(text);
  });

  test('the mark of a checkpointed function', () => {
    const text = [
      'func @block(%x: f32[2]) -> (f32[2]) checkpoint {',
      '  %0: f32[2] = tanh %x',
      '  return %0',
      '}',
      '',
      'func @main(%x: f32[2]) -> (f32[2]) {',
      '  %0: f32[2] = call %x {function=@block}',
      '  return %0',
      '}',
      '',
    ].join('\n');
    const module = parseModule(text);
    expect(module.functions.map(({ checkpoint }) => checkpoint)).toEqual([true, undefined]);
    expect(printModule(module)).toBe(text);
    const plain = { ...module, functions: module.functions.map(({ name, graph }) => ({ name, graph })) };
    expect(canonicalModule(module)).toBe(canonicalModule(plain));
  });

  test('comments and free spacing are accepted, order of attributes too', () => {
    const text = `// RUN: verify
      func @main( %x : f32[ 2 , 3 ] )->( f32[2] ) { // body
        %s:f32[2]=reduce %x{ axes = [1] , kind = sum }
        return %s }`;
    expect(roundTrip(text)).toBe(
      'func @main(%x: f32[2,3]) -> (f32[2]) {\n  %s: f32[2] = reduce %x {kind=sum, axes=[1]}\n  return %s\n}\n',
    );
  });
});

describe('names', () => {
  test('are made of identifier characters, unique, and stable', () => {
    const b = new GraphBuilder();
    const type = { dtype: 'float32', shape: [] } as const;
    const values = ['x', 'x', 'x_1', 'x', '0', 'my value', '', 'größe', '.5', 'a.b'].map((name) =>
      b.parameter(type, name),
    );
    b.parameter(type);
    const module: Module = { functions: [{ name: 'main', graph: b.build(values) }], main: 'main' };
    const text = printModule(module);
    expect(text.split('(')[1].match(/%[^:]*/g)).toEqual(
      ['x', 'x_1', 'x_1_1', 'x_2', '_0', 'my_value', '0', 'gr__e', '_.5', 'a.b', '1'].map((name) => `%${name}`),
    );
    expect(printModule(parseModule(text))).toBe(text);
  });

  test('many equal names cost no quadratic time', () => {
    const b = new GraphBuilder();
    let x = b.parameter({ dtype: 'float32', shape: [] }, 'x');
    for (let i = 0; i < 20_000; i++) x = b.op('tanh', [x], {}, { name: 'h' });
    const text = printModule({ functions: [{ name: 'main', graph: b.build([x]) }], main: 'main' });
    expect(text).toContain('%h_19999: f32[] = tanh %h_19998\n');
  });
});

describe('numbers', () => {
  test.each([
    [0, '0'],
    [-0, '-0'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, 'nan'],
    [Math.fround(0.1), '0.10000000149011612'],
    [5e-324, '5e-324'],
    [-1.7976931348623157e308, '-1.7976931348623157e+308'],
  ])('%d prints as %s', (value, text) => {
    expect(printNumber(value)).toBe(text);
  });

  test('every double comes back exactly, dense and splat', () => {
    fc.assert(
      fc.property(fc.array(fc.double(), { minLength: 2, maxLength: 5 }), (values) => {
        for (const value of [
          { dtype: 'float32', shape: [values.length], data: values } as const,
          splat('float32', [3], values[0]),
        ]) {
          const module = moduleOf('constant', [], { value });
          const [op] = parseModule(printModule(module)).functions[0].graph.ops;
          if (op.opcode !== 'constant') throw new Error(op.opcode);
          expect(equalLiterals(op.attributes.value, value)).toBe(true);
          expect(op.attributes.value.data.length).toBe(value.data.length);
        }
      }),
      runs(200),
    );
  });
});

describe('round trip', () => {
  test('of every op', () => {
    for (const opcode of opcodes) {
      for (let seed = 0; seed < 10; seed++) {
        const sample = definitions[opcode].sample?.(new Random(seed));
        if (!sample) continue;
        const text = printModule(moduleOf(opcode, sample.operands, sample.attributes));
        const back = parseModule(text);
        expect(printModule(back)).toBe(text);
        verifyModule(back);
      }
    }
  });

  test('of random modules: text, key and meaning stay', () => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), fc.boolean(), (seed, special, symbolic) => {
        const { module, inputs } = randomModule(seed, { ops: 15, special, symbolic });
        const text = printModule(module);
        const back = parseModule(text);
        expect(printModule(back)).toBe(text);
        expect(canonicalModule(back)).toBe(canonicalModule(module));
        verifyModule(module);
        verifyModule(back);
        const [a, b] = [module, back].map((m) => evaluateModule(m, inputs, { mode: 'rounded' }));
        a.forEach((literal, i) => {
          expect(equalLiterals(literal, b[i])).toBe(true);
        });
      }),
      runs(60),
    );
  });

  test('parses to a graph of the same structure', () => {
    const symbolic = floorDivDims(dim('B', { min: 3, max: 9 }), 2);
    const module = moduleOf('iota', [], { dtype: 'int32', shape: [symbolic, 2], axis: 0 });
    expect(parseModule(printModule(module))).toEqual(module);
    const wide = moduleOf('select', [type('bool[2]'), type('u32[2]'), type('u32[2]')], {});
    expect(parseModule(printModule(wide))).toEqual(wide);
  });
});

describe('parse errors name line and column and show the line', () => {
  const body = (line: string): string => `func @main(%x: f32[2]) -> (f32[2]) {\n  ${line}\n  return %x\n}\n`;
  test.each([
    [body('%0: f32[2] = ad %x, %x'), 2, 16, 'unknown opcode ad'],
    [body('%0: f32[2] = add %x, %y'), 2, 24, '%y is not defined before'],
    [body('%x: f32[2] = tanh %x'), 2, 3, '%x is defined twice'],
    [body('%0: f32[2], %0: f32[2] = tanh %x'), 2, 15, '%0 is defined twice'],
    [body('%0: g32[2] = tanh %x'), 2, 7, 'unknown dtype'],
    [body('%0: f32[C] = tanh %x'), 2, 11, "'C' is no size over the declared symbols"],
    [body('%0: f32[2 = tanh %x'), 2, 11, "'2 = tanh %x' is no size over the declared symbols"],
    [body('%0: f32[] = reduce %x {kind=sum}'), 2, 25, 'reduce needs the attribute axes'],
    [
      body('%0: f32[] = reduce %x {kind=total, axes=[0]}'),
      2,
      31,
      'expected one of sum, product, max, min, and, or, argmax, argmin',
    ],
    [body('%0: f32[] = reduce %x {kinds=sum, axes=[0]}'), 2, 26, 'reduce has no attribute kinds'],
    [body('%0: f32[] = reduce %x {kind=sum, kind=sum, axes=[0]}'), 2, 36, 'attribute kind twice'],
    [body('%0: f32[] = reduce %x {kind=sum, axes=[0.5]}'), 2, 42, 'expected an integer'],
    [body('%0: f32[2] = constant {value=[1, x]}'), 2, 36, 'expected a number'],
    [body('%0: f32[2] = constant {value=[1]}'), 2, 32, 'expected 2 items'],
    [body('%0: f32[1] = convolution %x, %x {padding=[[1]]}'), 2, 45, 'expected two items'],
    ['func @main() -> (f32[]) {\n  return\n}\n', 1, 17, '@main returns (), not (f32[])'],
    ['fun @main() -> () { return }', 1, 1, "expected 'func'"],
    ['func @f() -> () { return }\n', 2, 1, 'there is no function @main'],
    ['dim B in [3, 2]\n', 1, 5, 'expected a range [min, max]'],
    ['dim B in [1, 2]\ndim B in [1, 2]\n', 2, 5, 'the size B is declared twice'],
    ['func @main() -> () { return ', 1, 29, "expected '}'"],
  ])('%#: %s', (text, line, column, problem) => {
    const error = errorOf(() => parseModule(text));
    expect(error.code).toBe('invalid_ir');
    expect(error.summary).toBe(`line ${line}, column ${column}: ${problem}`);
    expect(error.given).toBe(text.split('\n')[line - 1]);
  });
});

test('damaged text is refused with an error that says where, or is IR that the verifier judges', () => {
  const pieces = [
    '',
    ' ',
    '-',
    '0',
    '9999999999',
    '0.5',
    '%',
    '%0',
    '@',
    '"\\x"',
    '[',
    ']',
    '{',
    '}',
    '(',
    ')',
    ',',
    '=',
    'B',
    'mod(B,0)',
    'nan',
    'f32',
  ];
  fc.assert(
    fc.property(fc.integer(), fc.nat(), fc.nat(8), fc.constantFrom(...pieces), (seed, place, length, piece) => {
      const text = printModule(randomModule(seed, { ops: 6, symbolic: true }).module);
      const at = place % text.length;
      const damaged = text.slice(0, at) + piece + text.slice(at + length);
      try {
        verifyModule(parseModule(damaged));
      } catch (error) {
        if (!(error instanceof KilnError) || error.code !== 'invalid_ir') throw new Error(damaged, { cause: error });
        expect(error.summary).not.toBe('');
      }
    }),
    runs(200),
  );
});

test('broken IR prints, with %? for values from nowhere', () => {
  const type = { dtype: 'float32', shape: [2] } as const;
  const [stray, result]: Value[] = [{ type, name: 'stray' }, { type }];
  const op = { opcode: 'tanh', operands: [stray], attributes: {}, regions: [], results: [result] } as Op;
  const text = printModule({
    functions: [{ name: 'main', graph: { parameters: [], ops: [op], results: [result] } }],
    main: 'main',
  });
  expect(text).toContain('%0: f32[2] = tanh %?\n');
});
