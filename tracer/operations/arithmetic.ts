/**
 * Elementwise arithmetic of two or more tensors. Operands broadcast as in NumPy and meet in their promoted dtype; a
 * plain number takes the dtype of the tensors.
 *
 *     add(tensor([1, 2]), 1)                       // f32[2]: 2, 3
 *     divide(tensor([1, 2], { dtype: 'int32' }), 2)    // f32[2]: 0.5, 1
 */
import { type DType, isFloat, promoteTypes } from '../../base/dtype.ts';
import type { PlainOpcode } from '../../ir/opcodes.ts';
import { operation, type TensorLike } from '../operation.ts';
import { Tensor } from '../tensor.ts';
import { compare, minus, over, plain, plus, select, times } from './primitives.ts';
import {
  constantLike,
  describe,
  dtypeMismatch,
  type Floating,
  floatDType,
  meet,
  type Promoted,
  promote,
  requireTensor,
  requireTensors,
} from './support.ts';

/** A function of two operands, at least one of them a tensor as a rule. */
type BinaryFunction = <X extends TensorLike, Y extends TensorLike>(x: X, y: Y) => Tensor<Promoted<X, Y>>;

interface BinaryOptions {
  /** The primitive for bool operands, where the function has a meaning there. */
  readonly bool?: PlainOpcode;
  /** Integers become float32, plain numbers with them. */
  readonly float?: true;
}

const promotedFloat = (dtypes: readonly DType[]): DType =>
  dtypes.length === 0 ? 'float32' : floatDType(dtypes.reduce(promoteTypes));

/** A function of two operands that have been brought to one shape and dtype when `body` sees them. */
function binary(name: string, body: (x: Tensor, y: Tensor) => Tensor, options: BinaryOptions = {}): BinaryFunction {
  const implementation = (a: Tensor, b: Tensor): Tensor => {
    const operands = requireTensors(name, a, b);
    const dtype = options.float ? floatDType(promote(operands)) : promote(operands);
    if (dtype === 'bool' && !options.bool) {
      throw dtypeMismatch(name, `${describe(a)} and ${describe(b)}`, 'number dtypes', "convert with .astype('int32')");
    }
    const [x, y] = meet(name, operands, dtype);
    return dtype === 'bool' && options.bool ? plain(options.bool, x, y) : body(x, y);
  };
  return operation<[x: TensorLike, y: TensorLike], Tensor>(name, implementation, {
    operands: [0, 1],
    ...(options.float && { numberDType: promotedFloat }),
  }) as BinaryFunction;
}

/** The same for a function of floats. */
type FloatBinaryFunction = <X extends TensorLike, Y extends TensorLike>(x: X, y: Y) => Tensor<Floating<Promoted<X, Y>>>;

const floatBinary = (name: string, body: (x: Tensor, y: Tensor) => Tensor): FloatBinaryFunction =>
  binary(name, body, { float: true }) as FloatBinaryFunction;

/** `x + y`; of bools, or. @throws KilnError `shape_mismatch` when the shapes do not broadcast. */
export const add = binary('add', plus, { bool: 'or' });

/** `x - y`. @throws KilnError `shape_mismatch`; `dtype_mismatch` for bools. */
export const subtract = binary('subtract', minus);

/** `x * y`; of bools, and. @throws KilnError `shape_mismatch` */
export const multiply = binary('multiply', times, { bool: 'and' });

/** True division `x / y`: integers and bools become float32. @throws KilnError `shape_mismatch` */
export const divide = floatBinary('divide', over);

export { divide as div, multiply as mul, subtract as sub };

/**
 * `floor(x / y)`, of the same dtype. Floats as Python's `//`: `x` less its remainder, divided, so that the quotient
 * agrees with `remainder` at every magnitude. An integer divided by 0 gives what the primitive `divide` gives.
 * @throws KilnError `shape_mismatch`; `dtype_mismatch` for bools
 */
export const floorDivide = binary('floorDivide', (x, y) => {
  const rest = plain('remainder', x, y);
  const down = isOpposite(rest, y);
  if (!isFloat(x.dtype)) {
    const quotient = over(x, y);
    return select(plain('and', down, compare(y, 'NE', 0)), minus(quotient, 1), quotient);
  }
  const quotient = over(select(compare(y, 'EQ', 0), x, minus(x, rest)), y);
  return plain('round_nearest_even', select(down, minus(quotient, 1), quotient));
});

/** Where a remainder is not 0 and its sign is not that of the divisor. */
const isOpposite = (rest: Tensor, divisor: Tensor): Tensor =>
  plain('and', compare(rest, 'NE', 0), compare(compare(rest, 'LT', 0), 'NE', compare(divisor, 'LT', 0)));

/**
 * The remainder of `floorDivide`: `x - y * floor(x / y)`, with the sign of `y` (NumPy `remainder`, Python `%`).
 * @throws KilnError `shape_mismatch`; `dtype_mismatch` for bools
 */
export const remainder = binary('remainder', (x, y) => {
  const rest = plain('remainder', x, y);
  return select(isOpposite(rest, y), plus(rest, y), rest);
});

/** The remainder of truncated division, with the sign of `x` (C `fmod`, JavaScript `%`). */
export const fmod = binary('fmod', (x, y) => plain('remainder', x, y));

/** The greater of two, NaN if either is; of bools, or. At ties each gets half the gradient. */
export const maximum = binary('maximum', (x, y) => plain('maximum', x, y), { bool: 'or' });

/** The lesser of two, NaN if either is; of bools, and. At ties each gets half the gradient. */
export const minimum = binary('minimum', (x, y) => plain('minimum', x, y), { bool: 'and' });

/** The angle of the point `(y, x)`: `atan2(y, x)` in [-π, π]. Integers become float32. */
export const atan2 = floatBinary('atan2', (y, x) => plain('atan2', y, x));

/** `log(exp(x) + exp(y))` without overflow; -inf and inf behave as limits, also in the gradient. */
export const logaddexp = floatBinary('logaddexp', (x, y) => {
  // inf - inf has no value: there x + y is the limit, and the difference is taken of zeros.
  const difference = minus(x, y);
  const undefinedThere = compare(difference, 'NE', difference);
  const delta = select(undefinedThere, constantLike(x, 0), difference);
  // One question picks the greater operand and the sign of the distance, so that slopes at ties add up.
  const below = compare(delta, 'LT', 0);
  const distance = select(below, delta, plain('negate', delta));
  const tail = plain('log_plus_one', plain('exponential', distance));
  return select(undefinedThere, plus(x, y), plus(select(below, y, x), tail));
});

const powTensors = binary('pow', (x, y) => plain('power', x, y));

/** Integer exponents up to this are products, exact where the products are and defined for any base. */
const productLimit = 16;

const powInteger = operation<[x: Tensor, exponent: number], Tensor>('powInteger', (x, exponent) => {
  if (exponent === 0) return constantLike(x, 1);
  let square = x;
  let result: Tensor | undefined;
  for (let rest = Math.abs(exponent); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result ? times(result, square) : square;
    if (rest > 1) square = times(square, square);
  }
  const product = result ?? x;
  return exponent < 0 ? over(constantLike(x, 1), product) : product;
});

/**
 * `x` to the power `y`, of the promoted dtype. A small integer written as a number is a product of factors
 * (`pow(x, 2)` is `x * x`); everything else is the primitive, where `0^0` is 1 and a negative base with a fractional
 * exponent NaN. Integer powers wrap; with a negative exponent they are 0, but for the bases 1 and -1.
 * @throws KilnError `shape_mismatch`; `dtype_mismatch` for bools
 */
export const pow = ((x: TensorLike, y: TensorLike): Tensor => {
  const isProduct = x instanceof Tensor && typeof y === 'number' && Number.isInteger(y) && Math.abs(y) <= productLimit;
  return isProduct && x.dtype !== 'bool' && (y >= 0 || isFloat(x.dtype)) ? powInteger(x, y) : powTensors(x, y);
}) as BinaryFunction;

/**
 * `x` moved into `[min, max]`; either bound may be left out. NaN stays NaN. Where `x` equals a bound the gradient is
 * shared between the two, as `maximum` and `minimum` do it.
 * @throws KilnError `shape_mismatch`
 */
export const clip = operation<[x: Tensor, min?: TensorLike | null, max?: TensorLike | null], Tensor>(
  'clip',
  (x, min, max) => {
    requireTensor('clip', x);
    let result = x;
    if (min !== undefined && min !== null) result = maximum(result, min);
    if (max !== undefined && max !== null) result = minimum(result, max);
    return result;
  },
  { operands: [0, 1, 2] },
) as <D extends DType>(x: Tensor<D>, min?: TensorLike | null, max?: TensorLike | null) => Tensor<D>;

/** Linear interpolation `x + weight * (y - x)`. @throws KilnError `shape_mismatch` */
export const lerp = operation<[x: Tensor, y: Tensor, weight: TensorLike], Tensor>(
  'lerp',
  (x, y, weight) => add(x, multiply(weight, subtract(y, x))),
  { operands: [0, 1, 2] },
);

/** Methods of this family; each does what the function of its name does with the tensor as first operand. */
export interface ArithmeticMethods<D extends DType> {
  add<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  subtract<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  /** Short for `subtract`. */
  sub<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  multiply<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  /** Short for `multiply`. */
  mul<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  divide<Y extends TensorLike>(other: Y): Tensor<Floating<Promoted<Tensor<D>, Y>>>;
  /** Short for `divide`. */
  div<Y extends TensorLike>(other: Y): Tensor<Floating<Promoted<Tensor<D>, Y>>>;
  floorDivide<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  remainder<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  fmod<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  pow<Y extends TensorLike>(exponent: Y): Tensor<Promoted<Tensor<D>, Y>>;
  maximum<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  minimum<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  atan2<Y extends TensorLike>(x: Y): Tensor<Floating<Promoted<Tensor<D>, Y>>>;
  logaddexp<Y extends TensorLike>(other: Y): Tensor<Floating<Promoted<Tensor<D>, Y>>>;
  clip(min?: TensorLike | null, max?: TensorLike | null): Tensor<D>;
  lerp(other: Tensor, weight: TensorLike): Tensor;
}
