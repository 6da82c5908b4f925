/**
 * Derivatives of running sums and products.
 *
 *     y = cumulative x {kind=sum}         x̄ = the running sum of ȳ from the end
 *     y = cumulative x {kind=product}     x̄[i] = y[i-1] s[i],  s[i] = ȳ[i] + x[i+1] s[i+1]: no division, so that
 *                                         zeros among the elements are no trouble
 */
import { isAtMostDim } from '../../base/dim.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { Value } from '../../ir/types.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';

/** The elements `distance` places further along an axis (backwards for a negative one), `fill` where there are none. */
function shifted(emit: Emitter, x: Value, axis: number, distance: number, fill: number): Value {
  const only = (amount: number): number[] => x.type.shape.map((_, i) => (i === axis ? amount : 0));
  const attributes = { low: only(-distance), high: only(distance), interior: only(0) };
  return emit.op('pad', [x, emit.scalar(x, fill)], attributes);
}

/** `s[i] = b[i] + a[i] s[i+1]`, by doubling: after each step an element covers twice as many places. */
function recurrence(emit: Emitter, factors: Value, terms: Value, axis: number, size: number): Value {
  let [a, b] = [factors, terms];
  for (let distance = 1; distance < size; distance *= 2) {
    b = emit.add(b, emit.op('multiply', [a, shifted(emit, b, axis, distance, 0)]));
    a = emit.op('multiply', [a, shifted(emit, a, axis, distance, 0)]);
  }
  return b;
}

const cumulative: VjpFunction<'cumulative'> = ({ emit, op, result, cotangent, refuse }) => {
  const { kind, axis } = op.attributes;
  const [operand] = op.operands;
  const axes = [axis];
  if (kind === 'sum') {
    const reversed = (x: Value): Value => emit.op('reverse', [x], { axes });
    return [() => reversed(emit.op('cumulative', [reversed(cotangent)], op.attributes))];
  }
  const size = operand.type.shape[axis];
  if (typeof size !== 'number' || isAtMostDim(size, 0) === 'always') {
    if (size !== 0) return refuse('the axis of a running product has a symbolic size', 'give it a fixed size');
    return [() => cotangent];
  }
  return [
    () => {
      const sums = recurrence(emit, shifted(emit, operand, axis, 1, 0), cotangent, axis, size);
      return emit.op('multiply', [shifted(emit, result, axis, -1, 1), sums]);
    },
  ];
};

export const cumulativeVjps = { cumulative } satisfies Partial<VjpRules<Opcode>>;
