/**
 * `operation` makes a public function of an implementation over traced tensors. Inside a trace the implementation runs
 * inline. Outside, the whole operation is one program, cached by its name and the signature of its arguments, so eager
 * softmax is one launch. The implementation sees tensors of a trace in both cases: it uses `emit` and other
 * operations, never reads data, and must depend on nothing but its arguments.
 *
 *     export const add = operation<[a: TensorLike, b: TensorLike], Tensor>(
 *       'add',
 *       (a, b) => emit('add', broadcastTogether(a, b), {}),
 *       { operands: [0, 1] },
 *     );
 *     export const sum = operation('sum', (x: Tensor, axis?: number, options?: { keepdims?: boolean }) => ...);
 *
 * Arguments: tensors; numbers, booleans, strings, null and undefined, which are part of the key; arrays and plain
 * option objects of all these. At the positions listed in `operands` a number, bigint or boolean is data: it becomes
 * a 0-d tensor of the dtype of the other operands, so another number does not compile again. Results: a tensor, or
 * tensors in arrays and plain objects.
 *
 * An operation checks its arguments by throwing `KilnError` without a location; the user's line is added here.
 */
import type { DType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { EagerOperation } from './eager.ts';
import { currentTrace } from './graph-trace.ts';
import { atLocation, currentLocation } from './location.ts';
import { constantScalar, defaultNumberDType, isPlainNumber, type PlainNumber, uploadScalar } from './operands.ts';
import { Tensor } from './tensor.ts';
import { markTrusted } from './trusted.ts';

/** Who releases the scalars that an operation makes of numbers. */
const temporary = { by: 'tidy' } as const;

/** What an operand may be where a plain number makes sense: it takes the dtype of the other operands. */
export type TensorLike = Tensor | PlainNumber;

/** Arguments as the implementation sees them: numbers at operand positions have become tensors. */
export type Lifted<A extends readonly unknown[]> = {
  [I in keyof A]: TensorLike extends A[I] ? Exclude<A[I], PlainNumber> : A[I];
};

export interface OperationOptions {
  /** Positions of arguments at which a plain number is data. */
  readonly operands?: readonly number[];
  /**
   * The dtype that plain numbers take, given the dtypes of the tensors at operand positions (perhaps none) and the
   * numbers. By default the promotion of the tensors' dtypes; without tensors float32, or bool for booleans.
   */
  readonly numberDType?: (tensors: readonly DType[], numbers: readonly PlainNumber[]) => DType;
}

/**
 * A public function with the given name and implementation.
 * @param name how messages, profiles and keys call it; unique among operations
 */
export function operation<A extends readonly unknown[], R>(
  name: string,
  implementation: (...args: Lifted<A>) => R,
  options: OperationOptions = {},
): (...args: A) => R {
  const { operands = [], numberDType = defaultNumberDType } = options;
  const body = implementation as (...args: readonly unknown[]) => unknown;
  const eager = new EagerOperation(name, body);

  /** The arguments with tensors in the place of plain numbers, made by `make`. */
  const lift = (args: readonly unknown[], make: (value: PlainNumber, dtype: DType) => Tensor): readonly unknown[] => {
    const given = operands.map((position) => args[position]);
    const numbers = given.filter(isPlainNumber);
    if (numbers.length === 0) return args;
    const tensors = given.filter((value) => value instanceof Tensor);
    const dtype = numberDType(
      tensors.map((tensor) => tensor.dtype),
      numbers,
    );
    return args.map((value, i) => (operands.includes(i) && isPlainNumber(value) ? make(value, dtype) : value));
  };

  const inTrace = (args: readonly unknown[]): unknown =>
    atLocation(currentLocation(), () => body(...lift(args, (value, dtype) => constantScalar(value, dtype, name))));

  const outside = (args: readonly unknown[]): unknown => {
    const scalars: Tensor[] = [];
    const device = args.find((value) => value instanceof Tensor)?.handle?.device.name;
    const lifted = lift(args, (value, dtype) => {
      const scalar = uploadScalar(value, dtype, name, device);
      scalars.push(scalar);
      return scalar;
    });
    const result = eager.run(lifted);
    for (const scalar of scalars) scalar.release(temporary);
    return result;
  };

  const call = (...args: readonly unknown[]): unknown => {
    try {
      return currentTrace() ? inTrace(args) : outside(args);
    } catch (error) {
      throw error instanceof KilnError ? error.at(currentLocation()) : error;
    }
  };
  return markTrusted(Object.defineProperty(call, 'name', { value: name }) as (...args: A) => R);
}
