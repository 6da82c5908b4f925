/**
 * Plain numbers among the operands of an operation. They are data, not structure: a number takes the dtype of the
 * tensors beside it and becomes a 0-d tensor (a constant inside a trace), so another number needs no other program.
 *
 *     x.mul(0.5)       // x: f32[8]   → operands f32[8], f32[]
 *     i.add(0.5)       // i: i32[8]   → KilnError [dtype_mismatch]
 */
import { type DType, integerRange, isFloat, isInteger, promoteTypes } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { splat } from '../ir/literal.ts';
import { encodeElements } from '../runtime/elements.ts';
import { deviceNamed } from '../runtime/session.ts';
import { Tensor } from './tensor.ts';
import { emit } from './trace.ts';

export type PlainNumber = number | bigint | boolean;

export const isPlainNumber = (value: unknown): value is PlainNumber =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';

/** The dtype that plain numbers take beside tensors of the given dtypes; without tensors, that of their kind. */
export function defaultNumberDType(tensors: readonly DType[], numbers: readonly PlainNumber[]): DType {
  if (tensors.length > 0) return tensors.reduce(promoteTypes);
  if (numbers.every((value) => typeof value === 'boolean')) return 'bool';
  return numbers.some((value) => typeof value === 'number') ? 'float32' : 'int32';
}

/**
 * A plain number as an element of `dtype`.
 * @throws KilnError `dtype_mismatch` when the dtype does not hold it
 */
export function elementOf(value: PlainNumber, dtype: DType, name: string): number {
  const element = Number(value);
  if (isFloat(dtype)) return element;
  const [low, high] = isInteger(dtype) ? integerRange(dtype) : [0, 1];
  if (Number.isInteger(element) && element >= low && element <= high) return element;
  throw new KilnError('dtype_mismatch', `${name}: the number does not fit the dtype of the tensor`, {
    given: `${String(value)} with a tensor of ${dtype}`,
    expected: dtype === 'bool' ? 'true or false' : `an integer from ${low} to ${high}`,
    hint: "convert the tensor first, such as x.astype('float32')",
  });
}

/** A 0-d constant in the innermost trace. */
export const constantScalar = (value: PlainNumber, dtype: DType, name: string): Tensor =>
  emit('constant', [], { value: splat(dtype, [], elementOf(value, dtype, name)) });

/** A 0-d tensor on a device. */
export function uploadScalar(value: PlainNumber, dtype: DType, name: string, device: string | undefined): Tensor {
  const bytes = encodeElements(dtype, [elementOf(value, dtype, name)]);
  return Tensor.of(dtype, scalarShape, deviceNamed(device).upload(dtype, scalarShape, bytes));
}

const scalarShape: readonly number[] = Object.freeze([]);
