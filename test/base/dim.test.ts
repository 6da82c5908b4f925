import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bindDims } from '../../base/bind-dims.ts';
import {
  addDims,
  ceilDivDims,
  type Dim,
  dim,
  dimBounds,
  dimProduct,
  equalDims,
  equalShapes,
  evaluateDim,
  floorDivDims,
  formatDim,
  isAtMostDim,
  isEqualDim,
  modDims,
  mulDims,
  parseDim,
  subDims,
  substituteDim,
  symbolsOf,
} from '../../base/dim.ts';
import { errorOf } from '../support/ir.ts';
import { runs } from '../support/runs.ts';

const ranges = [
  { name: 'A', min: 0, max: 5 },
  { name: 'B', min: 1, max: 64 },
  { name: 'C', min: 3, max: 3 },
];
const symbols = new Map(ranges.map((range) => [range.name, range]));

/** An expression both as a Dim and as what it naively computes. */
interface Pair {
  readonly dim: Dim;
  readonly naive: (values: ReadonlyMap<string, number>) => number;
  readonly text: string;
}

const leaf: fc.Arbitrary<Pair> = fc.oneof(
  fc.integer({ min: -4, max: 12 }).map((n): Pair => ({ dim: n, naive: () => n, text: `${n}` })),
  fc.constantFrom(...ranges).map(
    (range): Pair => ({
      dim: dim(range.name, range),
      naive: (values) => values.get(range.name) ?? NaN,
      text: range.name,
    }),
  ),
);

const divide = (a: number, b: number): number => Math.floor(a / b);

const { expression } = fc.letrec<{ expression: Pair }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.tuple(fc.constantFrom('+', '-', '*'), tie('expression'), tie('expression')).map(([operator, a, b]): Pair => {
      const [build, compute] = {
        '+': [addDims, (x: number, y: number) => x + y] as const,
        '-': [subDims, (x: number, y: number) => x - y] as const,
        '*': [mulDims, (x: number, y: number) => x * y] as const,
      }[operator as '+' | '-' | '*'];
      return {
        dim: build(a.dim, b.dim),
        naive: (v) => compute(a.naive(v), b.naive(v)),
        text: `(${a.text}${operator}${b.text})`,
      };
    }),
    fc
      .tuple(
        fc.boolean(),
        tie('expression'),
        fc.constantFrom<readonly [Dim, string]>([1, '1'], [2, '2'], [3, '3'], [6, '6'], [dim('B', ranges[1]), 'B']),
      )
      .map(([isDivision, a, [divisor, text]]): Pair => {
        const by = (v: ReadonlyMap<string, number>): number => evaluateDim(divisor, v);
        return {
          dim: isDivision ? floorDivDims(a.dim, divisor) : modDims(a.dim, divisor),
          naive: (v) => (isDivision ? divide(a.naive(v), by(v)) : a.naive(v) - by(v) * divide(a.naive(v), by(v))),
          text: `${isDivision ? 'floordiv' : 'mod'}(${a.text},${text})`,
        };
      }),
  ),
}));

const bindings = fc.record({ A: fc.integer({ min: 0, max: 5 }), B: fc.integer({ min: 1, max: 64 }) }).map(
  ({ A, B }) =>
    new Map([
      ['A', A],
      ['B', B],
      ['C', 3],
    ]),
);

/** `-0` and `0` are the same size. */
const plain = (value: number): number => value + 0;

describe('algebra of sizes', () => {
  test('simplified expressions have the value of the naive ones', () => {
    fc.assert(
      fc.property(expression, bindings, (pair, values) => {
        expect(plain(evaluateDim(pair.dim, values)), pair.text).toBe(plain(pair.naive(values)));
      }),
      runs(500),
    );
  });

  test('bounds contain every value', () => {
    fc.assert(
      fc.property(expression, bindings, (pair, values) => {
        const [low, high] = dimBounds(pair.dim);
        const value = pair.naive(values);
        expect(low <= value && value <= high, `${pair.text}: ${value} in [${low}, ${high}]`).toBe(true);
      }),
      runs(500),
    );
  });

  test('text reads back to an equal size', () => {
    fc.assert(
      fc.property(expression, (pair) => {
        const text = formatDim(pair.dim);
        const back = parseDim(text, symbols);
        expect(equalDims(back, pair.dim), text).toBe(true);
        expect(formatDim(back)).toBe(text);
      }),
      runs(300),
    );
  });

  test('substitution then evaluation is evaluation with the substituted values', () => {
    fc.assert(
      fc.property(expression, bindings, (pair, values) => {
        const replacements = new Map<string, Dim>([
          ['A', 2],
          ['B', addDims(mulDims(dim('C', ranges[2]), 4), 1)],
        ]);
        const substituted = substituteDim(pair.dim, replacements);
        const expected = pair.naive(
          new Map([
            ['A', 2],
            ['B', 13],
            ['C', 3],
          ]),
        );
        expect(plain(evaluateDim(substituted, values))).toBe(plain(expected));
      }),
      runs(300),
    );
  });

  test('answers about order and equality never contradict a value', () => {
    fc.assert(
      fc.property(expression, expression, bindings, (a, b, values) => {
        const [x, y] = [a.naive(values), b.naive(values)];
        const equal = isEqualDim(a.dim, b.dim);
        if (equal !== 'unknown') expect(x === y || (x === 0 && y === 0)).toBe(equal === 'always');
        const atMost = isAtMostDim(a.dim, b.dim);
        if (atMost !== 'unknown') expect(x <= y).toBe(atMost === 'always');
      }),
      runs(500),
    );
  });
});

const [A, B] = [dim('A', ranges[0]), dim('B', ranges[1])];

test('a divisor that may be 0 leaves questions open', () => {
  const [T, N] = [dim('T', { min: 1, max: 4 }), dim('N', { min: 0, max: 2 })];
  const quotient = floorDivDims(T, N);
  expect(isEqualDim(quotient, 3)).toBe('unknown');
  expect(isAtMostDim(quotient, 1000)).toBe('unknown');
  expect(isEqualDim(floorDivDims(mulDims(T, N), N), T)).toBe('unknown');
});

describe('canonical form', () => {
  test.each<[Dim, string]>([
    [addDims(mulDims(B, 2), 1), '2*B+1'],
    [addDims(1, mulDims(2, B)), '2*B+1'],
    [subDims(A, B), 'A-B'],
    [mulDims(B, A), 'A*B'],
    [mulDims(addDims(A, 1), addDims(A, 1)), '2*A+A*A+1'],
    [subDims(addDims(A, B), B), 'A'],
    [floorDivDims(mulDims(B, 6), 3), '2*B'],
    [floorDivDims(addDims(mulDims(B, 6), 2), 3), '2*B'],
    [floorDivDims(mulDims(A, B), B), 'A'],
    [ceilDivDims(B, 4), 'floordiv(B+3,4)'],
    [modDims(B, 4), 'mod(B,4)'],
    [modDims(mulDims(B, 8), 4), '0'],
    [dimProduct([B, 2, A]), '2*A*B'],
    [subDims(0, B), '-B'],
  ])('%s', (size, text) => {
    expect(formatDim(size)).toBe(text);
  });

  test('a difference of equal sizes is the number 0', () => {
    expect(subDims(mulDims(A, B), mulDims(B, A))).toBe(0);
    expect(equalShapes([mulDims(A, B), 2], [mulDims(B, A), 2])).toBe(true);
    expect(equalShapes([A, 2], [A])).toBe(false);
  });

  test('symbols are listed once, by name, also from inside divisions', () => {
    expect(symbolsOf(floorDivDims(addDims(B, A), 3), A).map(({ name }) => name)).toEqual(['A', 'B']);
  });
});

describe('symbolic sizes as numbers', () => {
  test('arithmetic and comparison throw and name the formula; text does not', () => {
    const size = addDims(B, 1) as unknown as number;
    expect(errorOf(() => size + 1).code).toBe('unknown_size');
    expect(errorOf(() => size < 3).summary).toContain('B+1');
    expect(`${size}`).toBe('B+1');
  });

  test('bad declarations', () => {
    expect(errorOf(() => dim('2B')).code).toBe('invalid_argument');
    expect(errorOf(() => dim('mod')).code).toBe('invalid_argument');
    expect(errorOf(() => dim('B', { min: 3, max: 2 })).code).toBe('invalid_size');
    expect(errorOf(() => dim('B', { min: Number.NaN })).code).toBe('invalid_size');
    expect(dim('B').toString()).toBe('B');
  });

  test.each(['', 'B+', 'D', '(B', '2**B', 'mod(B)', 'mod(B,0)', 'B B', '1.5', 'B;'])('no size: %j', (text) => {
    expect(errorOf(() => parseDim(text, symbols)).code).toBe('invalid_ir');
  });

  test('evaluation without a value', () => {
    expect(errorOf(() => evaluateDim(B, new Map())).code).toBe('unknown_size');
  });
});

describe('binding', () => {
  test('solves for symbols in any order', () => {
    const found = bindDims([
      [addDims(A, B), 9],
      [addDims(mulDims(B, 2), 1), 15],
      [4, 4],
    ]);
    expect(found).toEqual(
      new Map([
        ['B', 7],
        ['A', 2],
      ]),
    );
  });

  test.each<[string, [Dim, number][]]>([
    ['shape_mismatch', [[4, 5]]],
    [
      'shape_mismatch',
      [
        [B, 2],
        [B, 3],
      ],
    ],
    ['shape_mismatch', [[mulDims(B, 2), 5]]],
    ['invalid_size', [[B, 65]]],
    ['invalid_size', [[B, 0]]],
    ['unknown_size', [[mulDims(B, A), 6]]],
    ['unknown_size', [[floorDivDims(B, 2), 6]]],
  ])('%s for sizes that do not fit', (code, sizes) => {
    expect(errorOf(() => bindDims(sizes)).code).toBe(code);
  });
});
