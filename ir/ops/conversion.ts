/**
 * Elementwise ops that carry an attribute or change the dtype: `convert`, `bitcast_convert`, `compare`,
 * `stop_gradient`.
 *
 *     %1: bool[8] = compare %x, %y {direction=LT}
 *     %2: f32[8] = convert %1 {dtype=f32}
 */
import { byteSize, isHalf } from '../../base/dtype.ts';
import { define, violate } from './definition.ts';
import { mapElements } from './elementwise.ts';
import { formatType, requireEqualDTypes, requireEqualShapes } from './rules.ts';
import { bitcastFunction, compareFunction, convertFunction } from './scalar.ts';

const directions = ['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'] as const;

export const conversionDefinitions = {
  convert: define({
    opcode: 'convert',
    summary: 'Converts each element to another dtype.',
    source: 'StableHLO convert',
    operands: ['operand'],
    attributes: { dtype: 'dtype' },
    traits: { elementwise: true, cheap: true, exact: true, flops: 1 },
    constraints: {},
    notes:
      'Float to integer truncates toward zero and saturates; NaN gives 0. Integer to integer keeps the low bits. To ' +
      'bool is x != 0, so NaN is true. To float16 and bfloat16 numbers round to the nearest, ties to even, integers by way ' +
      'of float32.',
    infer: ([operand], { dtype }) => [{ dtype, shape: operand.shape }],
    evaluate: (operands, { dtype }, { results }) => [
      mapElements(results[0], operands, convertFunction(operands[0].dtype, dtype)),
    ],
    sample: (random) => ({
      operands: [random.literal(random.dtype(), random.shape())],
      attributes: { dtype: random.dtype() },
    }),
  }),

  bitcast_convert: define({
    opcode: 'bitcast_convert',
    summary: 'Reads the bits of each element as another dtype of the same width.',
    source: 'StableHLO bitcast_convert',
    operands: ['operand'],
    attributes: { dtype: 'dtype' },
    traits: { elementwise: true, cheap: true, blocksGradient: true, flops: 0 },
    constraints: { bitcast_convert_c1: 'both dtypes have the same width, and neither is bool or a float of 16 bits' },
    notes: 'The bits of a NaN are implementation-defined; the reference evaluator has one NaN, 0x7fc00000.',
    infer: ([operand], { dtype }) => {
      const isPlain = [operand.dtype, dtype].every((one) => one !== 'bool' && !isHalf(one));
      if (!isPlain || byteSize(operand.dtype) !== byteSize(dtype)) {
        violate('bitcast_convert_c1', 'dtype_mismatch', `${formatType(operand)} to ${dtype}`);
      }
      return [{ dtype, shape: operand.shape }];
    },
    evaluate: (operands, { dtype }, { results }) => [
      mapElements(results[0], operands, bitcastFunction(operands[0].dtype, dtype)),
    ],
    sample: (random) => {
      const drawn = random.dtype('number');
      const from = isHalf(drawn) ? 'float32' : drawn;
      return { operands: [random.literal(from, random.shape())], attributes: { dtype: random.dtypeOfWidth(from) } };
    },
  }),

  compare: define({
    opcode: 'compare',
    summary: 'Compares two operands element by element; the result is bool.',
    source: 'StableHLO compare (FLOAT, SIGNED and UNSIGNED by dtype)',
    operands: ['lhs', 'rhs'],
    attributes: { direction: directions },
    traits: { elementwise: true, cheap: true, exact: true, blocksGradient: true, flops: 1 },
    constraints: {
      compare_c1: 'both operands have the same dtype',
      compare_c2: 'both operands have the same shape',
    },
    notes: 'As IEEE 754: with NaN only NE holds, and -0 equals 0. false is below true.',
    infer: (operands) => {
      requireEqualDTypes('compare_c1', operands);
      requireEqualShapes('compare_c2', operands[0], operands[1]);
      return [{ dtype: 'bool', shape: operands[0].shape }];
    },
    evaluate: (operands, { direction }, { results }) => [mapElements(results[0], operands, compareFunction(direction))],
    sample: (random) => {
      const [dtype, shape] = [random.dtype(), random.shape()];
      return {
        operands: [random.literal(dtype, shape), random.literal(dtype, shape)],
        attributes: { direction: random.pick(directions) },
      };
    },
  }),

  stop_gradient: define({
    opcode: 'stop_gradient',
    summary: 'The operand itself, through which no gradient flows.',
    source: 'JAX lax.stop_gradient',
    operands: ['operand'],
    attributes: {},
    traits: {
      elementwise: true,
      movesData: true,
      cheap: true,
      exact: true,
      idempotent: true,
      blocksGradient: true,
      flops: 0,
    },
    constraints: {},
    infer: ([operand]) => [operand],
    evaluate: ([operand]) => [operand],
    sample: (random) => ({ operands: [random.literal(random.dtype(), random.shape())], attributes: {} }),
  }),
} as const;
