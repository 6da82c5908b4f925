/**
 * What the operations share: checks of arguments, axes and sizes, broadcasting, promotion, and constants. Functions
 * here run inside an operation's implementation: tensors are traced, and every check comes before the first `emit`.
 *
 *     axisOf('sum', -1, 3)                          // 2
 *     broadcastShapes('add', [[8, 1], [4]])         // [8, 4]
 *     broadcastTogether('add', [x, y])              // both f32[8,4]
 */
import { type Dim, dimBounds, equalDims, isAtMostDim, isEqualDim, isStatic, SymbolicDim } from '../../base/dim.ts';
import { type DType, isDType, isFloat, isInteger, isNarrowInteger, promoteTypes } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { ReduceKind } from '../../ir/opcodes.ts';
import { formatType } from '../../ir/printer.ts';
import { hintForCopies } from '../copies.ts';
import type { TensorLike } from '../operation.ts';
import { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';

/** Sizes as users give them. */
export type Shape = readonly Dim[];

/** One axis, several, or all of them. */
export type Axes = number | readonly number[] | null;

/** The dtype of float functions: floats stay what they are, integers and bool become float32. */
export type Floating<D extends DType> = D extends 'float64' | 'float32' | 'float16' | 'bfloat16' ? D : 'float32';

/** The dtype two operands meet in, as far as the types alone tell; a plain number takes the tensor's. */
export type Promoted<X, Y> =
  X extends Tensor<infer D>
    ? Y extends Tensor<infer E>
      ? [D, E] extends [E, D]
        ? D
        : DType
      : D
    : Y extends Tensor<infer E>
      ? E
      : 'float32';

/** `f32[2,3]`, or what it is in JavaScript: `number 3`, `an array`. */
export const describe = (x: unknown): string =>
  x instanceof Tensor
    ? formatType(x.type)
    : x === null || x === undefined
      ? String(x)
      : Array.isArray(x)
        ? 'an array'
        : typeof x === 'object'
          ? 'an object'
          : typeof x === 'function'
            ? 'a function'
            : `${typeof x} ${String(x)}`;

const optionsComeLast = 'make one with tensor(data); options come last, after null for an operand that is left out';
const isOptions = (x: unknown): boolean =>
  typeof x === 'object' && x !== null && Object.getPrototypeOf(x) === Object.prototype;

/** @throws KilnError `invalid_argument` for anything that is not a tensor. */
export function requireTensor(op: string, x: unknown, what = 'the operand'): asserts x is Tensor {
  if (x instanceof Tensor) return;
  throw new KilnError('invalid_argument', `${op}: ${what} is not a tensor`, {
    given: describe(x),
    hint: hintForCopies(x) ?? (isOptions(x) ? optionsComeLast : 'make one with tensor(data)'),
  });
}

/** Operands as tensors: at operand positions plain numbers have become tensors before the implementation runs. */
export function requireTensors(op: string, ...operands: readonly (Tensor | TensorLike)[]): readonly Tensor[] {
  for (const x of operands) requireTensor(op, x);
  return operands as readonly Tensor[];
}

export const dtypeMismatch = (op: string, given: string, expected: string, hint?: string): KilnError =>
  new KilnError('dtype_mismatch', `${op}: operand of a dtype it does not take`, {
    given,
    expected,
    ...(hint !== undefined && { hint }),
  });

/** @throws KilnError `dtype_mismatch` unless every operand is an integer. */
export function requireInteger(op: string, what: string, x: Tensor): void {
  requireTensor(op, x, what);
  if (isInteger(x.dtype)) return;
  throw dtypeMismatch(op, `${what} ${describe(x)}`, 'an integer dtype', "convert with .astype('int32')");
}

export function requireDType(op: string, dtype: unknown): asserts dtype is DType {
  if (isDType(dtype)) return;
  throw new KilnError('invalid_argument', `${op}: no such dtype`, {
    given: String(dtype),
    expected: 'such as float32',
  });
}

// Sizes and axes.

/** A shape whose sizes are non-negative integers or symbolic. @throws KilnError `invalid_size` */
export function requireShape(op: string, shape: unknown): asserts shape is Shape {
  if (!Array.isArray(shape)) {
    throw new KilnError('invalid_size', `${op}: a shape is an array of sizes`, {
      given: describe(shape),
      hint: 'write [n] for a vector of n elements',
    });
  }
  for (const size of shape) requireSize(op, size, `shape [${shape.map(String).join(',')}]`);
}

/** @throws KilnError `invalid_size` unless `size` is a non-negative integer or symbolic. */
export function requireSize(op: string, size: unknown, given = String(size), least = 0): asserts size is Dim {
  const fits = size instanceof SymbolicDim || (Number.isSafeInteger(size) && (size as number) >= least);
  if (fits) return;
  throw new KilnError('invalid_size', `${op}: not a size`, { given, expected: `integers of ${least} or more` });
}

/** @throws KilnError `invalid_argument` unless `value` is an integer. */
export function requireInt(op: string, value: unknown, what: string): asserts value is number {
  if (Number.isSafeInteger(value)) return;
  throw new KilnError('invalid_argument', `${op}: ${what} is not an integer`, { given: describe(value) });
}

/** A size with a number. @throws KilnError `unknown_size` for a symbolic one. */
export function requireStatic(op: string, size: Dim, what: string): number {
  if (isStatic(size)) return size;
  throw new KilnError('unknown_size', `${op}: ${what} must be a fixed size`, {
    given: size.toString(),
    hint: 'give this axis a number instead of a symbolic size',
  });
}

/** An axis in `[0, rank)`. @throws KilnError `invalid_argument` */
export function axisOf(op: string, axis: number, rank: number): number {
  if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw new KilnError('invalid_argument', `${op}: axis out of range`, {
    given: `axis ${String(axis)} of a tensor of rank ${rank}`,
    expected: rank === 0 ? 'a tensor with at least one axis' : `an integer from ${-rank} to ${rank - 1}`,
  });
}

/** Axes in ascending order, each once; `null` and `undefined` are all of them. @throws KilnError `invalid_argument` */
export function axesOf(op: string, axes: Axes | undefined, rank: number): number[] {
  if (axes === null || axes === undefined) return range(rank);
  const list = (typeof axes === 'object' ? [...axes] : [axes]).map((axis) => axisOf(op, axis, rank));
  if (new Set(list).size === list.length) return list.sort((a, b) => a - b);
  throw new KilnError('invalid_argument', `${op}: an axis is named twice`, { given: `axes ${JSON.stringify(axes)}` });
}

/** `[0, 1, ..., count - 1]`. */
export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The shape without some axes, or with size 1 in their place. */
export const shapeWithout = (shape: Shape, axes: readonly number[], keepdims = false): Dim[] =>
  keepdims ? shape.map((size, i) => (axes.includes(i) ? 1 : size)) : shape.filter((_, i) => !axes.includes(i));

/** A question about sizes that must be true. @throws KilnError `shape_mismatch` or `unknown_size` */
export function requireEqualSizes(op: string, a: Dim, b: Dim, summary: string, given: string, hint?: string): void {
  if (equalDims(a, b)) return;
  const answer = isEqualDim(a, b);
  if (answer === 'never') {
    throw new KilnError('shape_mismatch', `${op}: ${summary}`, {
      given,
      expected: `equal sizes, not ${a} and ${b}`,
      ...(hint !== undefined && { hint }),
    });
  }
  throw new KilnError('unknown_size', `${op}: ${summary}, as far as their bounds tell`, {
    given,
    hint: 'use one symbolic size for both, or fixed sizes',
  });
}

/** Whether `a <= b`. @throws KilnError `unknown_size` when the bounds do not tell. */
export function isAtMost(op: string, a: Dim, b: Dim): boolean {
  const answer = isAtMostDim(a, b);
  if (answer !== 'unknown') return answer === 'always';
  throw new KilnError('unknown_size', `${op}: the bounds of the symbolic sizes do not tell`, {
    given: `whether ${a} <= ${b}`,
    hint: 'give the symbolic size tighter bounds with dim(name, { min, max })',
  });
}

// Broadcasting.

function broadcastSizes(op: string, a: Dim, b: Dim, given: () => string): Dim {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  const answer = isEqualDim(a, b);
  if (answer === 'always') return a;
  const mayBeOne = dimBounds(a)[0] <= 1 || dimBounds(b)[0] <= 1;
  if (answer === 'unknown' || (mayBeOne && !(isStatic(a) && isStatic(b)))) {
    throw new KilnError('unknown_size', `${op}: whether ${a} and ${b} broadcast depends on their values`, {
      given: given(),
      hint: 'use one symbolic size for both, or reshape with expandDims and broadcastTo',
    });
  }
  throw new KilnError('shape_mismatch', `${op}: shapes do not broadcast together`, {
    given: given(),
    expected: 'sizes that are equal or 1, aligned at the last axis',
    hint: 'give an operand axes of size 1 where they belong, with expandDims or reshape, or transpose it',
  });
}

/** The shape that shapes broadcast to, by NumPy's rule. @throws KilnError `shape_mismatch` or `unknown_size` */
export function broadcastShapes(op: string, shapes: readonly Shape[]): Shape {
  const given = () => shapes.map((shape) => `[${shape.join(',')}]`).join(' and ');
  return shapes.reduce((a, b) => {
    if (a === b) return a;
    const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a];
    const extra = longer.length - shorter.length;
    return longer.map((size, i) => (i < extra ? size : broadcastSizes(op, size, shorter[i - extra], given)));
  });
}

const sameShape = (a: Shape, b: Shape): boolean =>
  a === b || (a.length === b.length && a.every((d, i) => equalDims(d, b[i])));

/** `x` repeated to `shape`, aligned at the last axis. The shapes are known to fit. */
export function expandTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.type.shape, shape)) return x;
  const extra = shape.length - x.ndim;
  return emit('broadcast_in_dim', [x], { shape, axes: range(x.ndim).map((axis) => axis + extra) });
}

/** `x` with its axes placed at `axes` of `shape`, repeated along the others. */
export const expandAt = (x: Tensor, shape: Shape, axes: readonly number[]): Tensor =>
  emit('broadcast_in_dim', [x], { shape, axes });

/** Operands repeated to one shape. @throws KilnError `shape_mismatch` or `unknown_size` */
export function broadcastTogether(op: string, operands: readonly Tensor[]): readonly Tensor[] {
  const shape = broadcastShapes(
    op,
    operands.map((x) => x.type.shape),
  );
  return operands.map((x) => expandTo(x, shape));
}

// Dtypes.

export const promote = (operands: readonly Tensor[]): DType => operands.map((x) => x.dtype).reduce(promoteTypes);

/** `x` in another dtype; float to integer truncates and saturates, to bool means `x != 0`. */
export const convert = <D extends DType>(x: Tensor, dtype: D): Tensor<D> =>
  (x.dtype === dtype ? x : emit('convert', [x], { dtype })) as Tensor<D>;

export const floatDType = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'float32');

/** Integers and bool as float32, floats as they are. */
export const toFloat = (x: Tensor): Tensor => convert(x, floatDType(x.dtype));

/** Bool as int32, everything else as it is: for arithmetic. */
export const toNumber = (x: Tensor): Tensor => (x.dtype === 'bool' ? convert(x, 'int32') : x);

/** Narrow integers as int32, since their dtype may not hold the size that they are positions in; others as they are. */
export const toPositions = (x: Tensor): Tensor => (isNarrowInteger(x.dtype) ? convert(x, 'int32') : x);

/** `x != 0`, or `x` itself when it is bool. */
export const toBool = (x: Tensor): Tensor<'bool'> =>
  (x.dtype === 'bool' ? x : emit('compare', [x, constantLike(x, 0)], { direction: 'NE' })) as Tensor<'bool'>;

/** Operands in their common dtype and shape. */
export function meet(op: string, operands: readonly Tensor[], dtype: DType = promote(operands)): readonly Tensor[] {
  return broadcastTogether(
    op,
    operands.map((x) => convert(x, dtype)),
  );
}

// Constants.

/** A 0-d constant. */
export const scalar = <D extends DType>(dtype: D, value: number): Tensor<D> =>
  emit('constant', [], { value: { dtype, shape: [], data: [value] } }) as Tensor<D>;

/** A constant of a shape, all elements equal. */
export function constant<D extends DType>(dtype: D, shape: Shape, value: number): Tensor<D> {
  const single = scalar(dtype, value);
  return (shape.length === 0 ? single : emit('broadcast_in_dim', [single], { shape, axes: [] })) as Tensor<D>;
}

/** A constant of the dtype and shape of `x`. */
export const constantLike = (x: Tensor, value: number): Tensor => constant(x.dtype, x.type.shape, value);

/** The number of elements along axes as a 0-d tensor: how a mean divides by a symbolic size. */
export const sizeScalar = (size: Dim, dtype: DType): Tensor =>
  isStatic(size) ? scalar(dtype, size) : emit('dimension_size', [], { size, dtype });

// Reductions.

/** One reduction over sorted axes; without axes the operand itself. */
export const reduceAxes = (x: Tensor, kind: ReduceKind, axes: readonly number[]): Tensor =>
  axes.length === 0 ? x : emit('reduce', [x], { kind, axes });

/** A reduced tensor repeated along the axes it was reduced over. */
export const spread = (reduced: Tensor, shape: readonly Dim[], axes: readonly number[]): Tensor =>
  expandAt(
    reduced,
    shape,
    range(shape.length).filter((axis) => !axes.includes(axis)),
  );

/**
 * Greatest element along axes as a constant to gradients, 0 where it is not finite: what exponentials are taken from.
 */
export function shiftOf(x: Tensor, axes: readonly number[]): Tensor {
  const top = emit('stop_gradient', [reduceAxes(x, 'max', axes)], {});
  return emit('select', [emit('is_finite', [top], {}), top, constantLike(top, 0)], {});
}

/**
 * Optional operands and the options behind them, where the options may stand in the place of the first operand left
 * out: `conv2d(x, w, { padding: 1 })` is `conv2d(x, w, undefined, { padding: 1 })`.
 */
export function trailingOptions<O extends object>(
  given: readonly (Tensor | O | null | undefined)[],
): { readonly operands: readonly (Tensor | null | undefined)[]; readonly options: O | undefined } {
  const operands: (Tensor | null | undefined)[] = [];
  let options: O | undefined;
  for (const value of given) {
    if (options && value !== undefined) {
      throw new KilnError('invalid_argument', 'options are the last argument', {
        hint: 'move them behind the operands',
      });
    }
    if (value === null || value === undefined || value instanceof Tensor) operands.push(value);
    else options = value;
  }
  return { operands, options };
}
