/**
 * Running combinations along an axis: `cumulative`, with a closed kind.
 *
 *     %1: f32[8,16] = cumulative %x {kind=sum, axis=1}        // %x: f32[8,16]; [1, 2, 3] gives [1, 3, 6]
 */
import { dimProduct } from '../../base/dim.ts';
import { elementAt, elementCount, forEachIndex, positionOf, rowMajorStrides } from '../literal.ts';
import { combineFunction, identityOf } from './combine.ts';
import { define } from './definition.ts';
import { requireAxes, requireClass } from './rules.ts';

const cumulativeKinds = ['sum', 'product'] as const;

export const cumulativeDefinition = define({
  opcode: 'cumulative',
  summary: 'The combination of the elements up to and including each, along an axis.',
  source: 'JAX lax.cumsum and lax.cumprod',
  operands: ['operand'],
  attributes: { kind: cumulativeKinds, axis: 'integer' },
  traits: { flops: 1 },
  constraints: {
    cumulative_c1: 'axis is an axis of the operand',
    cumulative_c2: 'the operand has a float or integer dtype',
  },
  notes:
    'Integers wrap. The order of float operations is not part of the meaning; kernels combine in order within blocks ' +
    'of 1024, and each block starts over: an element is the combination of the blocks before it, in order, with that of ' +
    'its own block up to it.',
  infer: ([operand], { axis }) => {
    requireAxes('cumulative_c1', [axis], operand.shape.length);
    requireClass('cumulative_c2', operand, 'number');
    return [operand];
  },
  evaluate: ([operand], { kind, axis }, { results: [{ dtype, shape }] }) => {
    const combine = combineFunction(kind, dtype);
    const strides = rowMajorStrides(shape);
    const data = new Float64Array(elementCount(shape));
    forEachIndex(shape.with(axis, 1), (index) => {
      let running = identityOf(kind, dtype);
      let at = positionOf(index, strides);
      for (let i = 0; i < shape[axis]; i++, at += strides[axis]) {
        running = combine(running, elementAt(operand, at));
        data[at] = running;
      }
    });
    return [{ dtype, shape, data }];
  },
  sample: (random) => {
    const operand = random.literal(random.dtype('number'), random.shape({ minRank: 1, maxRank: 3 }));
    const axis = random.integer(0, operand.shape.length - 1);
    return { operands: [operand], attributes: { kind: random.pick(cumulativeKinds), axis } };
  },
  work: ([operand]) => dimProduct(operand.shape),
});
