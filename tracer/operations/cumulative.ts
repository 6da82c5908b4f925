/**
 * Running sums and products along an axis, as a scan by doubling: `log2(n)` passes over the tensor, each of which fuses.
 *
 *     cumulativeSum(tensor([1, 2, 3]))       // f32[3]: 1, 3, 6
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { plain } from './primitives.ts';
import { axisOf, describe, range, requireStatic, requireTensor, scalar, toNumber } from './support.ts';

type Running<D extends DType> = D extends 'bool' ? 'int32' : D;

/** Running combinations by doubling: after step s each element covers the 2^s before it. */
function runningAxis(x: Tensor, opcode: 'add' | 'multiply', axis: number, size: number): Tensor {
  const identity = scalar(x.dtype, opcode === 'add' ? 0 : 1);
  const only = (amount: number): number[] => range(x.ndim).map((i) => (i === axis ? amount : 0));
  let running = x;
  for (let distance = 1; distance < size; distance *= 2) {
    const shifted = emit('pad', [running, identity], { low: only(distance), high: only(-distance), interior: only(0) });
    running = plain(opcode, running, shifted);
  }
  return running;
}

const cumulative = (name: string, opcode: 'add' | 'multiply') =>
  operation<[x: Tensor, axis?: number], Tensor>(name, (operand, axis) => {
    requireTensor(name, operand);
    const x = toNumber(operand);
    if (axis === undefined && x.ndim !== 1) {
      throw new KilnError('invalid_argument', `${name}: which axis?`, { given: describe(x), hint: 'pass the axis' });
    }
    const at = axisOf(name, axis ?? 0, x.ndim);
    return runningAxis(x, opcode, at, requireStatic(name, x.type.shape[at], 'the axis'));
  }) as <D extends DType>(x: Tensor<D>, axis?: number) => Tensor<Running<D>>;

/**
 * Sums of the elements up to and including each, along an axis (which only a vector may leave out).
 * @throws KilnError `invalid_argument` for a bad axis, `unknown_size` for a symbolic one
 */
export const cumulativeSum = cumulative('cumulativeSum', 'add');

/** Products of the elements up to and including each, as `cumulativeSum`. */
export const cumulativeProd = cumulative('cumulativeProd', 'multiply');

/** Methods of this family; each does what the function of its name does. */
export interface CumulativeMethods<D extends DType> {
  cumulativeSum(axis?: number): Tensor<Running<D>>;
  cumulativeProd(axis?: number): Tensor<Running<D>>;
}
