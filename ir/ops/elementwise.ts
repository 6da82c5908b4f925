/**
 * Elementwise ops: every result element comes from the operand elements at the same place. Operands have one shape;
 * there is no implicit broadcasting in the IR (`broadcast_in_dim` says it).
 *
 *     %2: f32[4,8] = add %0, %1
 */
import type { ScalarOpcode, UnaryScalarOpcode } from '../kernel.ts';
import { elementAt, elementCount } from '../literal.ts';
import type { PlainOpcode } from '../opcodes.ts';
import type { Literal, TensorType } from '../types.ts';
import { type ConcreteType, type DTypeClass, define, type OpDefinition, type Traits } from './definition.ts';
import { classNames, requireClass, requireEqualDTypes, requireEqualShapes } from './rules.ts';
import { type ScalarFunction, scalarFunction } from './scalar.ts';

/** Applies a scalar function at every position; splats stay splats. */
export function mapElements(result: ConcreteType, operands: readonly Literal[], f: ScalarFunction): Literal {
  const splats = operands.every((operand) => operand.data.length === 1);
  const data = new Float64Array(splats ? 1 : elementCount(result.shape));
  const [a, b = a, c = a] = operands;
  for (let i = 0; i < data.length; i++) data[i] = f(elementAt(a, i), elementAt(b, i), elementAt(c, i));
  return { dtype: result.dtype, shape: result.shape, data };
}

interface Row {
  readonly summary: string;
  readonly traits: Traits;
  readonly source?: string;
  readonly notes?: string;
}

function unary<K extends UnaryScalarOpcode>(opcode: K, dtypeClass: DTypeClass, row: Row): OpDefinition<K> {
  const label = `${opcode}_c1`;
  return define<UnaryScalarOpcode>({
    source: `StableHLO ${opcode}`,
    ...row,
    opcode,
    operands: ['operand'],
    attributes: {},
    traits: { elementwise: true, ...row.traits },
    constraints: { [label]: `the operand has ${classNames[dtypeClass]}` },
    infer: ([operand]) => {
      requireClass(label, operand, dtypeClass);
      return [opcode === 'is_finite' ? { dtype: 'bool', shape: operand.shape } : operand];
    },
    evaluate: (operands, _, { results }) => [
      mapElements(results[0], operands, scalarFunction(opcode, operands[0].dtype)),
    ],
    sample: (random) => ({
      operands: [random.literal(random.dtype(dtypeClass), random.shape())],
      attributes: {},
    }),
  }) as OpDefinition<K>;
}

type BinaryOpcode = Exclude<PlainOpcode & ScalarOpcode, UnaryScalarOpcode | 'select'>;

function binary<K extends BinaryOpcode>(opcode: K, dtypeClass: DTypeClass, row: Row): OpDefinition<K> {
  const [classLabel, shapeLabel] = [`${opcode}_c1`, `${opcode}_c2`];
  return define<BinaryOpcode>({
    source: `StableHLO ${opcode}`,
    ...row,
    opcode,
    operands: ['lhs', 'rhs'],
    attributes: {},
    traits: { elementwise: true, ...row.traits },
    constraints: {
      [classLabel]: `both operands have the same dtype, ${classNames[dtypeClass]}`,
      [shapeLabel]: 'both operands have the same shape',
    },
    infer: (operands) => {
      requireEqualDTypes(classLabel, operands);
      requireClass(classLabel, operands[0], dtypeClass);
      requireEqualShapes(shapeLabel, operands[0], operands[1]);
      return [operands[0]];
    },
    evaluate: (operands, _, { results }) => [
      mapElements(results[0], operands, scalarFunction(opcode, operands[0].dtype)),
    ],
    sample: (random) => {
      const [dtype, shape] = [random.dtype(dtypeClass), random.shape()];
      return { operands: [random.literal(dtype, shape), random.literal(dtype, shape)], attributes: {} };
    },
  }) as OpDefinition<K>;
}

const cheap: Traits = { cheap: true, exact: true, flops: 1 };

export const unaryDefinitions = {
  abs: unary('abs', 'number', {
    summary: 'Absolute value.',
    traits: { ...cheap, idempotent: true },
    notes: 'The least integer of a signed dtype is its own absolute value.',
  }),
  negate: unary('negate', 'number', {
    summary: 'Negation.',
    traits: { ...cheap, involution: true },
    notes: 'Integers wrap.',
  }),
  sign: unary('sign', 'number', {
    summary: '-1, 0 or 1 by the sign.',
    traits: { ...cheap, idempotent: true, blocksGradient: true },
    notes: 'Keeps -0 and NaN.',
  }),
  floor: unary('floor', 'float', {
    summary: 'Greatest integer that is not above.',
    traits: { ...cheap, idempotent: true, blocksGradient: true },
  }),
  ceil: unary('ceil', 'float', {
    summary: 'Least integer that is not below.',
    traits: { ...cheap, idempotent: true, blocksGradient: true },
  }),
  round_nearest_even: unary('round_nearest_even', 'float', {
    summary: 'Nearest integer, ties to even.',
    traits: { ...cheap, idempotent: true, blocksGradient: true },
    notes: 'Keeps the sign of zero.',
  }),
  exponential: unary('exponential', 'float', { summary: 'e to the power of the operand.', traits: { flops: 12 } }),
  exponential_minus_one: unary('exponential_minus_one', 'float', {
    summary: 'exp(x) - 1, accurate near 0.',
    traits: { flops: 16 },
  }),
  log: unary('log', 'float', {
    summary: 'Natural logarithm.',
    traits: { flops: 14 },
    notes: 'NaN below 0, -infinity at 0 and -0.',
  }),
  log_plus_one: unary('log_plus_one', 'float', {
    summary: 'log(1 + x), accurate near 0.',
    traits: { flops: 16 },
  }),
  sqrt: unary('sqrt', 'float', {
    summary: 'Square root, correctly rounded.',
    traits: { exact: true, flops: 4 },
  }),
  rsqrt: unary('rsqrt', 'float', { summary: 'Reciprocal of the square root.', traits: { flops: 5 } }),
  sine: unary('sine', 'float', { summary: 'Sine, of an angle in radians.', traits: { flops: 16 } }),
  cosine: unary('cosine', 'float', { summary: 'Cosine, of an angle in radians.', traits: { flops: 16 } }),
  tanh: unary('tanh', 'float', { summary: 'Hyperbolic tangent.', traits: { flops: 14 } }),
  erf: unary('erf', 'float', { summary: 'Error function.', source: 'CHLO erf', traits: { flops: 18 } }),
  not: unary('not', 'bits', {
    summary: 'Complement: of a bool, or of each bit of an integer.',
    traits: { ...cheap, involution: true },
  }),
  is_finite: unary('is_finite', 'float', {
    summary: 'Whether the operand is neither infinite nor NaN, as bool.',
    traits: { ...cheap, blocksGradient: true },
  }),
} as const;

/** Operands in any order, grouped in any way, give the same bits. */
const reorderable: Traits = { ...cheap, commutative: true, associative: 'always' };

export const binaryDefinitions = {
  add: binary('add', 'number', {
    summary: 'Sum.',
    traits: { ...cheap, commutative: true, associative: 'integers' },
    notes: 'Integers wrap.',
  }),
  subtract: binary('subtract', 'number', { summary: 'Difference.', traits: cheap, notes: 'Integers wrap.' }),
  multiply: binary('multiply', 'number', {
    summary: 'Product.',
    traits: { ...cheap, commutative: true, associative: 'integers' },
    notes: 'Integers wrap.',
  }),
  divide: binary('divide', 'number', {
    summary: 'Quotient; of integers, truncated toward zero.',
    traits: { exact: true, flops: 4 },
    notes: 'Integers: x/0 is -1 (unsigned: the greatest value); the least value by -1 is itself.',
  }),
  remainder: binary('remainder', 'number', {
    summary: 'Remainder of the division truncated toward zero; its sign is that of the dividend.',
    traits: { exact: true, flops: 8 },
    notes: 'As fmod of C: x%0 is NaN, x%infinity is x. Integers: x%0 is x; the least value by -1 is 0.',
  }),
  power: binary('power', 'number', {
    summary: 'lhs to the power of rhs.',
    traits: { flops: 30 },
    notes:
      'Floats as pow of IEEE 754: x^0 and 1^y are 1, even for NaN. Integers wrap; a negative exponent gives 0, for ' +
      'the bases 1 and -1 their power.',
  }),
  maximum: binary('maximum', 'number', {
    summary: 'The greater of two.',
    traits: { ...reorderable, idempotent: true },
    notes: 'NaN if either is NaN; -0 is below 0.',
  }),
  minimum: binary('minimum', 'number', {
    summary: 'The lesser of two.',
    traits: { ...reorderable, idempotent: true },
    notes: 'NaN if either is NaN; -0 is below 0.',
  }),
  atan2: binary('atan2', 'float', {
    summary: 'Angle of the point (rhs, lhs) in radians, in [-pi, pi].',
    traits: { flops: 25 },
  }),
  and: binary('and', 'bits', {
    summary: 'Conjunction: of bools, or of each bit.',
    traits: { ...reorderable, idempotent: true },
  }),
  or: binary('or', 'bits', {
    summary: 'Disjunction: of bools, or of each bit.',
    traits: { ...reorderable, idempotent: true },
  }),
  xor: binary('xor', 'bits', { summary: 'Exclusive or: of bools, or of each bit.', traits: reorderable }),
  shift_left: binary('shift_left', 'integer', {
    summary: 'Shift toward the high bits.',
    traits: cheap,
    notes: 'The amount is read as unsigned; the width and more give 0.',
  }),
  shift_right_arithmetic: binary('shift_right_arithmetic', 'integer', {
    summary: 'Shift toward the low bits, filling with the highest bit.',
    traits: cheap,
    notes:
      'The amount is read as unsigned; the width and more give the highest bit everywhere. Also for unsigned dtypes.',
  }),
  shift_right_logical: binary('shift_right_logical', 'integer', {
    summary: 'Shift toward the low bits, filling with zeros.',
    traits: cheap,
    notes: 'The amount is read as unsigned; the width and more give 0. Also for signed dtypes.',
  }),
} as const;

export const selectDefinition = define({
  opcode: 'select',
  summary: 'Takes each element from one of two operands, as a bool says.',
  source: 'StableHLO select',
  operands: ['predicate', 'onTrue', 'onFalse'],
  attributes: {},
  traits: { elementwise: true, cheap: true, exact: true, flops: 1 },
  constraints: {
    select_c1: 'the predicate is bool',
    select_c2: 'onTrue and onFalse have the same dtype',
    select_c3: 'all operands have the same shape',
  },
  infer: ([predicate, onTrue, onFalse]: readonly TensorType[]) => {
    requireClass('select_c1', predicate, 'bool');
    requireEqualDTypes('select_c2', [onTrue, onFalse]);
    requireEqualShapes('select_c3', onTrue, onFalse);
    requireEqualShapes('select_c3', predicate, onTrue);
    return [onTrue];
  },
  evaluate: (operands, _, { results }) => [mapElements(results[0], operands, scalarFunction('select', 'bool'))],
  sample: (random) => {
    const [dtype, shape] = [random.dtype(), random.shape()];
    return {
      operands: [random.literal('bool', shape), random.literal(dtype, shape), random.literal(dtype, shape)],
      attributes: {},
    };
  },
});
