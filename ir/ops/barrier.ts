/**
 * `optimization_barrier` hides what a value is from optimisation, so that a computation can be asked for again:
 *
 *     %1: f32[8] = tanh %x
 *     ...
 *     %7: f32[8] = optimization_barrier %x, %c      as %x, once %c is known
 *     %8: f32[8] = tanh %7                          computed again; %1 need not be kept until here
 *
 * No pass computes through it, merges two of them or takes it away, but for dead ones. It costs nothing: its result
 * lies where the operand does.
 */
import { define } from './definition.ts';

export const barrierDefinition = define({
  opcode: 'optimization_barrier',
  summary: 'The operand itself, which optimisation takes for a value of its own, known once the other operands are.',
  source: 'StableHLO optimization_barrier, of whose results the first is kept',
  operands: ['operand', '...after'],
  attributes: {},
  traits: { movesData: true, flops: 0 },
  constraints: {},
  notes:
    'Common subexpressions are not found across it, rewrites do not look through it, and it is not folded. Its result ' +
    'is a view of the operand.',
  infer: ([operand]) => [operand],
  evaluate: ([operand]) => [operand],
  sample: (random) => {
    const shape = random.shape();
    const after = Array.from({ length: random.integer(0, 2) }, () => random.literal(random.dtype(), random.shape()));
    return { operands: [random.literal(random.dtype(), shape), ...after], attributes: {} };
  },
});
