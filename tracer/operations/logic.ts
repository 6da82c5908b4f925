/**
 * Comparison, selection, and logic on bools and bits. Comparisons give bool; as IEEE 754 has it, NaN is not equal to
 * anything. Operands broadcast and promote as in arithmetic.
 *
 *     less(tensor([1, 5]), 3)                 // bool[2]: true, false
 *     where(less(x, 0), 0, x)                 // x without its negative elements
 */
import type { DType } from '../../base/dtype.ts';
import { isInteger, isSigned } from '../../base/dtype.ts';
import type { CompareDirection, PlainOpcode } from '../../ir/opcodes.ts';
import { operation, type TensorLike } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, minus, plain, plus, times } from './primitives.ts';
import {
  broadcastTogether,
  convert,
  describe,
  dtypeMismatch,
  meet,
  type Promoted,
  promote,
  requireTensor,
  requireTensors,
  toBool,
  toFloat,
} from './support.ts';

type Comparison = (x: TensorLike, y: TensorLike) => Tensor<'bool'>;
type BitFunction = <X extends TensorLike, Y extends TensorLike>(x: X, y: Y) => Tensor<Promoted<X, Y>>;

const bothOperands = { operands: [0, 1] };

const comparison = (name: string, direction: CompareDirection): Comparison =>
  operation<[x: TensorLike, y: TensorLike], Tensor>(
    name,
    (x, y) => emit('compare', meet(name, requireTensors(name, x, y)), { direction }),
    bothOperands,
  ) as Comparison;

/** `x == y`, as bool. @throws KilnError `shape_mismatch` when the shapes do not broadcast. */
export const equal = comparison('equal', 'EQ');

/** `x != y`, as bool. @throws KilnError `shape_mismatch` */
export const notEqual = comparison('notEqual', 'NE');

/** `x < y`, as bool. @throws KilnError `shape_mismatch` */
export const less = comparison('less', 'LT');

/** `x <= y`, as bool. @throws KilnError `shape_mismatch` */
export const lessEqual = comparison('lessEqual', 'LE');

/** `x > y`, as bool. @throws KilnError `shape_mismatch` */
export const greater = comparison('greater', 'GT');

/** `x >= y`, as bool. @throws KilnError `shape_mismatch` */
export const greaterEqual = comparison('greaterEqual', 'GE');

// Logic on truth values.

const logical = (name: string, opcode: PlainOpcode): Comparison =>
  operation<[x: TensorLike, y: TensorLike], Tensor>(
    name,
    (x, y) => emit(opcode, broadcastTogether(name, requireTensors(name, x, y).map(toBool)), {}),
    bothOperands,
  ) as Comparison;

/** Whether both are true; numbers count as true unless 0. @throws KilnError `shape_mismatch` */
export const logicalAnd = logical('logicalAnd', 'and');

/** Whether one is true; numbers count as true unless 0. @throws KilnError `shape_mismatch` */
export const logicalOr = logical('logicalOr', 'or');

/** Whether exactly one is true; numbers count as true unless 0. @throws KilnError `shape_mismatch` */
export const logicalXor = logical('logicalXor', 'xor');

/** Whether it is false; numbers count as true unless 0. */
export const logicalNot = operation<[x: Tensor], Tensor>('logicalNot', (x) => {
  requireTensor('logicalNot', x);
  return plain('not', toBool(x));
}) as (x: Tensor) => Tensor<'bool'>;

// Logic on bits.

const bitsMismatch = (name: string, x: Tensor, expected = 'integer dtypes or bool') =>
  dtypeMismatch(name, describe(x), expected, "convert with .astype('int32')");

const bitwise = (name: string, opcode: PlainOpcode): BitFunction =>
  operation<[x: TensorLike, y: TensorLike], Tensor>(
    name,
    (x, y) => {
      const operands = requireTensors(name, x, y);
      for (const operand of operands) {
        if (operand.dtype !== 'bool' && !isInteger(operand.dtype)) throw bitsMismatch(name, operand);
      }
      return emit(opcode, meet(name, operands), {});
    },
    bothOperands,
  ) as BitFunction;

/** And of each bit. @throws KilnError `dtype_mismatch` for floats, `shape_mismatch` */
export const bitwiseAnd = bitwise('bitwiseAnd', 'and');

/** Or of each bit. @throws KilnError `dtype_mismatch` for floats, `shape_mismatch` */
export const bitwiseOr = bitwise('bitwiseOr', 'or');

/** Exclusive or of each bit. @throws KilnError `dtype_mismatch` for floats, `shape_mismatch` */
export const bitwiseXor = bitwise('bitwiseXor', 'xor');

/** Complement of each bit. @throws KilnError `dtype_mismatch` for floats */
export const bitwiseInvert = operation<[x: Tensor], Tensor>('bitwiseInvert', (x) => {
  requireTensor('bitwiseInvert', x);
  if (x.dtype !== 'bool' && !isInteger(x.dtype)) throw bitsMismatch('bitwiseInvert', x);
  return plain('not', x);
}) as <D extends DType>(x: Tensor<D>) => Tensor<D>;

const shift = (name: string, opcode: (dtype: DType) => PlainOpcode): BitFunction =>
  operation<[x: TensorLike, bits: TensorLike], Tensor>(
    name,
    (x, bits) => {
      const operands = requireTensors(name, x, bits);
      for (const operand of operands) {
        if (!isInteger(operand.dtype)) throw bitsMismatch(name, operand, 'integer dtypes');
      }
      return emit(opcode(promote(operands)), meet(name, operands), {});
    },
    bothOperands,
  ) as BitFunction;

/** `x << bits`; shifts by the width and more give 0. @throws KilnError `dtype_mismatch` unless both are integers */
export const bitwiseLeftShift = shift('bitwiseLeftShift', () => 'shift_left');

/**
 * `x >> bits`: signed integers keep their sign, unsigned ones are filled with zeros.
 * @throws KilnError `dtype_mismatch` unless both are integers
 */
export const bitwiseRightShift = shift('bitwiseRightShift', (dtype) =>
  isSigned(dtype) ? 'shift_right_arithmetic' : 'shift_right_logical',
);

/**
 * Elements of `x` where `condition` is true, of `y` elsewhere. All three broadcast; `x` and `y` promote. The side that
 * is not taken gets a gradient of exactly 0, but is computed: keep it finite where its own gradient would be NaN.
 * @param condition bool, or numbers that count as true unless 0
 * @throws KilnError `shape_mismatch` when the shapes do not broadcast
 */
export const where = operation<[condition: Tensor, x: TensorLike, y: TensorLike], Tensor>(
  'where',
  (condition, x, y) => {
    requireTensor('where', condition, 'the condition');
    const branches = requireTensors('where', x, y);
    const dtype = promote(branches);
    const operands = [toBool(condition), ...branches.map((branch) => convert(branch, dtype))];
    return emit('select', broadcastTogether('where', operands), {});
  },
  { operands: [1, 2] },
) as <X extends TensorLike, Y extends TensorLike>(condition: Tensor, x: X, y: Y) => Tensor<Promoted<X, Y>>;

export interface CloseOptions {
  /** Relative tolerance, of the second operand: 1e-5 unless given. */
  readonly rtol?: number;
  /** Absolute tolerance: 1e-8 unless given. */
  readonly atol?: number;
  /** Whether NaN is close to NaN: false unless given. */
  readonly equalNan?: boolean;
}

/**
 * Whether elements are equal or differ by at most `atol + rtol * |y|`, as bool. An infinity is close to itself alone.
 * @throws KilnError `shape_mismatch`
 */
export const isclose = operation<[x: TensorLike, y: TensorLike, options?: CloseOptions], Tensor>(
  'isclose',
  (a, b, { rtol = 1e-5, atol = 1e-8, equalNan = false }: CloseOptions = {}) => {
    const [x, y] = meet('isclose', requireTensors('isclose', a, b).map(toFloat));
    const near = compare(plain('abs', minus(x, y)), 'LE', plus(times(plain('abs', y), rtol), atol));
    const close = plain('or', compare(x, 'EQ', y), plain('and', plain('is_finite', y), near));
    return equalNan ? plain('or', close, plain('and', compare(x, 'NE', x), compare(y, 'NE', y))) : close;
  },
  bothOperands,
) as (x: TensorLike, y: TensorLike, options?: CloseOptions) => Tensor<'bool'>;

/** Methods of this family; each does what the function of its name does with the tensor as first operand. */
export interface LogicMethods<D extends DType> {
  equal(other: TensorLike): Tensor<'bool'>;
  notEqual(other: TensorLike): Tensor<'bool'>;
  less(other: TensorLike): Tensor<'bool'>;
  lessEqual(other: TensorLike): Tensor<'bool'>;
  greater(other: TensorLike): Tensor<'bool'>;
  greaterEqual(other: TensorLike): Tensor<'bool'>;
  isclose(other: TensorLike, options?: CloseOptions): Tensor<'bool'>;
  logicalAnd(other: TensorLike): Tensor<'bool'>;
  logicalOr(other: TensorLike): Tensor<'bool'>;
  logicalXor(other: TensorLike): Tensor<'bool'>;
  logicalNot(): Tensor<'bool'>;
  bitwiseAnd<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  bitwiseOr<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  bitwiseXor<Y extends TensorLike>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  bitwiseInvert(): Tensor<D>;
  bitwiseLeftShift<Y extends TensorLike>(bits: Y): Tensor<Promoted<Tensor<D>, Y>>;
  bitwiseRightShift<Y extends TensorLike>(bits: Y): Tensor<Promoted<Tensor<D>, Y>>;
  /** Elements of this tensor where `condition` is true, of `other` elsewhere. */
  where<Y extends TensorLike>(condition: Tensor, other: Y): Tensor<Promoted<Tensor<D>, Y>>;
}
