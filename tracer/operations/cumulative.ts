/**
 * Running sums and products along an axis.
 *
 *     cumulativeSum(tensor([1, 2, 3]))       // f32[3]: 1, 3, 6
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { CumulativeKind } from '../../ir/opcodes.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { axisOf, describe, requireTensor, toNumber } from './support.ts';

type Running<D extends DType> = D extends 'bool' ? 'int32' : D;

const cumulative = (name: string, kind: CumulativeKind) =>
  operation<[x: Tensor, axis?: number], Tensor>(name, (operand, axis) => {
    requireTensor(name, operand);
    const x = toNumber(operand);
    if (axis === undefined && x.ndim !== 1) {
      throw new KilnError('invalid_argument', `${name}: which axis?`, { given: describe(x), hint: 'pass the axis' });
    }
    const at = axisOf(name, axis ?? 0, x.ndim);
    return emit('cumulative', [x], { kind, axis: at });
  }) as <D extends DType>(x: Tensor<D>, axis?: number) => Tensor<Running<D>>;

/**
 * Sums of the elements up to and including each, along an axis (which only a vector may leave out).
 * @throws KilnError `invalid_argument` for a bad axis
 */
export const cumulativeSum = cumulative('cumulativeSum', 'sum');

/** Products of the elements up to and including each, as `cumulativeSum`. */
export const cumulativeProd = cumulative('cumulativeProd', 'product');

/** Methods of this family; each does what the function of its name does. */
export interface CumulativeMethods<D extends DType> {
  cumulativeSum(axis?: number): Tensor<Running<D>>;
  cumulativeProd(axis?: number): Tensor<Running<D>>;
}
