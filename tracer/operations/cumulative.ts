/**
 * Running sums and products along an axis.
 *
 *     cumulativeSum(tensor([1, 2, 3]))       // f32[3]: 1, 3, 6
 */
import { dimProduct, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { CumulativeKind } from '../../ir/opcodes.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { plain } from './primitives.ts';
import { axisOf, describe, expandTo, range, requireTensor, scalar, toNumber } from './support.ts';

type Running<D extends DType> = D extends 'bool' ? 'int32' : D;

/**
 * Longer axes, where there are few of them side by side, are cut so that blocks run at once. Blocks are no power of two
 * long: those would lie in the same few places of a cache.
 */
const longest = 4096;
const fewest = 64;
const block = 1008;

function isLongAlone({ type: { shape } }: Tensor, axis: number): boolean {
  const [size, others] = [shape[axis], dimProduct(shape.toSpliced(axis, 1))];
  return isStatic(size) && isStatic(others) && size > longest && others < fewest;
}

/** Blocks by themselves, combined with the running combination of whole blocks: an order of the shape alone. */
function inBlocks(x: Tensor, kind: CumulativeKind, axis: number): Tensor {
  const { shape } = x.type;
  const size = shape[axis] as number;
  const identity = scalar(x.dtype, kind === 'sum' ? 0 : 1);
  const only = (rank: number, amount: number): number[] => range(rank).map((i) => (i === axis ? amount : 0));
  const padded = (t: Tensor, low: number, high: number): Tensor =>
    emit('pad', [t, identity], { low: only(t.ndim, low), high: only(t.ndim, high), interior: only(t.ndim, 0) });
  const count = Math.ceil(size / block);
  const rest = count * block - size;
  const whole = rest > 0 ? padded(x, 0, rest) : x;
  const cut = emit('reshape', [whole], { shape: shape.toSpliced(axis, 1, count, block) });
  const within = emit('cumulative', [cut], { kind, axis: axis + 1 });
  const last = within.type.shape.with(axis + 1, 1);
  const totals = emit('slice', [within], {
    start: within.type.shape.map((_, i) => (i === axis + 1 ? block - 1 : 0)),
    limit: within.type.shape,
    strides: within.type.shape.map(() => 1),
  });
  const blocks = emit('reshape', [totals], { shape: shape.with(axis, count) });
  const upTo = isLongAlone(blocks, axis) ? inBlocks(blocks, kind, axis) : emit('cumulative', [blocks], { kind, axis });
  const before = emit('reshape', [padded(upTo, 1, -1)], { shape: last });
  const result = plain(kind === 'sum' ? 'add' : 'multiply', expandTo(before, within.type.shape), within);
  const joined = emit('reshape', [result], { shape: shape.with(axis, count * block) });
  return rest > 0 ? padded(joined, 0, -rest) : joined;
}

const cumulative = (name: string, kind: CumulativeKind) =>
  operation<[x: Tensor, axis?: number], Tensor>(name, (operand, axis) => {
    requireTensor(name, operand);
    const x = toNumber(operand);
    if (axis === undefined && x.ndim !== 1) {
      throw new KilnError('invalid_argument', `${name}: which axis?`, { given: describe(x), hint: 'pass the axis' });
    }
    const at = axisOf(name, axis ?? 0, x.ndim);
    return isLongAlone(x, at) ? inBlocks(x, kind, at) : emit('cumulative', [x], { kind, axis: at });
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
