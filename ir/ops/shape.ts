/**
 * Ops that move elements without looking at them: `broadcast_in_dim`, `reshape`, `transpose`, `reverse`, `slice`,
 * `pad`, `concatenate`.
 *
 *     %1: f32[2,3,4] = broadcast_in_dim %0 {shape=[2,3,4], axes=[1,2]}        // %0: f32[3,1]
 *     %2: f32[2,2,4] = slice %1 {start=[0,1,0], limit=[2,3,4], strides=[1,1,1]}
 */
import { addDims, ceilDivDims, type Dim, dimProduct, subDims } from '../../base/dim.ts';
import { elementAt, generate, positionOf, rowMajorStrides } from '../literal.ts';
import type { TensorType } from '../types.ts';
import { define, violate } from './definition.ts';
import {
  formatType,
  formatTypes,
  requireArgument,
  requireAtMost,
  requireAxes,
  requireEqualDims,
  requireEqualDTypes,
  requireIntegers,
  requireRank,
  requireSizes,
} from './rules.ts';
import { dilatedSize } from './window.ts';

const moves = { movesData: true, exact: true, flops: 0 } as const;

export const shapeDefinitions = {
  broadcast_in_dim: define({
    opcode: 'broadcast_in_dim',
    summary: 'Repeats the operand along new axes and along its axes of size 1.',
    source: 'StableHLO broadcast_in_dim',
    operands: ['operand'],
    attributes: { shape: 'dims', axes: 'integers' },
    traits: { ...moves, cheap: true },
    constraints: {
      broadcast_in_dim_c1: 'axes has one entry for each axis of the operand',
      broadcast_in_dim_c2: 'axes are distinct axes of the result',
      broadcast_in_dim_c3: 'an operand axis has size 1 or the size of its result axis',
      broadcast_in_dim_c4: 'sizes are not negative',
    },
    infer: ([operand], { shape, axes }) => {
      const given = () => `${formatType(operand)} to [${shape}] along axes [${axes}]`;
      requireSizes('broadcast_in_dim_c4', shape);
      requireArgument('broadcast_in_dim_c1', axes.length === operand.shape.length, given);
      requireAxes('broadcast_in_dim_c2', axes, shape.length);
      axes.forEach((axis, i) => {
        const size = operand.shape[i];
        if (size !== 1) requireEqualDims('broadcast_in_dim_c3', size, shape[axis], given);
      });
      return [{ dtype: operand.dtype, shape }];
    },
    evaluate: ([operand], { axes }, { results: [{ dtype, shape }] }) => {
      if (operand.data.length === 1) return [{ dtype, shape, data: operand.data }];
      const strides = rowMajorStrides(operand.shape);
      return [
        generate(dtype, shape, (index) => {
          let position = 0;
          for (let i = 0; i < axes.length; i++) {
            if (operand.shape[i] !== 1) position += index[axes[i]] * strides[i];
          }
          return elementAt(operand, position);
        }),
      ];
    },
    sample: (random) => {
      const shape = random.shape();
      const axes = random.permutation(shape.length).slice(0, random.integer(0, shape.length));
      const operandShape = axes.map((axis) => (random.boolean(0.3) ? 1 : shape[axis]));
      return { operands: [random.literal(random.dtype(), operandShape)], attributes: { shape, axes } };
    },
  }),

  reshape: define({
    opcode: 'reshape',
    summary: 'The same elements in row-major order under another shape.',
    source: 'StableHLO reshape',
    operands: ['operand'],
    attributes: { shape: 'dims' },
    traits: { ...moves, cheap: true },
    constraints: {
      reshape_c1: 'both shapes have the same number of elements',
      reshape_c2: 'sizes are not negative',
    },
    infer: ([operand], { shape }) => {
      requireSizes('reshape_c2', shape);
      requireEqualDims(
        'reshape_c1',
        dimProduct(operand.shape),
        dimProduct(shape),
        () => `${formatType(operand)} to [${shape}]`,
      );
      return [{ dtype: operand.dtype, shape }];
    },
    evaluate: ([operand], _, { results: [{ dtype, shape }] }) => [{ dtype, shape, data: operand.data }],
    sample: (random) => {
      const factors = random.shape();
      const merged: number[] = [];
      for (const factor of random.permutation(factors.length).map((i) => factors[i])) {
        if (merged.length > 0 && random.boolean(0.4)) merged[merged.length - 1] *= factor;
        else merged.push(factor);
      }
      if (random.boolean(0.3)) merged.splice(random.integer(0, merged.length), 0, 1);
      return { operands: [random.literal(random.dtype(), factors)], attributes: { shape: merged } };
    },
  }),

  transpose: define({
    opcode: 'transpose',
    summary: 'Permutes axes: result axis i is operand axis permutation[i].',
    source: 'StableHLO transpose',
    operands: ['operand'],
    attributes: { permutation: 'integers' },
    traits: moves,
    constraints: { transpose_c1: 'permutation names every axis of the operand once' },
    infer: ([operand], { permutation }) => {
      const { dtype, shape } = operand;
      requireArgument(
        'transpose_c1',
        permutation.length === shape.length,
        () => `[${permutation}] for ${formatType(operand)}`,
      );
      requireAxes('transpose_c1', permutation, shape.length);
      return [{ dtype, shape: permutation.map((axis) => shape[axis]) }];
    },
    evaluate: ([operand], { permutation }, { results: [{ dtype, shape }] }) => {
      if (operand.data.length === 1) return [{ dtype, shape, data: operand.data }];
      const strides = rowMajorStrides(operand.shape);
      const moved = permutation.map((axis) => strides[axis]);
      return [generate(dtype, shape, (index) => elementAt(operand, positionOf(index, moved)))];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape());
      return { operands: [operand], attributes: { permutation: random.permutation(operand.shape.length) } };
    },
  }),

  reverse: define({
    opcode: 'reverse',
    summary: 'Reverses the order of elements along axes.',
    source: 'StableHLO reverse',
    operands: ['operand'],
    attributes: { axes: 'integers' },
    traits: { ...moves, involution: true },
    constraints: { reverse_c1: 'axes are distinct axes of the operand' },
    infer: ([operand], { axes }) => {
      requireAxes('reverse_c1', axes, operand.shape.length);
      return [operand];
    },
    evaluate: ([operand], { axes }, { results: [{ dtype, shape }] }) => {
      const strides = rowMajorStrides(shape);
      return [
        generate(dtype, shape, (index) => {
          let position = positionOf(index, strides);
          for (const axis of axes) position += (shape[axis] - 1 - 2 * index[axis]) * strides[axis];
          return elementAt(operand, position);
        }),
      ];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape());
      return { operands: [operand], attributes: { axes: random.subset(operand.shape.length) } };
    },
  }),

  slice: define({
    opcode: 'slice',
    summary: 'Every strides[i]-th element of [start[i], limit[i]) along each axis.',
    source: 'StableHLO slice',
    operands: ['operand'],
    attributes: { start: 'dims', limit: 'dims', strides: 'integers' },
    traits: { ...moves, cheap: true },
    constraints: {
      slice_c1: 'start, limit and strides have one entry for each axis',
      slice_c2: '0 <= start <= limit <= size along each axis',
      slice_c3: 'strides are integers of at least 1',
    },
    infer: ([operand], { start, limit, strides }) => {
      const { dtype, shape } = operand;
      const given = () => `${formatType(operand)} from [${start}] to [${limit}] by [${strides}]`;
      const lengths = [start.length, limit.length, strides.length];
      requireArgument(
        'slice_c1',
        lengths.every((length) => length === shape.length),
        given,
      );
      requireIntegers('slice_c3', strides, 1, 'strides');
      const sizes = shape.map((size, axis) => {
        const [from, to] = [start[axis], limit[axis]];
        requireSizes('slice_c2', [from]);
        requireAtMost('slice_c2', from, to, given);
        requireAtMost('slice_c2', to, size, given);
        return ceilDivDims(subDims(to, from), strides[axis]);
      });
      return [{ dtype, shape: sizes }];
    },
    evaluate: ([operand], { start, strides }, { results: [{ dtype, shape }], size }) => {
      const steps = rowMajorStrides(operand.shape);
      const first = positionOf(start.map(size), steps);
      const moved = steps.map((step, axis) => step * strides[axis]);
      return [generate(dtype, shape, (index) => elementAt(operand, first + positionOf(index, moved)))];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape());
      const start = operand.shape.map((size) => random.integer(0, size));
      const limit = operand.shape.map((size, axis) => random.integer(start[axis], size));
      return { operands: [operand], attributes: { start, limit, strides: start.map(() => random.integer(1, 3)) } };
    },
  }),

  pad: define({
    opcode: 'pad',
    summary: 'Puts copies of a scalar around the elements and between them; negative amounts crop.',
    source: 'StableHLO pad',
    operands: ['operand', 'paddingValue'],
    attributes: { low: 'dims', high: 'dims', interior: 'integers' },
    traits: { exact: true, movesData: true, flops: 0 },
    constraints: {
      pad_c1: 'both operands have the same dtype',
      pad_c2: 'the padding value is a scalar',
      pad_c3: 'low, high and interior have one entry for each axis',
      pad_c4: 'interior are integers of at least 0',
      pad_c5: 'sizes of the result are not negative',
    },
    infer: ([operand, paddingValue], { low, high, interior }) => {
      const { dtype, shape } = operand;
      const given = () => `${formatType(operand)} low [${low}] high [${high}] interior [${interior}]`;
      requireEqualDTypes('pad_c1', [operand, paddingValue]);
      requireRank('pad_c2', paddingValue.shape.length === 0, () => formatType(paddingValue));
      const lengths = [low.length, high.length, interior.length];
      requireArgument(
        'pad_c3',
        lengths.every((length) => length === shape.length),
        given,
      );
      requireIntegers('pad_c4', interior, 0, 'interior');
      const sizes = shape.map((size, axis) => {
        const spread = dilatedSize('pad_c5', size, interior[axis] + 1, given);
        const padded = addDims(spread, addDims(low[axis], high[axis]));
        if (typeof padded === 'number' && !Number.isSafeInteger(padded)) violate('pad_c5', 'invalid_size', given());
        requireAtMost('pad_c5', 0, padded, given);
        return padded;
      });
      return [{ dtype, shape: sizes }];
    },
    evaluate: ([operand, paddingValue], { low, interior }, { results: [{ dtype, shape }], size }) => {
      const strides = rowMajorStrides(operand.shape);
      const before = low.map(size);
      const outside = elementAt(paddingValue, 0);
      return [
        generate(dtype, shape, (index) => {
          let position = 0;
          for (let axis = 0; axis < shape.length; axis++) {
            const spread = index[axis] - before[axis];
            const step = interior[axis] + 1;
            if (spread < 0 || spread % step !== 0 || spread / step >= operand.shape[axis]) return outside;
            position += (spread / step) * strides[axis];
          }
          return elementAt(operand, position);
        }),
      ];
    },
    sample: (random) => {
      const operand = random.literal(random.dtype(), random.shape({ maxRank: 3 }));
      const interior = operand.shape.map(() => random.pick([0, 0, 0, 1, 2]));
      const low = operand.shape.map(() => random.integer(-2, 3));
      const high = operand.shape.map((size, axis) => {
        const spread = size === 0 ? 0 : (size - 1) * (interior[axis] + 1) + 1;
        return Math.max(random.integer(-2, 3), -(spread + low[axis]));
      });
      return {
        operands: [operand, random.literal(operand.dtype, [])],
        attributes: { low, high, interior },
      };
    },
  }),

  concatenate: define({
    opcode: 'concatenate',
    summary: 'Joins arrays along one axis.',
    source: 'StableHLO concatenate',
    operands: ['...operands'],
    attributes: { axis: 'integer' },
    traits: moves,
    constraints: {
      concatenate_c1: 'there is at least one operand',
      concatenate_c2: 'all operands have the same dtype',
      concatenate_c3: 'axis is an axis of the operands',
      concatenate_c4: 'all operands have the same shape but for the size of axis',
    },
    infer: (operands: readonly TensorType[], { axis }) => {
      requireArgument('concatenate_c1', operands.length > 0, () => 'no operands');
      const [{ dtype, shape }] = operands;
      const given = () => `${formatTypes(operands)} along axis ${axis}`;
      requireEqualDTypes('concatenate_c2', operands);
      requireAxes('concatenate_c3', [axis], shape.length);
      let total: Dim = 0;
      for (const operand of operands) {
        requireRank('concatenate_c4', operand.shape.length === shape.length, given);
        operand.shape.forEach((size, i) => {
          if (i !== axis) requireEqualDims('concatenate_c4', size, shape[i], given);
        });
        total = addDims(total, operand.shape[axis]);
      }
      return [{ dtype, shape: shape.map((size, i) => (i === axis ? total : size)) }];
    },
    evaluate: (operands, { axis }, { results: [{ dtype, shape }] }) => {
      const strides = operands.map((operand) => rowMajorStrides(operand.shape));
      return [
        generate(dtype, shape, (index) => {
          let along = index[axis];
          let which = 0;
          while (along >= operands[which].shape[axis]) along -= operands[which++].shape[axis];
          const position = positionOf(index, strides[which]) + (along - index[axis]) * strides[which][axis];
          return elementAt(operands[which], position);
        }),
      ];
    },
    sample: (random) => {
      const [dtype, shape] = [random.dtype(), random.shape({ minRank: 1, maxRank: 3 })];
      const axis = random.integer(0, shape.length - 1);
      const operands = Array.from({ length: random.integer(1, 4) }, () =>
        random.literal(
          dtype,
          shape.map((size, i) => (i === axis ? random.size() : size)),
        ),
      );
      return { operands, attributes: { axis } };
    },
  }),
} as const;
