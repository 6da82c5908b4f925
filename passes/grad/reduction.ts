/**
 * Derivatives of `reduce`.
 *
 *     y = sum(x)       x̄ = ȳ, repeated
 *     y = max(x)       x̄ = ȳ / (number of elements equal to y), at those elements
 *     y = product(x)   x̄ᵢ = ȳ times the product of all other elements
 *
 * The product of all others is that of all before times that of all behind, both by doubling: no division, so zeros
 * need no care and the rule can be differentiated again.
 */
import { type Dim, dimBounds, dimProduct } from '../../base/dim.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { convert, invertPermutation, range, reshape, transpose } from '../rewrite-emit.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';

/** A reduced value, repeated to the shape from before. */
function spreadBack(emit: Emitter, reduced: Value, op: OpOf<'reduce'>): Value {
  const { shape } = op.operands[0].type;
  const kept = range(shape.length).filter((axis) => !op.attributes.axes.includes(axis));
  return emit.op('broadcast_in_dim', [reduced], { shape, axes: kept });
}

/** All elements that are equal to the extremum share the cotangent. When it is NaN there are none: 0/0 is NaN. */
function extremumGradient(emit: Emitter, op: OpOf<'reduce'>, result: Value, cotangent: Value): Value {
  const x = op.operands[0];
  const chosen = convert(emit, emit.compare('EQ', x, spreadBack(emit, result, op)), x.type.dtype);
  const share = emit.divide(cotangent, emit.sum(chosen, op.attributes.axes));
  return emit.multiply(chosen, spreadBack(emit, share, op));
}

/** `ȳ` times the product of the other elements, with the reduced axes laid out as one last axis. */
function productGradient(emit: Emitter, op: OpOf<'reduce'>, cotangent: Value): Value {
  const x = op.operands[0];
  const { shape } = x.type;
  const kept = range(shape.length).filter((axis) => !op.attributes.axes.includes(axis));
  const order = [...kept, ...op.attributes.axes];
  const moved = transpose(emit, x, order);
  const count = dimProduct(op.attributes.axes.map((axis) => shape[axis]));
  const rows = [...kept.map((axis) => shape[axis]), count];
  const flat = reshape(emit, moved, rows);
  const others = emit.multiply(productOfOthers(emit, flat, 'before'), productOfOthers(emit, flat, 'behind'));
  const spreadCotangent = emit.op('broadcast_in_dim', [cotangent], { shape: rows, axes: kept.map((_, i) => i) });
  const gradient = reshape(emit, emit.multiply(spreadCotangent, others), moved.type.shape);
  return transpose(emit, gradient, invertPermutation(order));
}

/**
 * For each element of the last axis the product of all before or behind it. With `p` the products of up to `2^k`
 * elements that end at each place, `p` times `p` moved by `2^k` has up to `2^(k+1)`.
 */
function productOfOthers(emit: Emitter, x: Value, which: 'before' | 'behind'): Value {
  const rank = x.type.shape.length;
  const [, longest] = dimBounds(x.type.shape[rank - 1]);
  const move = (value: Value, by: number): Value => {
    const along = (amount: Dim): Dim[] => range(rank).map((axis) => (axis === rank - 1 ? amount : 0));
    const [low, high] = which === 'before' ? [by, -by] : [-by, by];
    const amounts = { low: along(low), high: along(high), interior: range(rank).map(() => 0) };
    return emit.op('pad', [value, emit.scalar(x, 1)], amounts);
  };
  let products = move(x, 1);
  for (let length = 1; length < longest; length *= 2) products = emit.multiply(products, move(products, length));
  return products;
}

const reduce: VjpFunction<'reduce'> = ({ emit, op, result, cotangent, refuse }) => {
  switch (op.attributes.kind) {
    case 'sum':
      return [() => spreadBack(emit, cotangent, op)];
    case 'max':
    case 'min':
      return [() => extremumGradient(emit, op, result, cotangent)];
    case 'product':
      return [() => productGradient(emit, op, cotangent)];
    default:
      return refuse('its result is not a float');
  }
};

export const reductionVjps = { reduce } satisfies Partial<VjpRules<Opcode>>;
