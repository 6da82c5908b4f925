/**
 * Derivatives of the elementwise ops. Most are a factor that multiplies the cotangent, computed from the result where
 * that is cheaper than from the operand:
 *
 *     y = tanh(x)      x̄ = ȳ (1 - y y)
 *     y = x / z        x̄ = ȳ / z,  z̄ = -(ȳ / z) y
 */
import type { Opcode } from '../../ir/opcodes.ts';
import type { Value } from '../../ir/types.ts';
import { convert } from '../rewrite-emit.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';

type Factor = (emit: Emitter, x: Value, y: Value) => Value;

/** `x̄ = ȳ factor(x, y)` for `y = f(x)`. */
const times =
  <K extends Opcode>(factor: Factor): VjpFunction<K> =>
  ({ emit, op, result, cotangent }) => [() => emit.multiply(cotangent, factor(emit, op.operands[0], result))];

const twoOverRootPi = 2 / Math.sqrt(Math.PI);

export const unaryVjps = {
  // sign(0) is 0, and so is the gradient there, as in JAX.
  abs: times((emit, x) => emit.op('sign', [x])),
  negate: ({ emit, cotangent }) => [() => emit.negate(cotangent)],
  sign: 'zero',
  floor: 'zero',
  ceil: 'zero',
  round_nearest_even: 'zero',
  exponential: times((_, __, y) => y),
  exponential_minus_one: times((emit, _, y) => emit.add(y, emit.like(y, 1))),
  log: ({ emit, op, cotangent }) => [() => emit.divide(cotangent, op.operands[0])],
  log_plus_one: ({ emit, op: { operands }, cotangent }) => [
    () => emit.divide(cotangent, emit.add(operands[0], emit.like(operands[0], 1))),
  ],
  sqrt: times((emit, _, y) => emit.divide(emit.like(y, 0.5), y)),
  rsqrt: times((emit, x, y) => emit.scale(emit.divide(y, x), -0.5)),
  sine: times((emit, x) => emit.op('cosine', [x])),
  cosine: times((emit, x) => emit.negate(emit.op('sine', [x]))),
  tanh: times((emit, _, y) => emit.subtract(emit.like(y, 1), emit.multiply(y, y))),
  erf: times((emit, x) => emit.scale(emit.op('exponential', [emit.negate(emit.multiply(x, x))]), twoOverRootPi)),
  not: 'zero',
  is_finite: 'zero',
  stop_gradient: 'zero',
  convert: ({ emit, op: { operands }, cotangent }) => [() => convert(emit, cotangent, operands[0].type.dtype)],
  bitcast_convert: 'zero',
} satisfies Partial<VjpRules<Opcode>>;

/**
 * `maximum` and `minimum`: the operand that was taken gets the cotangent; at a tie each gets half. An operand that is
 * NaN takes part in no comparison, so it gives zero.
 */
const extremum =
  <K extends 'maximum' | 'minimum'>(wins: 'GT' | 'LT'): VjpFunction<K> =>
  ({ emit, op: { operands }, cotangent }) => {
    const [a, b] = operands;
    const share = (mine: Value, other: Value): Value => {
      const half = emit.scale(cotangent, 0.5);
      const tied = emit.select(emit.compare('EQ', mine, other), half, emit.like(cotangent, 0));
      return emit.select(emit.compare(wins, mine, other), cotangent, tied);
    };
    return [() => share(a, b), () => share(b, a)];
  };

/**
 * `x^p`. For `x`: `p x^(p-1)`, where `p` = 0 gives 0 whatever `x` is. For `p`: `x^p log x`, where `x` = 0 gives 0.
 */
const power: VjpFunction<'power'> = ({ emit, op: { operands }, result, cotangent }) => {
  const [x, p] = operands;
  return [
    () => {
      const one = emit.like(p, 1);
      const constant = emit.compare('EQ', p, emit.like(p, 0));
      const lowered = emit.op('power', [x, emit.select(constant, one, emit.subtract(p, one))]);
      const slope = emit.select(constant, emit.like(x, 0), emit.multiply(p, lowered));
      return emit.multiply(cotangent, slope);
    },
    () => {
      const atZero = emit.compare('EQ', x, emit.like(x, 0));
      const log = emit.op('log', [emit.select(atZero, emit.like(x, 1), x)]);
      return emit.multiply(cotangent, emit.multiply(log, result));
    },
  ];
};

/** `x - z trunc(x / z)`: 1 for `x`, `-trunc(x / z)` for `z`. */
const remainder: VjpFunction<'remainder'> = ({ emit, op: { operands }, cotangent }) => [
  () => cotangent,
  () => {
    const quotient = emit.divide(operands[0], operands[1]);
    const whole = emit.op('floor', [emit.op('abs', [quotient])]);
    return emit.multiply(emit.negate(cotangent), emit.multiply(emit.op('sign', [quotient]), whole));
  },
];

/** The angle of `(x, y)`: `x / (x² + y²)` for `y`, `-y / (x² + y²)` for `x`. */
const atan2: VjpFunction<'atan2'> = ({ emit, op: { operands }, cotangent }) => {
  const [y, x] = operands;
  const overSquare = (side: Value): Value => emit.divide(side, emit.add(emit.multiply(x, x), emit.multiply(y, y)));
  return [() => emit.multiply(cotangent, overSquare(x)), () => emit.multiply(cotangent, overSquare(emit.negate(y)))];
};

const divide: VjpFunction<'divide'> = ({ emit, op: { operands }, result, cotangent }) => {
  const overDivisor = (): Value => emit.divide(cotangent, operands[1]);
  return [overDivisor, () => emit.negate(emit.multiply(overDivisor(), result))];
};

export const binaryVjps = {
  add: ({ cotangent }) => [() => cotangent, () => cotangent],
  subtract: ({ emit, cotangent }) => [() => cotangent, () => emit.negate(cotangent)],
  multiply: ({ emit, op: { operands }, cotangent }) => [
    () => emit.multiply(cotangent, operands[1]),
    () => emit.multiply(cotangent, operands[0]),
  ],
  divide,
  remainder,
  power,
  maximum: extremum('GT'),
  minimum: extremum('LT'),
  atan2,
  and: 'zero',
  or: 'zero',
  xor: 'zero',
  shift_left: 'zero',
  shift_right_arithmetic: 'zero',
  shift_right_logical: 'zero',
  compare: 'zero',
  select: ({ emit, op: { operands }, cotangent }) => {
    const zero = (): Value => emit.like(cotangent, 0);
    return [
      undefined,
      () => emit.select(operands[0], cotangent, zero()),
      () => emit.select(operands[0], zero(), cotangent),
    ];
  },
} satisfies Partial<VjpRules<Opcode>>;

/** Ops without operands, and those whose results are never floats. */
export const sourceVjps = {
  constant: 'zero',
  iota: 'zero',
  dimension_size: 'zero',
} satisfies Partial<VjpRules<Opcode>>;
