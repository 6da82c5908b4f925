/**
 * Derivatives of `reduce_window`. The sum over windows is linear: its transpose sums, over windows that step as the
 * operand was dilated, the cotangent spread out by the strides. The extremum gives each cotangent to the first element
 * of its window that equals the result, as XLA's `select_and_scatter` does; it is written out offset by offset:
 *
 *     window [2], stride 2:   x̄ = pad(select(x[0::2] == y, ȳ, 0)) + pad(select(x[1::2] == y and not taken, ȳ, 0))
 */
import { addDims, type Dim, subDims } from '../../base/dim.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import { inputGradientPadding } from './contraction.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';
import { spread, unpad } from './shape.ts';

/** Offsets beyond which the gradient of a windowed extremum would be an unreasonably long program. */
const mostOffsets = 1024;

function sumGradient(emit: Emitter, op: OpOf<'reduce_window'>, result: Value, cotangent: Value): Value {
  const { window, strides, padding, base_dilation, window_dilation } = op.attributes;
  const dilate = (sizes: readonly Dim[], by: readonly number[]): Dim[] => sizes.map((size, i) => spread(size, by[i]));
  const sizes = {
    lhs: dilate(op.operands[0].type.shape, base_dilation),
    rhs: dilate(window, window_dilation),
    result: dilate(result.type.shape, strides),
  };
  const pads = inputGradientPadding(sizes, padding);
  const spreadOut = emit.op('pad', [cotangent, emit.scalar(cotangent, 0)], {
    low: pads.map(([low]) => low),
    high: pads.map(([, high]) => high),
    interior: strides.map((stride) => stride - 1),
  });
  return emit.op('reduce_window', [spreadOut], {
    kind: 'sum',
    window,
    strides: base_dilation,
    padding: window.map(() => [0, 0] as const),
    base_dilation: window.map(() => 1),
    window_dilation,
  });
}

/** Every index into a window, in row-major order. */
function windowOffsets(window: readonly number[]): number[][] {
  return window.reduce<number[][]>(
    (offsets, size) => offsets.flatMap((offset) => Array.from({ length: size }, (_, i) => [...offset, i])),
    [[]],
  );
}

function extremumGradient(emit: Emitter, op: OpOf<'reduce_window'>, result: Value, cotangent: Value): Value {
  const { kind, window, strides, padding, base_dilation, window_dilation } = op.attributes;
  const x = op.operands[0];
  if (result.type.shape.includes(0)) return emit.like(x, 0);
  const border = {
    low: padding.map(([low]) => low),
    high: padding.map(([, high]) => high),
    interior: base_dilation.map((dilation) => dilation - 1),
  };
  const isPadded = [...border.low, ...border.high, ...border.interior].some((amount) => amount !== 0);
  const padded = isPadded ? emit.op('pad', [x, emit.scalar(x, kind === 'max' ? -Infinity : Infinity)], border) : x;
  const zero = emit.like(cotangent, 0);
  let taken: Value | undefined;
  let gradient: Value | undefined;
  for (const offset of windowOffsets(window)) {
    const start = offset.map((at, i) => at * window_dilation[i]);
    const limit = start.map((first, i) => addDims(first, spread(result.type.shape[i], strides[i])));
    const matches = emit.compare('EQ', emit.op('slice', [padded], { start, limit, strides }), result);
    const chosen: Value = taken ? emit.op('and', [matches, emit.op('not', [taken])]) : matches;
    const share = emit.op('pad', [emit.select(chosen, cotangent, zero), emit.scalar(cotangent, 0)], {
      low: start,
      high: padded.type.shape.map((size, i) => subDims(size, limit[i])),
      interior: strides.map((stride) => stride - 1),
    });
    taken = taken ? emit.op('or', [taken, matches]) : matches;
    gradient = gradient ? emit.add(gradient, share) : share;
  }
  if (!gradient) return emit.like(x, 0);
  return isPadded ? unpad(emit, gradient, border) : gradient;
}

const reduceWindow: VjpFunction<'reduce_window'> = ({ emit, op, result, cotangent, refuse }) => {
  const { kind, window }: OpAttributes['reduce_window'] = op.attributes;
  if (kind === 'sum') return [() => sumGradient(emit, op, result, cotangent)];
  if (kind === 'product') return refuse('a product over windows has no gradient rule', 'take exp of a sum of logs');
  const offsets = window.reduce((product, size) => product * size, 1);
  if (offsets > mostOffsets) {
    refuse(
      `the window [${window}] has ${offsets} positions; the gradient of a ${kind} is limited to ${mostOffsets}`,
      'reduce in two steps with smaller windows, or use a plain reduction over the axis',
    );
  }
  return [() => extremumGradient(emit, op, result, cotangent)];
};

export const windowVjps = { reduce_window: reduceWindow } satisfies Partial<VjpRules<Opcode>>;
