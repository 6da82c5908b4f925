/**
 * Derivatives of the contractions. Both are linear in each operand, so every gradient is a contraction again: of the
 * cotangent with the other operand.
 *
 *     y[m,n] = x[m,k] w[k,n]      x̄[m,k] = ȳ[m,n] w[k,n],  w̄[k,n] = x[m,k] ȳ[m,n]
 *
 * The gradient of a convolution for its input is a convolution with the reversed kernel whose strides and dilations of
 * the input have changed places; for its kernel, a convolution of the input with the cotangent in which batch and
 * feature axes have changed places, and strides and dilations of the kernel.
 */
import { addDims, type Dim, floorDivDims, mulDims, subDims } from '../../base/dim.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import type { Value } from '../../ir/types.ts';
import { range, reshape, transpose } from '../rewrite-emit.ts';
import type { Emitter, VjpFunction, VjpRules } from './rule.ts';
import { spread } from './shape.ts';

/** One side of a `dot_general`: which of its axes do what, and where its free axes are in the result. */
interface Side {
  readonly value: Value;
  readonly batch: readonly number[];
  readonly contract: readonly number[];
  readonly free: readonly number[];
  readonly freeInResult: readonly number[];
}

const dotGeneral: VjpFunction<'dot_general'> = ({ emit, op, cotangent }) => {
  const { contract, batch } = op.attributes;
  const freeOf = (which: 0 | 1): number[] =>
    range(op.operands[which].type.shape.length).filter(
      (axis) => !contract[which].includes(axis) && !batch[which].includes(axis),
    );
  const [lhsFree, rhsFree] = [freeOf(0), freeOf(1)];
  const side = (which: 0 | 1, free: readonly number[], at: number): Side => ({
    value: op.operands[which],
    batch: batch[which],
    contract: contract[which],
    free,
    freeInResult: free.map((_, i) => at + i),
  });
  const lhs = side(0, lhsFree, batch[0].length);
  const rhs = side(1, rhsFree, batch[0].length + lhsFree.length);
  return [() => dotGradient(emit, cotangent, lhs, rhs), () => dotGradient(emit, cotangent, rhs, lhs)];
};

/**
 * The gradient for `self`: the cotangent contracted with `other` over the free axes of `other`. The order of the two
 * operands is the one that needs no transpose afterwards, if there is one.
 */
function dotGradient(emit: Emitter, cotangent: Value, self: Side, other: Side): Value {
  const batchInResult = range(self.batch.length);
  // The contracted axes of `other` stay, in ascending order; each stands for the axis of `self` it was matched with.
  const order = range(other.contract.length).sort((i, j) => other.contract[i] - other.contract[j]);
  const matched = order.map((i) => self.contract[i]);
  const cotangentFirst = [...self.batch, ...self.free, ...matched];
  const otherFirst = [...self.batch, ...matched, ...self.free];
  const isOrdered = (layout: readonly number[]): boolean => layout.every((axis, i) => axis === i);
  const swap = !isOrdered(cotangentFirst) && isOrdered(otherFirst);
  const product = swap
    ? emit.op('dot_general', [other.value, cotangent], {
        contract: [other.free, other.freeInResult],
        batch: [other.batch, batchInResult],
      })
    : emit.op('dot_general', [cotangent, other.value], {
        contract: [other.freeInResult, other.free],
        batch: [batchInResult, other.batch],
      });
  const layout = swap ? otherFirst : cotangentFirst;
  return transpose(
    emit,
    product,
    range(layout.length).map((axis) => layout.indexOf(axis)),
  );
}

/** Sizes along the spatial axes, after dilation, of everything that takes part in a convolution. */
interface DilatedSizes {
  readonly lhs: readonly Dim[];
  readonly rhs: readonly Dim[];
  readonly result: readonly Dim[];
}

function dilatedSizes(
  [lhs, rhs, result]: readonly (readonly Dim[])[],
  [lhsDilation, rhsDilation, strides]: readonly (readonly number[])[],
): DilatedSizes {
  const dilate = (sizes: readonly Dim[], by: readonly number[]): Dim[] => sizes.map((size, i) => spread(size, by[i]));
  return { lhs: dilate(lhs, lhsDilation), rhs: dilate(rhs, rhsDilation), result: dilate(result, strides) };
}

/**
 * The padding of the convolution that gives the gradient for the input: as much before as makes the first window end
 * at the first element that was read, and after it what the sizes ask for.
 */
export function inputGradientPadding(
  sizes: { readonly lhs: readonly Dim[]; readonly rhs: readonly Dim[]; readonly result: readonly Dim[] },
  padding: readonly (readonly [Dim, Dim])[],
): [Dim, Dim][] {
  return padding.map(([low], i) => {
    const before = subDims(subDims(sizes.rhs[i], low), 1);
    const whole = subDims(addDims(sizes.lhs[i], sizes.rhs[i]), addDims(sizes.result[i], 1));
    return [before, subDims(whole, before)];
  });
}

const convolution: VjpFunction<'convolution'> = ({ emit, op, result, cotangent }) => {
  const [lhs, rhs] = op.operands;
  const { strides, padding, lhs_dilation, rhs_dilation, groups } = op.attributes;
  const spatial = (value: Value): readonly Dim[] => value.type.shape.slice(2);
  const sizes = dilatedSizes([lhs, rhs, result].map(spatial), [lhs_dilation, rhs_dilation, strides]);
  return [
    () =>
      emit.op('convolution', [cotangent, transposedKernel(emit, rhs, groups)], {
        strides: lhs_dilation,
        padding: inputGradientPadding(sizes, padding),
        lhs_dilation: strides,
        rhs_dilation,
        groups,
      }),
    () => {
      // The cotangent acts as the kernel, and kernels are not empty.
      if (spatial(result).includes(0)) return emit.like(rhs, 0);
      const gradient = emit.op('convolution', [batchAsFeatures(emit, lhs, groups), swapLeading(emit, cotangent)], {
        strides: rhs_dilation,
        padding: padding.map(([low], i) => [
          low,
          subDims(subDims(sizes.result[i], sizes.lhs[i]), subDims(addDims(low, 1), sizes.rhs[i])),
        ]),
        lhs_dilation,
        rhs_dilation: strides,
        groups,
      });
      return swapLeading(emit, gradient);
    },
  ];
};

/** `[a, b, ...]` as `[b, a, ...]`. */
const swapLeading = (emit: Emitter, x: Value): Value =>
  transpose(
    emit,
    x,
    range(x.type.shape.length).map((axis) => (axis < 2 ? 1 - axis : axis)),
  );

/** A kernel `[G Co, Ci, ...]` reversed in space, with inputs and outputs of each group exchanged: `[G Ci, Co, ...]`. */
function transposedKernel(emit: Emitter, rhs: Value, groups: number): Value {
  const [outputs, inputs, ...space] = rhs.type.shape;
  const reversed = emit.op('reverse', [rhs], { axes: space.map((_, i) => i + 2) });
  if (groups === 1) return swapLeading(emit, reversed);
  const outputsOfGroup = divideSize(outputs, groups);
  const split = reshape(emit, reversed, [groups, outputsOfGroup, inputs, ...space]);
  const swapped = transpose(emit, split, [0, 2, 1, ...space.map((_, i) => i + 3)]);
  return reshape(emit, swapped, [mulDims(inputs, groups), outputsOfGroup, ...space]);
}

/**
 * An input `[N, G Ci, ...]` as `[Ci, G N, ...]`: the batch becomes the features that are contracted, group by group,
 * and the features become the batch.
 */
function batchAsFeatures(emit: Emitter, lhs: Value, groups: number): Value {
  if (groups === 1) return swapLeading(emit, lhs);
  const [batch, features, ...space] = lhs.type.shape;
  const featuresOfGroup = divideSize(features, groups);
  const split = reshape(emit, lhs, [batch, groups, featuresOfGroup, ...space]);
  const moved = transpose(emit, split, [2, 1, 0, ...space.map((_, i) => i + 3)]);
  return reshape(emit, moved, [featuresOfGroup, mulDims(batch, groups), ...space]);
}

/** A size that `groups` divides, as the type rule of `convolution` has checked. */
const divideSize = (size: Dim, groups: number): Dim => floorDivDims(size, groups);

export const contractionVjps = {
  dot_general: dotGeneral,
  convolution,
} satisfies Partial<VjpRules<Opcode>>;
