/**
 * Elementwise work as data, so that each runtime, and the double-precision reference, computes the same.
 *
 *     ['relu', ['mul', ['tanh', ['add', ['mul', 2, 'x'], 1]], 'x']]      // relu(tanh(2x + 1) * x)
 */
import { erf } from '../../ir/ops/erf.ts';

export type UnaryName = 'abs' | 'erf' | 'exp' | 'gelu' | 'relu' | 'sigmoid' | 'silu' | 'sin' | 'sqrt' | 'tanh';
export type BinaryName = 'add' | 'sub' | 'mul' | 'div';
export type Variable = 'x' | 'y';

export type Expression =
  | number
  | Variable
  | readonly [UnaryName, Expression]
  | readonly [BinaryName, Expression, Expression];

/** How one runtime computes with its values; `C` is what stands for a constant. */
export interface Algebra<T, C = number> {
  readonly variable: (name: Variable) => T;
  readonly constant: (value: number) => C;
  readonly unary: Readonly<Record<UnaryName, (x: T) => T>>;
  /** One operand at the least is no constant. */
  readonly binary: Readonly<Record<BinaryName, (x: T | C, y: T | C) => T>>;
}

/** The value of an expression that is no bare constant. */
export function interpret<T, C>(expression: Exclude<Expression, number>, algebra: Algebra<T, C>): T {
  const operand = (e: Expression): T | C => (typeof e === 'number' ? algebra.constant(e) : interpret(e, algebra));
  if (typeof expression === 'string') return algebra.variable(expression);
  if (expression.length === 2) return algebra.unary[expression[0]](operand(expression[1]) as T);
  return algebra.binary[expression[0]](operand(expression[1]), operand(expression[2]));
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The algebra of numbers in double precision. */
const numbers = (variables: Readonly<Record<Variable, number>>): Algebra<number> => ({
  variable: (name) => variables[name],
  constant: (value) => value,
  unary: {
    abs: Math.abs,
    erf,
    exp: Math.exp,
    gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    relu: (x) => Math.max(0, x),
    sigmoid,
    silu: (x) => x * sigmoid(x),
    sin: Math.sin,
    sqrt: Math.sqrt,
    tanh: Math.tanh,
  },
  binary: { add: (x, y) => x + y, sub: (x, y) => x - y, mul: (x, y) => x * y, div: (x, y) => x / y },
});

export const evaluate = (expression: Exclude<Expression, number>, x: number, y: number): number =>
  interpret(expression, numbers({ x, y }));

/** The variables an expression names, in order. */
export function variablesOf(expression: Expression): readonly Variable[] {
  const text = JSON.stringify(expression);
  return (['x', 'y'] as const).filter((name) => text.includes(`"${name}"`));
}
