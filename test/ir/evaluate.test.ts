/** The evaluator as a whole: symbols, calls, modes, inputs that do not fit. */
import { describe, expect, test } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, equalLiterals, literal, splat } from '../../ir/literal.ts';
import { parseModule } from '../../ir/parser.ts';
import { array, errorOf, nested } from '../support/ir.ts';
import { randomModule } from '../support/random-graph.ts';

const mlp = parseModule(`dim B in [1, 64]

func @layer(%x: f32[B,2], %w: f32[2,2]) -> (f32[B,2]) {
  %h: f32[B,2] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]}
  %zero: f32[] = constant {value=0}
  %zeros: f32[B,2] = broadcast_in_dim %zero {shape=[B,2], axes=[]}
  %r: f32[B,2] = maximum %h, %zeros
  return %r
}

func @main(%x: f32[B,2], %w: f32[2,2]) -> (f32[2], f32[B,2]) {
  %a: f32[B,2] = call %x, %w {function=@layer}
  %b: f32[B,2] = call %a, %w {function=@layer}
  %sum: f32[2] = reduce %b {kind=sum, axes=[0]}
  %n: f32[] = dimension_size {size=B, dtype=f32}
  %ns: f32[2] = broadcast_in_dim %n {shape=[2], axes=[]}
  %mean: f32[2] = divide %sum, %ns
  return %mean, %b
}
`);
const w = array('f32', [
  [1, 2],
  [3, -4],
]);

describe('evaluateModule', () => {
  test('binds symbolic sizes from the inputs and runs calls', () => {
    const run = (x: number[][]) => evaluateModule(mlp, [array('f32', x), w], { mode: 'double' }).map(nested);
    expect(run([[1, 0]])).toEqual([[7, 0], [[7, 0]]]);
    expect(
      run([
        [1, 0],
        [0, 1],
      ]),
    ).toEqual([
      [5, 3],
      [
        [7, 0],
        [3, 6],
      ],
    ]);
  });

  test('inputs that do not fit', () => {
    const run = (...inputs: Parameters<typeof evaluateModule>[1]) =>
      errorOf(() => evaluateModule(mlp, inputs, { mode: 'double' })).code;
    expect(run(w)).toBe('invalid_argument');
    expect(run(array('i32', [[1, 2]]), w)).toBe('dtype_mismatch');
    expect(run(array('f32', [1, 2]), w)).toBe('shape_mismatch');
    expect(run(array('f32', [[1, 2, 3]]), w)).toBe('shape_mismatch');
    expect(run(splat('float32', [65, 2], 0), w)).toBe('invalid_size');
  });

  test('double keeps double precision, rounded rounds inputs and each op', () => {
    const module = parseModule(`func @main(%x: f32[]) -> (f32[]) {
      %one: f32[] = constant {value=1}
      %s: f32[] = add %x, %one
      %d: f32[] = subtract %s, %one
      return %d
    }`);
    const tiny = 2 ** -30;
    expect(nested(evaluateModule(module, [splat('float32', [], tiny)], { mode: 'double' })[0])).toBe(tiny);
    expect(nested(evaluateModule(module, [splat('float32', [], tiny)], { mode: 'rounded' })[0])).toBe(0);
    const identity = parseModule('func @main(%x: f32[]) -> (f32[]) { return %x }');
    expect(nested(evaluateModule(identity, [splat('float32', [], 0.1)], { mode: 'rounded' })[0])).toBe(
      Math.fround(0.1),
    );
  });

  test('dtypes of later releases are refused', () => {
    const module = parseModule('func @main(%x: f64[]) -> (f64[]) {\n  %0: f64[] = tanh %x\n  return %0\n}');
    expect(errorOf(() => evaluateModule(module, [splat('float64', [], 1)], { mode: 'double' })).code).toBe(
      'unsupported_dtype',
    );
  });

  test('50,000 ops one after the other', () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `%${i + 1}: i32[] = add %${i}, %0`);
    const module = parseModule(`func @main(%0: i32[]) -> (i32[]) {\n${lines.join('\n')}\nreturn %50000\n}`);
    expect(nested(evaluateModule(module, [splat('int32', [], 3)], { mode: 'double' })[0])).toBe(150_003);
  });
});

describe('literals', () => {
  test('equality tells -0 and NaN apart and sees through splats', () => {
    const [zeros, minus] = [splat('float32', [2], 0), literal('float32', [2], [0, -0])];
    expect(equalLiterals(zeros, literal('float32', [2], [0, 0]))).toBe(true);
    expect(equalLiterals(zeros, minus)).toBe(false);
    expect(equalLiterals(splat('float32', [2], Number.NaN), literal('float32', [2], [Number.NaN, Number.NaN]))).toBe(
      true,
    );
    expect(equalLiterals(zeros, splat('int32', [2], 0))).toBe(false);
    expect(equalLiterals(zeros, splat('float32', [3], 0))).toBe(false);
    expect(equalLiterals(splat('float32', [0], 1), splat('float32', [0], 1))).toBe(true);
  });

  test('dense data and bad counts', () => {
    expect(Array.from(denseData(splat('int32', [2, 2], 7)))).toEqual([7, 7, 7, 7]);
    expect(errorOf(() => literal('int32', [2, 2], [1, 2, 3])).code).toBe('shape_mismatch');
  });
});

describe('random modules', () => {
  test('are the same for the same seed', () => {
    expect(randomModule(11, { ops: 20 })).toEqual(randomModule(11, { ops: 20 }));
  });

  test('stay tame unless asked otherwise', () => {
    for (let seed = 0; seed < 40; seed++) {
      const { module, inputs } = randomModule(seed, { ops: 15, smooth: true });
      const [double, rounded] = (['double', 'rounded'] as const).map((mode) =>
        evaluateModule(module, inputs, { mode }),
      );
      double.forEach(({ dtype, data }, k) => {
        for (let i = 0; i < data.length; i++) {
          const error = Math.abs(data[i] - rounded[k].data[i]);
          expect(error <= 1e-5 * (1 + Math.abs(data[i]))).toBe(true);
          if (dtype === 'float32') expect(Math.abs(data[i])).toBeLessThanOrEqual(50);
        }
      });
    }
  });
});
