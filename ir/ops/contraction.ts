/**
 * Contractions: `dot_general` (matmul with any batch and contracted axes) and `convolution`.
 *
 *     %c: f32[8,32,16] = dot_general %a, %b {contract=[[2],[1]], batch=[[0],[0]]}    // f32[8,32,64], f32[8,64,16]
 *
 * The reference adds the products in order in double precision; integers wrap.
 */
import { type Dim, dimProduct, modDims, mulDims } from '../../base/dim.ts';
import { type DType, isFloat } from '../../base/dtype.ts';
import { elementAt, elementCount, forEachIndex, generate, positionOf, rowMajorStrides } from '../literal.ts';
import type { Literal } from '../types.ts';
import { combineFunction } from './combine.ts';
import { define, type OpSample } from './definition.ts';
import type { Random } from './random.ts';
import {
  formatTypes,
  otherAxes,
  requireArgument,
  requireAtMost,
  requireAxes,
  requireClass,
  requireEqualDims,
  requireEqualDTypes,
  requireIntegers,
  requireRank,
} from './rules.ts';
import { scalarFunction } from './scalar.ts';
import { dilatedSize, windowCount } from './window.ts';

/** `(sum, a, b) => sum + a * b` in the arithmetic of a dtype. */
function multiplyAdd(dtype: DType): (sum: number, a: number, b: number) => number {
  if (isFloat(dtype)) return (sum, a, b) => sum + a * b;
  const [add, multiply] = [combineFunction('sum', dtype), scalarFunction('multiply', dtype)];
  return (sum, a, b) => add(sum, multiply(a, b, 0));
}

/** Positions of all elements along some axes of an array, in row-major order of those axes. */
function offsetsAlong({ shape }: Literal, axes: readonly number[]): number[] {
  const strides = rowMajorStrides(shape);
  const chosen = axes.map((axis) => strides[axis]);
  const offsets: number[] = [];
  forEachIndex(
    axes.map((axis) => shape[axis]),
    (index) => offsets.push(positionOf(index, chosen)),
  );
  return offsets;
}

const dotGeneralDefinition = define({
  opcode: 'dot_general',
  summary: 'Sums of products over contracted axes, for each index of batch and free axes.',
  source: 'StableHLO dot_general',
  operands: ['lhs', 'rhs'],
  attributes: { contract: 'integer_lists', batch: 'integer_lists' },
  traits: {},
  constraints: {
    dot_general_c1: 'both operands have the same dtype, a float or integer dtype',
    dot_general_c2: 'contract and batch name distinct axes of each operand, as many of lhs as of rhs',
    dot_general_c3: 'contracted sizes are equal',
    dot_general_c4: 'batch sizes are equal',
  },
  notes: 'Axes of the result: batch, free axes of lhs, free axes of rhs, each in their order. An empty sum is 0.',
  infer: ([lhs, rhs], { contract, batch }) => {
    const given = () =>
      `${formatTypes([lhs, rhs])} with contract [[${contract[0]}],[${contract[1]}]], batch [[${batch[0]}],[${batch[1]}]]`;
    requireEqualDTypes('dot_general_c1', [lhs, rhs]);
    requireClass('dot_general_c1', lhs, 'number');
    const paired = contract[0].length === contract[1].length && batch[0].length === batch[1].length;
    requireArgument('dot_general_c2', paired, given);
    requireAxes('dot_general_c2', [...batch[0], ...contract[0]], lhs.shape.length);
    requireAxes('dot_general_c2', [...batch[1], ...contract[1]], rhs.shape.length);
    contract[0].forEach((axis, i) => {
      requireEqualDims('dot_general_c3', lhs.shape[axis], rhs.shape[contract[1][i]], given);
    });
    batch[0].forEach((axis, i) => {
      requireEqualDims('dot_general_c4', lhs.shape[axis], rhs.shape[batch[1][i]], given);
    });
    const shape = batch[0].map((axis) => lhs.shape[axis]);
    for (const axis of otherAxes(lhs.shape.length, batch[0], contract[0])) shape.push(lhs.shape[axis]);
    for (const axis of otherAxes(rhs.shape.length, batch[1], contract[1])) shape.push(rhs.shape[axis]);
    return [{ dtype: lhs.dtype, shape }];
  },
  evaluate: ([lhs, rhs], { contract, batch }, { results: [{ dtype, shape }] }) => {
    const accumulate = multiplyAdd(dtype);
    const [lhsBatch, rhsBatch] = [offsetsAlong(lhs, batch[0]), offsetsAlong(rhs, batch[1])];
    const [lhsSum, rhsSum] = [offsetsAlong(lhs, contract[0]), offsetsAlong(rhs, contract[1])];
    const lhsFree = offsetsAlong(lhs, otherAxes(lhs.shape.length, batch[0], contract[0]));
    const rhsFree = offsetsAlong(rhs, otherAxes(rhs.shape.length, batch[1], contract[1]));
    const data = new Float64Array(elementCount(shape));
    let position = 0;
    for (let b = 0; b < lhsBatch.length; b++) {
      for (const i of lhsFree) {
        for (const j of rhsFree) {
          let sum = 0;
          for (let k = 0; k < lhsSum.length; k++) {
            const left = elementAt(lhs, lhsBatch[b] + i + lhsSum[k]);
            sum = accumulate(sum, left, elementAt(rhs, rhsBatch[b] + j + rhsSum[k]));
          }
          data[position++] = sum;
        }
      }
    }
    return [{ dtype, shape, data }];
  },
  sample: sampleDotGeneral,
  work: ([lhs], { contract }, [result]) =>
    mulDims(mulDims(dimProduct(result.shape), dimProduct(contract[0].map((axis) => lhs.shape[axis]))), 2),
});

function sampleDotGeneral(random: Random): OpSample<'dot_general'> {
  const dtype = random.dtype('number');
  const shared = {
    batch: random.shape({ maxRank: 2 }),
    contract: random.shape({ maxRank: 2 }),
  };
  const side = () => {
    const sizes = [...shared.batch, ...shared.contract, ...random.shape({ maxRank: 2 })];
    const places = random.permutation(sizes.length);
    const shape = new Array<number>(sizes.length);
    places.forEach((axis, i) => {
      shape[axis] = sizes[i];
    });
    const batchRank = shared.batch.length;
    return {
      operand: random.literal(dtype, shape),
      batch: places.slice(0, batchRank),
      contract: places.slice(batchRank, batchRank + shared.contract.length),
    };
  };
  const [lhs, rhs] = [side(), side()];
  return {
    operands: [lhs.operand, rhs.operand],
    attributes: { contract: [lhs.contract, rhs.contract], batch: [lhs.batch, rhs.batch] },
  };
}

const convolutionDefinition = define({
  opcode: 'convolution',
  summary: 'Cross-correlation of [N, Ci, ...spatial] with [Co, Ci / groups, ...spatial] to [N, Co, ...spatial].',
  source: 'StableHLO convolution with fixed layout and without batch groups and window reversal',
  operands: ['lhs', 'rhs'],
  attributes: {
    strides: 'integers',
    padding: 'dim_pairs',
    lhs_dilation: 'integers',
    rhs_dilation: 'integers',
    groups: 'integer',
  },
  traits: {},
  constraints: {
    convolution_c1: 'both operands have the same dtype, a float or integer dtype',
    convolution_c2: 'both operands have the same rank, at least 2',
    convolution_c3: 'strides, padding, lhs_dilation and rhs_dilation have one entry for each spatial axis',
    convolution_c4: 'strides and dilations are integers of at least 1',
    convolution_c5: 'groups is an integer of at least 1 that divides the output channels of rhs',
    convolution_c6: 'input channels of lhs are groups times those of rhs',
    convolution_c7: 'spatial sizes of rhs are at least 1',
    convolution_c8: 'padded sizes are known well enough to count the windows',
  },
  notes:
    'Negative padding crops. Padding and gaps hold zeros, so an infinite or NaN weight over them gives NaN. The size ' +
    'of a spatial result axis is 0 where the window does not fit.',
  infer: ([lhs, rhs], attributes) => {
    const { strides, padding, lhs_dilation, rhs_dilation, groups } = attributes;
    const pads = padding.map(([low, high]) => `[${low},${high}]`);
    const given = () =>
      `${formatTypes([lhs, rhs])}, strides [${strides}], padding [${pads}], lhs_dilation [${lhs_dilation}], ` +
      `rhs_dilation [${rhs_dilation}], groups ${groups}`;
    requireEqualDTypes('convolution_c1', [lhs, rhs]);
    requireClass('convolution_c1', lhs, 'number');
    requireRank('convolution_c2', lhs.shape.length === rhs.shape.length && lhs.shape.length >= 2, given);
    const [batch, inputChannels, ...inputs] = lhs.shape;
    const [outputChannels, groupChannels, ...windows] = rhs.shape;
    const lists = [strides, padding, lhs_dilation, rhs_dilation];
    requireArgument(
      'convolution_c3',
      lists.every((list) => list.length === inputs.length),
      given,
    );
    requireIntegers('convolution_c4', [...strides, ...lhs_dilation, ...rhs_dilation], 1, 'strides and dilations');
    requireIntegers('convolution_c5', [groups], 1, 'groups');
    requireEqualDims('convolution_c5', modDims(outputChannels, groups), 0, given);
    requireEqualDims('convolution_c6', inputChannels, mulDims(groupChannels, groups), given);
    const spatial = inputs.map((size, axis) => {
      requireAtMost('convolution_c7', 1, windows[axis], given);
      const input = dilatedSize('convolution_c8', size, lhs_dilation[axis], given);
      const window = dilatedSize('convolution_c7', windows[axis], rhs_dilation[axis], given);
      return windowCount('convolution_c8', input, padding[axis], window, strides[axis], given);
    });
    return [{ dtype: lhs.dtype, shape: [batch, outputChannels, ...spatial] }];
  },
  evaluate: ([lhs, rhs], attributes, { results: [{ dtype, shape }], size }) => {
    const { strides, padding, lhs_dilation, rhs_dilation, groups } = attributes;
    const low = padding.map(([before]) => size(before));
    const accumulate = multiplyAdd(dtype);
    const [lhsStrides, rhsStrides] = [rowMajorStrides(lhs.shape), rowMajorStrides(rhs.shape)];
    const [outputChannels, groupChannels, ...window] = rhs.shape;
    const inputs = lhs.shape.slice(2);
    const element = ([n, co, ...output]: readonly number[]): number => {
      const firstChannel = Math.floor(co / (outputChannels / groups)) * groupChannels;
      let sum = 0;
      forEachIndex([groupChannels, ...window], ([ci, ...tap]) => {
        let left = n * lhsStrides[0] + (firstChannel + ci) * lhsStrides[1];
        let right = co * rhsStrides[0] + ci * rhsStrides[1];
        let isPadding = false;
        for (let axis = 0; axis < tap.length; axis++) {
          const spread = output[axis] * strides[axis] + tap[axis] * rhs_dilation[axis] - low[axis];
          const at = spread / lhs_dilation[axis];
          isPadding ||= spread < 0 || !Number.isInteger(at) || at >= inputs[axis];
          left += at * lhsStrides[axis + 2];
          right += tap[axis] * rhsStrides[axis + 2];
        }
        sum = accumulate(sum, isPadding ? 0 : elementAt(lhs, left), elementAt(rhs, right));
      });
      return sum;
    };
    return [generate(dtype, shape, element)];
  },
  sample: sampleConvolution,
  work: ([, rhs], _, [result]) => mulDims(mulDims(dimProduct(result.shape), dimProduct(rhs.shape.slice(1))), 2),
});

function sampleConvolution(random: Random): OpSample<'convolution'> {
  const rank = random.pick([0, 1, 1, 2, 2, 3]);
  const dtype = random.dtype('number');
  const groups = random.pick([1, 1, 2, 3]);
  const [inPerGroup, outPerGroup] = [random.integer(0, 2), random.integer(0, 2)];
  const most = rank === 3 ? 4 : 6;
  const input = Array.from({ length: rank }, () => random.integer(0, most));
  const window = Array.from({ length: rank }, () => random.integer(1, 3));
  const list = (choices: readonly number[]) => input.map(() => random.pick(choices));
  return {
    operands: [
      random.literal(dtype, [random.integer(0, 2), groups * inPerGroup, ...input]),
      random.literal(dtype, [groups * outPerGroup, inPerGroup, ...window]),
    ],
    attributes: {
      strides: list([1, 1, 2, 3]),
      padding: input.map((): [Dim, Dim] => [random.integer(-1, 2), random.integer(-1, 2)]),
      lhs_dilation: list([1, 1, 2]),
      rhs_dilation: list([1, 1, 2]),
      groups,
    },
  };
}

export const contractionDefinitions = {
  dot_general: dotGeneralDefinition,
  convolution: convolutionDefinition,
} as const;
