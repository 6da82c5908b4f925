/** Convolutions of images with gaps, split, against the evaluator. */
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementCount } from '../../ir/literal.ts';
import { Random } from '../../ir/ops/random.ts';
import { type Literal, type Module, mainOf } from '../../ir/types.ts';
import { splitDilation } from '../../passes/convolution/split-dilation.ts';
import { convolutionModule } from '../support/convolutions.ts';

const fast = { precision: 'fast', verify: true, constantBudget: 0 } as const;

/** A transposed convolution or gradient, large enough to be split. */
function sample(random: Random): Module {
  const list = (choices: readonly number[]): number[] => [random.pick(choices), random.pick(choices)];
  const window = list([2, 3, 4]);
  const groups = random.pick([1, 2]);
  return convolutionModule({
    lhs: [random.pick([1, 2]), 32 * groups, ...list([11, 12, 13])],
    rhs: [24 * groups, 32, ...window],
    attributes: {
      strides: [1, 1],
      padding: window.map((size): [number, number] => [random.integer(-1, size), random.integer(0, size + 1)]),
      lhs_dilation: [random.pick([2, 3]), random.pick([1, 2, 3])],
      rhs_dilation: [1, 1],
      groups,
    },
  });
}

const hasGaps = (module: Module): boolean =>
  mainOf(module).graph.ops.some((op) => op.opcode === 'convolution' && op.attributes.lhs_dilation.some((n) => n > 1));

describe('splitDilation', () => {
  it('changes no result beyond rounding', () => {
    for (let seed = 0; seed < 8; seed++) {
      const random = new Random(50 + seed);
      const module = sample(random);
      const inputs = mainOf(module).graph.parameters.map(({ type }): Literal => {
        const shape = type.shape.map(Number);
        const data = Float64Array.from({ length: elementCount(shape) }, () => random.next() - 0.5);
        return { dtype: 'float32', shape, data };
      });
      const split = splitDilation.run(module, fast);
      const [expected] = evaluateModule(module, inputs, { mode: 'double' });
      const [actual] = evaluateModule(split, inputs, { mode: 'double' });
      expect(actual.shape).toEqual(expected.shape);
      const difference = Math.max(...Array.from(expected.data, (x, i) => Math.abs(Number(x) - Number(actual.data[i]))));
      expect(difference, `seed ${seed}`).toBeLessThan(1e-12);
      expect(hasGaps(split), `seed ${seed}`).toBe(false);
    }
  });

  it('leaves strict mode, small convolutions and those without gaps alone', () => {
    const module = sample(new Random(50));
    expect(splitDilation.run(module, { ...fast, precision: 'strict' })).toBe(module);
    const b = new GraphBuilder();
    const [x, w] = [
      [1, 1, 4, 4],
      [1, 1, 3, 3],
    ].map((shape) => b.parameter({ dtype: 'float32', shape }));
    const attributes = {
      strides: [1, 1],
      padding: [
        [1, 1],
        [1, 1],
      ] as [number, number][],
      rhs_dilation: [1, 1],
      groups: 1,
    };
    const small = b.op('convolution', [x, w], { ...attributes, lhs_dilation: [2, 2] });
    const plain = { functions: [{ name: 'main', graph: b.build([small]) }], main: 'main' };
    expect(splitDilation.run(plain, fast)).toBe(plain);
  });
});
