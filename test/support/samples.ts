/**
 * Moderate values for the parameters of a graph: floats between -1 and 1, small integers, mostly true.
 *
 *     sampleInputs(graph, { T: 9 })      // one Literal for each parameter, with `T` as 9
 */
import { isStatic } from '../../base/dim.ts';
import { isInteger } from '../../base/dtype.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Graph, Literal } from '../../ir/types.ts';

export function sampleInputs({ parameters }: Graph, sizes: Readonly<Record<string, number>> = {}): Literal[] {
  const random = new Random(11, { special: false });
  return parameters.map(({ type: { dtype, shape } }) => {
    const fixed = shape.map((size) => (isStatic(size) ? size : sizes[String(size)]));
    const count = fixed.reduce((a, b) => a * b, 1);
    const draw = (): number => {
      if (isInteger(dtype)) return random.integer(0, 3);
      return dtype === 'bool' ? Number(random.next() > 0.3) : Math.fround(random.next() * 2 - 1);
    };
    return { dtype, shape: fixed, data: Array.from({ length: count }, draw) };
  });
}
