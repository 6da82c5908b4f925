/**
 * Derivatives of the ops that move elements. They are linear, so each rule is the op's transpose: what was repeated is
 * summed, what was cut off is padded with zeros, what was moved is moved back. All of it holds for symbolic sizes.
 *
 *     y = slice x [2:10:3]       x̄ = pad ȳ, 0 {low=2, high=size-9, interior=2}
 */
import { addDims, type Dim, equalDims, isAtMostDim, mulDims, subDims } from '../../base/dim.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { Value } from '../../ir/types.ts';
import { invertPermutation, range, reshape, transpose } from '../rewrite-emit.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';

/** Sums over the axes that were repeated, then puts the axes that are left where the operand has them. */
const broadcastInDim: VjpFunction<'broadcast_in_dim'> = ({ emit, op, cotangent }) => [
  () => {
    const operand = op.operands[0];
    const { shape, axes } = op.attributes;
    const kept = axes.filter((axis, i) => equalDims(operand.type.shape[i], shape[axis]));
    const summed = emit.sum(
      cotangent,
      range(shape.length).filter((axis) => !kept.includes(axis)),
    );
    const inResultOrder = [...kept].sort((a, b) => a - b);
    const inOperandOrder = transpose(
      emit,
      summed,
      kept.map((axis) => inResultOrder.indexOf(axis)),
    );
    return emit.reshape(inOperandOrder, operand);
  },
];

/** The number of positions from the first to the last of `count` elements with a stride; 0 for none. */
export const spread = (count: Dim, stride: number): Dim =>
  stride === 1 || count === 0 ? count : addDims(mulDims(subDims(count, 1), stride), 1);

const slice: VjpFunction<'slice'> = ({ emit, op, result, cotangent }) => [
  () => {
    const { start, strides } = op.attributes;
    const high = op.operands[0].type.shape.map((size, i) =>
      subDims(subDims(size, start[i]), spread(result.type.shape[i], strides[i])),
    );
    const interior = strides.map((stride) => stride - 1);
    return emit.op('pad', [cotangent, emit.scalar(cotangent, 0)], { low: start, high, interior });
  },
];

/** The elements of a padded array that came from the operand. */
export function unpad(
  emit: Emitter,
  padded: Value,
  { low, high, interior }: { low: readonly Dim[]; high: readonly Dim[]; interior: readonly number[] },
): Value {
  const { shape } = padded.type;
  const crops = [...low, ...high].every((amount) => isAtMostDim(0, amount) === 'always');
  const strides = interior.map((between) => between + 1);
  if (crops) {
    const limit = shape.map((size, i) => subDims(size, high[i]));
    return emit.op('slice', [padded], { start: low, limit, strides });
  }
  const negated = (amounts: readonly Dim[]): Dim[] => amounts.map((amount) => mulDims(amount, -1));
  const cropped = emit.op('pad', [padded, emit.scalar(padded, 0)], {
    low: negated(low),
    high: negated(high),
    interior: interior.map(() => 0),
  });
  if (strides.every((stride) => stride === 1)) return cropped;
  const { shape: limit } = cropped.type;
  return emit.op('slice', [cropped], { start: limit.map(() => 0), limit, strides });
}

/** The padding value gets the sum of what stands where no element of the operand does. */
const pad: VjpFunction<'pad'> = ({ emit, op, cotangent }) => [
  () => unpad(emit, cotangent, op.attributes),
  () => {
    const { shape } = op.operands[0].type;
    const inside = emit.op(
      'pad',
      [emit.op('broadcast_in_dim', [truth(emit, 1)], { shape, axes: [] }), truth(emit, 0)],
      op.attributes,
    );
    const outside = emit.select(inside, emit.like(cotangent, 0), cotangent);
    return emit.sum(outside, range(shape.length));
  },
];

const truth = (emit: Emitter, value: 0 | 1): Value =>
  emit.op('constant', [], { value: { dtype: 'bool', shape: [], data: [value] } });

const concatenate: VjpFunction<'concatenate'> = ({ emit, op, cotangent }) => {
  const { axis } = op.attributes;
  let end: Dim = 0;
  return op.operands.map(({ type }) => {
    const begin = end;
    end = addDims(begin, type.shape[axis]);
    const at = { start: begin, limit: end };
    const bounds = (which: 'start' | 'limit'): Dim[] =>
      type.shape.map((size, i) => (i === axis ? at[which] : which === 'start' ? 0 : size));
    return () =>
      emit.op('slice', [cotangent], {
        start: bounds('start'),
        limit: bounds('limit'),
        strides: type.shape.map(() => 1),
      });
  });
};

const dynamicSlice: VjpFunction<'dynamic_slice'> = ({ emit, op: { operands }, cotangent }) => {
  const [operand, ...starts] = operands;
  return [
    () => emit.op('dynamic_update_slice', [emit.like(operand, 0), cotangent, ...starts]),
    ...starts.map(() => undefined),
  ];
};

const dynamicUpdateSlice: VjpFunction<'dynamic_update_slice'> = ({ emit, op: { operands }, cotangent }) => {
  const [, update, ...starts] = operands;
  return [
    () => emit.op('dynamic_update_slice', [cotangent, emit.like(update, 0), ...starts]),
    () => emit.op('dynamic_slice', [cotangent, ...starts], { sizes: update.type.shape }),
    ...starts.map(() => undefined),
  ];
};

export const shapeVjps = {
  broadcast_in_dim: broadcastInDim,
  reshape: ({ emit, op, cotangent }) => [() => reshape(emit, cotangent, op.operands[0].type.shape)],
  transpose: ({ emit, op, cotangent }) => [
    () => transpose(emit, cotangent, invertPermutation(op.attributes.permutation)),
  ],
  reverse: ({ emit, op, cotangent }) => [() => emit.op('reverse', [cotangent], op.attributes)],
  slice,
  pad,
  concatenate,
  dynamic_slice: dynamicSlice,
  dynamic_update_slice: dynamicUpdateSlice,
} satisfies Partial<VjpRules<Opcode>>;
