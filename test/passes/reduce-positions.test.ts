/** Depthwise convolutions with few results as sums over planes, against the evaluator. */
import { describe, expect, it } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementCount } from '../../ir/literal.ts';
import { Random } from '../../ir/ops/random.ts';
import { type Literal, type Module, mainOf } from '../../ir/types.ts';
import { reducePositions } from '../../passes/convolution/reduce-positions.ts';
import { convolutionModule } from '../support/convolutions.ts';

const fast = { precision: 'fast', verify: true, constantBudget: 0 } as const;

/** The gradient of a depthwise convolution for its weights, as a convolution. */
function sample(random: Random): Module {
  const channels = random.pick([1, 3, 5]);
  const inputs = random.pick([1, 2]);
  const window = [random.integer(11, 12), random.integer(12, 14)];
  const dilation = [random.pick([1, 2]), random.pick([1, 2, 3])];
  const padding = [0, 1].map((): [number, number] => [random.integer(0, 2), random.integer(-1, 2)]);
  const image = window.map((size, i) => {
    const [low, high] = padding[i];
    return dilation[i] * (size - 1) + 1 + random.integer(0, 2) - low - high + 2;
  });
  return convolutionModule({
    lhs: [1, channels * inputs, ...image],
    rhs: [channels, inputs, ...window],
    attributes: {
      strides: [1, random.pick([1, 2])],
      padding,
      lhs_dilation: [1, 1],
      rhs_dilation: dilation,
      groups: channels,
    },
  });
}

describe('reducePositions', () => {
  it('changes no result beyond rounding', () => {
    for (let seed = 0; seed < 12; seed++) {
      const random = new Random(70 + seed);
      const module = sample(random);
      const inputs = mainOf(module).graph.parameters.map(({ type }): Literal => {
        const shape = type.shape.map(Number);
        const data = Float64Array.from({ length: elementCount(shape) }, () => random.next() - 0.5);
        return { dtype: 'float32', shape, data };
      });
      const sums = reducePositions.run(module, fast);
      expect(mainOf(sums).graph.ops.map(({ opcode }) => opcode)).not.toContain('convolution');
      const [expected] = evaluateModule(module, inputs, { mode: 'double' });
      const [actual] = evaluateModule(sums, inputs, { mode: 'double' });
      expect(actual.shape).toEqual(expected.shape);
      const differences = Array.from(expected.data, (x, i) => Math.abs(Number(x) - Number(actual.data[i])));
      expect(Math.max(...differences), `seed ${seed}`).toBeLessThan(1e-12);
    }
  });

  it('leaves strict mode and small planes alone', () => {
    const module = sample(new Random(70));
    expect(reducePositions.run(module, { ...fast, precision: 'strict' })).toBe(module);
    const small = convolutionModule({
      lhs: [1, 4, 8, 8],
      rhs: [4, 1, 3, 3],
      attributes: {
        strides: [1, 1],
        padding: [
          [0, 0],
          [0, 0],
        ],
        lhs_dilation: [1, 1],
        rhs_dilation: [1, 1],
        groups: 4,
      },
    });
    expect(reducePositions.run(small, fast)).toBe(small);
  });
});
