/**
 * Slices whose place depends on data: `dynamic_slice`, `dynamic_update_slice`. Starts are int32 scalars, one for each
 * axis, and are moved inside so that the slice fits.
 *
 *     %1: f32[1,4] = dynamic_slice %x, %i, %zero {sizes=[1,4]}
 */
import { elementAt, forEachIndex, generate, positionOf, rowMajorStrides } from '../literal.ts';
import type { Literal, TensorType } from '../types.ts';
import { define, violate } from './definition.ts';
import type { Random } from './random.ts';
import {
  formatType,
  formatTypes,
  requireArgument,
  requireAtMost,
  requireEqualDTypes,
  requireRank,
  requireSizes,
} from './rules.ts';

function requireStarts(label: string, operand: TensorType, starts: readonly TensorType[]): void {
  requireArgument(
    label,
    starts.length === operand.shape.length,
    () => `${starts.length} start indices for ${formatType(operand)}`,
  );
  for (const start of starts) {
    if (start.dtype !== 'int32') violate(label, 'dtype_mismatch', formatTypes(starts));
    requireRank(label, start.shape.length === 0, () => formatTypes(starts));
  }
}

/** Position of the first element of the slice that the start indices, moved inside, point at. */
function clampedStart(operand: Literal, starts: readonly Literal[], sizes: readonly number[]): number {
  const index = starts.map((start, axis) =>
    Math.min(Math.max(elementAt(start, 0), 0), operand.shape[axis] - sizes[axis]),
  );
  return positionOf(index, rowMajorStrides(operand.shape));
}

const sampleStarts = (random: Random, operand: Literal): Literal[] =>
  operand.shape.map((size) => ({ dtype: 'int32', shape: [], data: [random.integer(-2, size + 2)] }));

export const dynamicDefinitions = {
  dynamic_slice: define({
    opcode: 'dynamic_slice',
    summary: 'The slice of fixed sizes at a start that depends on data.',
    source: 'StableHLO dynamic_slice',
    operands: ['operand', '...starts'],
    attributes: { sizes: 'dims' },
    traits: { movesData: true, exact: true, flops: 0 },
    constraints: {
      dynamic_slice_c1: 'there is one int32 scalar for each axis of the operand',
      dynamic_slice_c2: 'sizes has one entry for each axis of the operand',
      dynamic_slice_c3: '0 <= sizes <= size along each axis',
    },
    notes: 'Each start s becomes clamp(0, s, size - sizes).',
    infer: ([operand, ...starts], { sizes }) => {
      requireStarts('dynamic_slice_c1', operand, starts);
      const given = () => `sizes [${sizes}] of ${formatType(operand)}`;
      requireArgument('dynamic_slice_c2', sizes.length === operand.shape.length, given);
      requireSizes('dynamic_slice_c3', sizes);
      sizes.forEach((size, axis) => {
        requireAtMost('dynamic_slice_c3', size, operand.shape[axis], given);
      });
      return [{ dtype: operand.dtype, shape: sizes }];
    },
    evaluate: ([operand, ...starts], _, { results: [{ dtype, shape }] }) => {
      const first = clampedStart(operand, starts, shape);
      const strides = rowMajorStrides(operand.shape);
      return [generate(dtype, shape, (index) => elementAt(operand, first + positionOf(index, strides)))];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape({ maxRank: 3 }));
      const sizes = operand.shape.map((size) => random.integer(0, size));
      return { operands: [operand, ...sampleStarts(random, operand)], attributes: { sizes } };
    },
  }),

  dynamic_update_slice: define({
    opcode: 'dynamic_update_slice',
    summary: 'The operand with a slice replaced by an update, at a start that depends on data.',
    source: 'StableHLO dynamic_update_slice',
    operands: ['operand', 'update', '...starts'],
    attributes: {},
    traits: { movesData: true, exact: true, flops: 0 },
    constraints: {
      dynamic_update_slice_c1: 'there is one int32 scalar for each axis of the operand',
      dynamic_update_slice_c2: 'operand and update have the same dtype',
      dynamic_update_slice_c3: 'the update has the rank of the operand and is at most its size along each axis',
    },
    notes: 'Each start s becomes clamp(0, s, size - size of the update).',
    infer: ([operand, update, ...starts]) => {
      requireStarts('dynamic_update_slice_c1', operand, starts);
      requireEqualDTypes('dynamic_update_slice_c2', [operand, update]);
      const given = () => `${formatType(update)} into ${formatType(operand)}`;
      requireRank('dynamic_update_slice_c3', update.shape.length === operand.shape.length, given);
      update.shape.forEach((size, axis) => {
        requireAtMost('dynamic_update_slice_c3', size, operand.shape[axis], given);
      });
      return [operand];
    },
    evaluate: ([operand, update, ...starts], _, { results: [{ dtype, shape }] }) => {
      const first = clampedStart(operand, starts, update.shape);
      const strides = rowMajorStrides(shape);
      const result = generate(dtype, shape, (_index, position) => elementAt(operand, position));
      const data = Float64Array.from(result.data);
      forEachIndex(update.shape, (index, position) => {
        data[first + positionOf(index, strides)] = elementAt(update, position);
      });
      return [{ dtype, shape, data }];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape({ maxRank: 3 }));
      const sizes = operand.shape.map((size) => random.integer(0, size));
      const update = random.literal(operand.dtype, sizes);
      return { operands: [operand, update, ...sampleStarts(random, operand)], attributes: {} };
    },
  }),
} as const;
