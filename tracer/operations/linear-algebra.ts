/**
 * Products of matrices and other contractions, all through the primitive `dot_general`, whose result axes are: batch,
 * free axes of the left, free axes of the right operand.
 *
 *     matmul(x, w)                         // f32[8,16,64] of f32[8,16,32] and f32[32,64]
 *     einsum('bij,bkj->bik', q, k)
 */
import { type Dim, equalDims } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, select, times } from './primitives.ts';
import {
  axisOf,
  broadcastShapes,
  constantLike,
  convert,
  describe,
  expandTo,
  type Promoted,
  promote,
  range,
  requireDType,
  requireEqualSizes,
  requireTensors,
  toNumber,
} from './support.ts';

type Product = <X extends Tensor, Y extends Tensor>(x: X, y: Y) => Tensor<Promoted<X, Y>>;
/** A product whose dtype may be chosen. */
type ProductIn = Product & (<D extends DType>(x: Tensor, y: Tensor, options: ProductOptions<D>) => Tensor<D>);

export interface ProductOptions<D extends DType = DType> {
  /**
   * The dtype in which products are made and added, and of the result: JAX's `preferred_element_type`. Without it the
   * common dtype of the operands, in which sums of int8 wrap.
   */
  readonly dtype?: D;
}
type ProductArguments = [x: Tensor, y: Tensor, options?: ProductOptions];
type AxisPair = readonly [readonly number[], readonly number[]];

/** Two operands in their common dtype, or in the one that is asked for; bools count as int32. */
function operandsOf(op: string, x: Tensor, y: Tensor, wanted?: DType): readonly [Tensor, Tensor] {
  requireTensors(op, x, y);
  if (wanted !== undefined) requireDType(op, wanted);
  const dtype = wanted ?? promote([x, y]);
  return [toNumber(convert(x, dtype)), toNumber(convert(y, dtype))];
}

const contract = (x: Tensor, y: Tensor, contracted: AxisPair, batch: AxisPair = [[], []]): Tensor =>
  emit('dot_general', [x, y], { contract: contracted, batch });

function requireMatching(op: string, x: Tensor, xAxis: number, y: Tensor, yAxis: number): void {
  const given = `${describe(x)} axis ${xAxis} and ${describe(y)} axis ${yAxis}`;
  const summary = 'the sizes that are summed over differ';
  const hint = 'check the order of the operands, or transpose one with .mT';
  requireEqualSizes(op, x.type.shape[xAxis], y.type.shape[yAxis], summary, given, hint);
}

/** Both operands with their leading axes repeated to the same batch shape. */
function batched(x: Tensor, y: Tensor): readonly [Tensor, Tensor] {
  const batch = broadcastShapes('matmul', [x.type.shape.slice(0, -2), y.type.shape.slice(0, -2)]);
  return [expandTo(x, [...batch, ...x.type.shape.slice(-2)]), expandTo(y, [...batch, ...y.type.shape.slice(-2)])];
}

/**
 * Matrix product with NumPy's rules: the last axis of `x` is summed with the second last of `y`, a vector on the left
 * counts as a row, on the right as a column, further axes are batches and broadcast.
 *
 *     matmul(x, w, { dtype: 'int32' })     // int32[8,16] of int8[8,32] and int8[32,16], exact
 *
 * @throws KilnError `shape_mismatch` when the inner sizes differ, batches do not broadcast, or an operand is 0-d
 */
export const matmul = operation<ProductArguments, Tensor>('matmul', (left, right, options) => {
  const [x, y] = operandsOf('matmul', left, right, options?.dtype);
  if (x.ndim === 0 || y.ndim === 0) {
    throw new KilnError('shape_mismatch', 'matmul: an operand has no axes', {
      given: `${describe(x)} and ${describe(y)}`,
      hint: 'multiply by a scalar with mul',
    });
  }
  const [inner, outer] = [x.ndim - 1, Math.max(0, y.ndim - 2)];
  requireMatching('matmul', x, inner, y, outer);
  // Without batches on both sides, all other axes are free and nothing is repeated.
  if (x.ndim === 1 || y.ndim <= 2) return contract(x, y, [[inner], [outer]]);
  if (x.ndim === 2) {
    const product = contract(x, y, [[inner], [outer]]);
    const batchAxes = range(y.ndim - 2).map((axis) => axis + 1);
    return emit('transpose', [product], { permutation: [...batchAxes, 0, y.ndim - 1] });
  }
  const [a, b] = batched(x, y);
  const axes = range(a.ndim - 2);
  return contract(a, b, [[a.ndim - 1], [b.ndim - 2]], [axes, axes]);
}) as ProductIn;

/**
 * Dot product as NumPy's `dot`: of vectors a number, of matrices the matrix product, else the last axis of `x` summed
 * with the second last of `y`, all other axes side by side.
 * @throws KilnError `shape_mismatch` when the sizes that are summed over differ
 */
export const dot = operation<ProductArguments, Tensor>('dot', (left, right, options) => {
  const [x, y] = operandsOf('dot', left, right, options?.dtype);
  if (x.ndim === 0 || y.ndim === 0) {
    const shape = broadcastShapes('dot', [x.type.shape, y.type.shape]);
    return times(expandTo(x, shape), expandTo(y, shape));
  }
  const [inner, outer] = [x.ndim - 1, Math.max(0, y.ndim - 2)];
  requireMatching('dot', x, inner, y, outer);
  return contract(x, y, [[inner], [outer]]);
}) as ProductIn;

/** Sum of products along an axis of both; other axes broadcast. @throws KilnError `shape_mismatch` */
export const vecdot = operation<[x: Tensor, y: Tensor, axis?: number], Tensor>('vecdot', (left, right, axis = -1) => {
  const [x, y] = operandsOf('vecdot', left, right);
  const last = (t: Tensor): Tensor => {
    const at = axisOf('vecdot', axis, t.ndim);
    const order = [...range(t.ndim).filter((i) => i !== at), at];
    return at === t.ndim - 1 ? t : emit('transpose', [t], { permutation: order });
  };
  const [a, b] = [last(x), last(y)];
  requireMatching('vecdot', a, a.ndim - 1, b, b.ndim - 1);
  const size = a.type.shape[a.ndim - 1];
  const batch = broadcastShapes('vecdot', [a.type.shape.slice(0, -1), b.type.shape.slice(0, -1)]);
  const axes = range(batch.length);
  const n = batch.length;
  return contract(expandTo(a, [...batch, size]), expandTo(b, [...batch, size]), [[n], [n]], [axes, axes]);
}) as <X extends Tensor, Y extends Tensor>(x: X, y: Y, axis?: number) => Tensor<Promoted<X, Y>>;

/** All products of an element of `x` with one of `y`: `[...x.shape, ...y.shape]`. */
export const outer = operation<[x: Tensor, y: Tensor], Tensor>('outer', (left, right) => {
  const [x, y] = operandsOf('outer', left, right);
  return contract(x, y, [[], []]);
}) as Product;

/**
 * Sum of products over axes of both: as many last axes of `x` as first of `y`, or the axes that are named.
 * @param axes a number, or the axes of each operand; 2 unless given
 * @throws KilnError `shape_mismatch` when sizes differ, `invalid_argument` for bad axes
 */
export const tensordot = operation<[x: Tensor, y: Tensor, axes?: number | AxisPair], Tensor>(
  'tensordot',
  (left, right, axes = 2) => {
    const [x, y] = operandsOf('tensordot', left, right);
    const pair: AxisPair = typeof axes === 'number' ? [range(axes).map((i) => x.ndim - axes + i), range(axes)] : axes;
    const [a, b] = [
      pair[0].map((axis) => axisOf('tensordot', axis, x.ndim)),
      pair[1].map((axis) => axisOf('tensordot', axis, y.ndim)),
    ];
    if (a.length !== b.length) {
      throw new KilnError('invalid_argument', 'tensordot: as many axes of one operand as of the other', {
        given: `[${a}] and [${b}]`,
      });
    }
    a.forEach((axis, i) => {
      requireMatching('tensordot', x, axis, y, b[i]);
    });
    return contract(x, y, [a, b]);
  },
) as <X extends Tensor, Y extends Tensor>(x: X, y: Y, axes?: number | AxisPair) => Tensor<Promoted<X, Y>>;

export interface DotGeneralOptions<D extends DType = DType> extends ProductOptions<D> {
  /** Axes of the left and of the right operand that are summed over. */
  readonly contract: AxisPair;
  /** Axes of both that go together. */
  readonly batch?: AxisPair;
}

/**
 * The primitive itself: sums of products over contracted axes for each index of the batch and free axes.
 * @returns axes in the order: batch, free axes of `x`, free axes of `y`
 * @throws KilnError `shape_mismatch`, `invalid_argument`
 */
export const dotGeneral = operation<[x: Tensor, y: Tensor, options: DotGeneralOptions], Tensor>(
  'dotGeneral',
  (left, right, options) => {
    const [x, y] = operandsOf('dotGeneral', left, right, options.dtype);
    const resolve = ([a, b]: AxisPair): AxisPair => [
      a.map((axis) => axisOf('dotGeneral', axis, x.ndim)),
      b.map((axis) => axisOf('dotGeneral', axis, y.ndim)),
    ];
    return contract(x, y, resolve(options.contract), resolve(options.batch ?? [[], []]));
  },
) as {
  <D extends DType>(x: Tensor, y: Tensor, options: DotGeneralOptions<D> & { readonly dtype: D }): Tensor<D>;
  <X extends Tensor, Y extends Tensor>(x: X, y: Y, options: DotGeneralOptions): Tensor<Promoted<X, Y>>;
};

/** `x` with zeros wherever two axes have different positions, so that a sum over one of them leaves the diagonal. */
function onDiagonal(x: Tensor, first: number, second: number): Tensor {
  const { shape } = x.type;
  const along = (axis: number): Tensor => emit('iota', [], { dtype: 'int32', shape, axis });
  const isDiagonal = compare(along(first), 'EQ', along(second));
  return select(isDiagonal, x, constantLike(x, 0));
}

/** Sum of the diagonal of the last two axes. @throws KilnError `shape_mismatch` below rank 2 */
export const trace = operation<[x: Tensor], Tensor>('trace', (operand) => {
  const [x] = operandsOf('trace', operand, operand);
  if (x.ndim < 2) throw new KilnError('shape_mismatch', 'trace: a matrix has two axes', { given: describe(x) });
  const axes = [x.ndim - 2, x.ndim - 1];
  return emit('reduce', [onDiagonal(x, axes[0], axes[1])], { kind: 'sum', axes });
}) as <D extends DType>(x: Tensor<D>) => Tensor<D>;

// Einstein summation.

/** An operand of an einsum whose axes have names. */
interface Named {
  readonly tensor: Tensor;
  readonly letters: readonly string[];
}

/** The diagonal along letters that occur twice: everything else is 0, so that a sum leaves it. */
function takeDiagonals({ tensor, letters }: Named): Named {
  const second = letters.findIndex((letter, i) => letters.indexOf(letter) !== i);
  if (second < 0) return { tensor, letters };
  const first = letters.indexOf(letters[second]);
  requireMatching('einsum', tensor, first, tensor, second);
  const diagonal = emit('reduce', [onDiagonal(tensor, first, second)], { kind: 'sum', axes: [second] });
  return takeDiagonals({ tensor: diagonal, letters: letters.filter((_, i) => i !== second) });
}

/** Without the letters that nobody needs. */
function sumOthers({ tensor, letters }: Named, kept: ReadonlySet<string>): Named {
  const gone = range(letters.length).filter((i) => !kept.has(letters[i]));
  if (gone.length === 0) return { tensor, letters };
  return {
    tensor: emit('reduce', [tensor], { kind: 'sum', axes: gone }),
    letters: letters.filter((letter) => kept.has(letter)),
  };
}

function inOrder({ tensor, letters }: Named, wanted: readonly string[]): Tensor {
  const permutation = wanted.map((letter) => letters.indexOf(letter));
  return permutation.every((axis, i) => axis === i) ? tensor : emit('transpose', [tensor], { permutation });
}

/** Two operands contracted over the letters that neither the result nor a later operand needs. */
function contractPair(a: Named, b: Named, kept: ReadonlySet<string>): Named {
  const shared = a.letters.filter((letter) => b.letters.includes(letter));
  const batch = shared.filter((letter) => kept.has(letter));
  const summed = shared.filter((letter) => !kept.has(letter));
  const [x, y] = [sumOthers(a, new Set([...kept, ...b.letters])), sumOthers(b, new Set([...kept, ...a.letters]))];
  const axes = (list: readonly string[]): AxisPair => [
    list.map((letter) => x.letters.indexOf(letter)),
    list.map((letter) => y.letters.indexOf(letter)),
  ];
  const free = (side: Named): string[] => side.letters.filter((letter) => !shared.includes(letter));
  return {
    tensor: contract(x.tensor, y.tensor, axes(summed), axes(batch)),
    letters: [...batch, ...free(x), ...free(y)],
  };
}

interface Formula {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

const badFormula = (formula: string, expected: string): KilnError =>
  new KilnError('invalid_argument', 'einsum: the formula does not fit', { given: formula, expected });

function parseFormula(formula: string, count: number): Formula {
  const [left, right, ...rest] = formula.replace(/\s+/g, '').split('->');
  if (rest.length > 0 || !/^[a-zA-Z,]*$/.test(left) || !/^[a-zA-Z]*$/.test(right ?? '')) {
    throw badFormula(formula, "letters, such as 'bij,bjk->bik'");
  }
  const inputs = left.split(',').map((letters) => [...letters]);
  if (inputs.length !== count) throw badFormula(formula, `one group of letters for each of ${count} operands`);
  const all = inputs.flat();
  const once = [...new Set(all)].filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort();
  const output = right === undefined ? once : [...right];
  if (new Set(output).size !== output.length || output.some((letter) => !all.includes(letter))) {
    throw badFormula(formula, 'letters of the operands, each once, after ->');
  }
  return { inputs, output };
}

/** Letters stand for one size each. */
function requireSizes(formula: string, operands: readonly Named[]): void {
  const sizes = new Map<string, Dim>();
  for (const { tensor, letters } of operands) {
    if (letters.length !== tensor.ndim) throw badFormula(formula, `${tensor.ndim} letters for ${describe(tensor)}`);
    letters.forEach((letter, axis) => {
      const size = tensor.type.shape[axis];
      const before = sizes.get(letter) ?? size;
      if (!equalDims(before, size))
        requireEqualSizes(
          'einsum',
          before,
          size,
          `letter ${letter} has two sizes`,
          `${before} and ${size} in ${formula}`,
        );
      sizes.set(letter, before);
    });
  }
}

/**
 * Einstein summation: letters name axes, letters missing after `->` are summed over. Operands are contracted from left
 * to right. Ellipses are not supported.
 * @param operands one after the other, or in one array
 * @param formula such as `'bij,bjk->bik'`; without `->` the letters that occur once, in order
 * @throws KilnError `invalid_argument` for a formula that does not fit the operands, `shape_mismatch`
 */
export const einsum = operation<
  [formula: string, operands: readonly Tensor[]] | [formula: string, ...operands: Tensor[]],
  Tensor
>('einsum', (formula, ...given) => {
  const operands = (Array.isArray(given[0]) ? given[0] : given) as readonly Tensor[];
  if (operands.length === 0) {
    throw new KilnError('invalid_argument', 'einsum: operands are needed', {
      given: 'none',
      hint: "pass one tensor for each part of the formula: einsum('ij,jk->ik', x, y)",
    });
  }
  requireTensors('einsum', ...operands);
  const { inputs, output } = parseFormula(formula, operands.length);
  const dtype = promote(operands);
  const named = operands.map((x, i): Named => ({ tensor: toNumber(convert(x, dtype)), letters: inputs[i] }));
  requireSizes(formula, named);
  const needed = (from: number): Set<string> => new Set([...output, ...named.slice(from).flatMap((x) => x.letters)]);
  const [first, ...others] = named.map(takeDiagonals);
  let result = sumOthers(first, needed(1));
  others.forEach((operand, i) => {
    result = contractPair(result, operand, needed(i + 2));
  });
  return inOrder(result, output);
});

/** Methods of this family; each does what the function of its name does. */
export interface LinearAlgebraMethods<D extends DType> {
  matmul<Y extends Tensor>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  matmul<W extends DType>(other: Tensor, options: ProductOptions<W>): Tensor<W>;
  dot<Y extends Tensor>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  dot<W extends DType>(other: Tensor, options: ProductOptions<W>): Tensor<W>;
  vecdot<Y extends Tensor>(other: Y, axis?: number): Tensor<Promoted<Tensor<D>, Y>>;
  outer<Y extends Tensor>(other: Y): Tensor<Promoted<Tensor<D>, Y>>;
  tensordot<Y extends Tensor>(other: Y, axes?: number | AxisPair): Tensor<Promoted<Tensor<D>, Y>>;
  dotGeneral<Y extends Tensor>(other: Y, options: DotGeneralOptions): Tensor<Promoted<Tensor<D>, Y>>;
  trace(): Tensor<D>;
}
