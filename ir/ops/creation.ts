/**
 * Ops without operands: `constant`, `iota`, `dimension_size`.
 *
 *     %0: i32[2] = constant {value=[1, 2]}
 *     %1: i32[B,4] = iota {dtype=i32, shape=[B,4], axis=1}
 *     %2: f32[] = dimension_size {size=B, dtype=f32}
 */

import { type DType, integerRange, isFloat } from '../../base/dtype.ts';
import { elementCount, generate, splat } from '../literal.ts';
import { define, violate } from './definition.ts';
import { formatType, inClass, requireArgument, requireAxes, requireSizes, scalarType } from './rules.ts';
import { wrapInteger } from './scalar.ts';

function requireInRange(dtype: DType, data: ArrayLike<number>): void {
  const [low, high] = integerRange(dtype);
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    const fits = Number.isInteger(value) && value >= low && value <= high && !Object.is(value, -0);
    if (!fits) violate('constant_c3', 'invalid_argument', `${value} as ${dtype}`);
  }
}

export const creationDefinitions = {
  constant: define({
    opcode: 'constant',
    summary: 'An array that is known.',
    source: 'StableHLO constant',
    operands: [],
    attributes: { value: 'literal' },
    traits: { cheap: true, exact: true, flops: 0 },
    constraints: {
      constant_c1: 'value has one element for each position, or one for all',
      constant_c2: 'value has a shape of sizes that are known',
      constant_c3: 'elements of an integer dtype are integers in its range, those of bool 0 or 1',
    },
    infer: (_, { value }) => {
      const { dtype, shape, data } = value;
      requireSizes('constant_c2', shape);
      if (data.length !== 1 && data.length !== elementCount(shape)) {
        violate('constant_c1', 'shape_mismatch', `${data.length} elements for ${formatType({ dtype, shape })}`);
      }
      if (!isFloat(dtype)) requireInRange(dtype, data);
      return [{ dtype, shape }];
    },
    evaluate: (_, { value }) => [value],
    sample: (random) => ({
      operands: [],
      attributes: { value: random.literal(random.dtype(), random.shape()) },
    }),
  }),

  iota: define({
    opcode: 'iota',
    summary: 'The position along one axis, counted from 0.',
    source: 'StableHLO iota',
    operands: [],
    attributes: { dtype: 'dtype', shape: 'dims', axis: 'integer' },
    traits: { cheap: true, exact: true, blocksGradient: true, flops: 1 },
    constraints: {
      iota_c1: 'dtype is a float or integer dtype',
      iota_c2: 'sizes are not negative',
      iota_c3: 'axis is an axis of shape',
    },
    infer: (_, { dtype, shape, axis }) => {
      if (!inClass(dtype, 'number')) violate('iota_c1', 'dtype_mismatch', dtype);
      requireSizes('iota_c2', shape);
      requireAxes('iota_c3', [axis], shape.length);
      return [{ dtype, shape }];
    },
    evaluate: (_, { axis }, { results: [{ dtype, shape }] }) => [
      generate(dtype, shape, (index) => (isFloat(dtype) ? index[axis] : wrapInteger(dtype, index[axis]))),
    ],
    sample: (random) => {
      const shape = random.shape({ minRank: 1 });
      return {
        operands: [],
        attributes: { dtype: random.dtype('number'), shape, axis: random.integer(0, shape.length - 1) },
      };
    },
  }),

  dimension_size: define({
    opcode: 'dimension_size',
    summary: 'A size as a scalar: how a symbolic size becomes data.',
    source: 'StableHLO get_dimension_size, of an expression',
    operands: [],
    attributes: { size: 'dim', dtype: 'dtype' },
    traits: { cheap: true, exact: true, blocksGradient: true, flops: 0 },
    constraints: {
      dimension_size_c1: 'dtype is a float or integer dtype',
      dimension_size_c2: 'size is an integer',
    },
    infer: (_, { size, dtype }) => {
      if (!inClass(dtype, 'number')) violate('dimension_size_c1', 'dtype_mismatch', dtype);
      requireArgument(
        'dimension_size_c2',
        typeof size !== 'number' || Number.isSafeInteger(size),
        () => `size ${size}`,
      );
      return [scalarType(dtype)];
    },
    evaluate: (_, { size, dtype }, context) => {
      const value = context.size(size);
      return [splat(dtype, [], isFloat(dtype) ? value : wrapInteger(dtype, value))];
    },
    sample: (random) => ({ operands: [], attributes: { size: random.size(), dtype: random.dtype('number') } }),
  }),
} as const;
