/**
 * Reductions, contractions and windows: a reduce node over axes that the op and its shapes alone decide, because the
 * axes fix the order of additions (`SumOrder`):
 *
 * - `reduce`: reduced axes in operand order; axes of size 1 are passed over, and reduced axes that then stand side by
 *   side are one axis. Order `lanes`.
 * - `dot_general`: contracted axes in the order of the attribute; pairs that follow each other in both operands are one
 *   axis. Order `blocks`, or `lanes` when neither operand has a free axis.
 * - `convolution`: input channel of the group, then kernel axes. Order `blocks`.
 * - `reduce_window`: window axes. Order `blocks`.
 *
 * Axes of size 1 carry no order and are left out of the last three.
 */
import { type Dim, dimProduct, floorDivDims } from '../../../base/dim.ts';
import { byteSize, computeDType, type DType, isHalf, isInteger } from '../../../base/dtype.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import { identityOf } from '../../../ir/ops/combine.ts';
import { otherAxes } from '../../../ir/ops/rules.ts';
import type { OpOf, TensorType } from '../../../ir/types.ts';
import type { Emitter } from '../emitter.ts';
import { type Index, zeroIndex } from '../index-algebra.ts';
import type { ScalarRule } from './rule.ts';
import { undilate } from './shape.ts';

/** Reduced axes of an operand in runs that are one axis each, as operand axes. */
function reducedRuns({ shape }: TensorType, axes: readonly number[]): readonly (readonly number[])[] {
  const runs: number[][] = [];
  let previousReduced = false;
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 1) continue;
    const reduced = axes.includes(axis);
    if (reduced && previousReduced) runs[runs.length - 1].push(axis);
    else if (reduced) runs.push([axis]);
    previousReduced = reduced;
  }
  return runs.length > 0 ? runs : [[]];
}

const extentOf = (shape: readonly Dim[], run: readonly number[]): Dim => dimProduct(run.map((axis) => shape[axis]));

export const reduceRule: ScalarRule<'reduce'> = (op, indices, guard, emitter) => {
  const [operand] = op.operands;
  const { shape } = operand.type;
  const { kind, axes } = op.attributes;
  const runs = reducedRuns(operand.type, axes);
  const kept = otherAxes(shape.length, axes);
  return emitter.body.reduce(
    runs.map((run) => extentOf(shape, run)),
    { indices, when: guard },
    { order: 'lanes', kind, dtype: op.results[0].type.dtype },
    (reduced) => {
      const inner: Index[] = shape.map(() => zeroIndex);
      kept.forEach((axis, at) => {
        inner[axis] = indices[at];
      });
      runs.forEach((run, at) => {
        const parts = emitter.body.algebra.delinearize(
          reduced[at],
          run.map((axis) => shape[axis]),
        );
        run.forEach((axis, i) => {
          inner[axis] = parts[i];
        });
      });
      return emitter.emit(operand, inner, guard);
    },
  );
};

/** Contracted axes in runs that are one axis each, as positions in the `contract` attribute. */
function contractedRuns(op: OpOf<'dot_general'>): readonly (readonly number[])[] {
  const [lhsAxes, rhsAxes] = op.attributes.contract;
  const { shape } = op.operands[0].type;
  const runs: number[][] = [];
  let last = -1;
  for (let at = 0; at < lhsAxes.length; at++) {
    if (shape[lhsAxes[at]] === 1) continue;
    const follows = last >= 0 && lhsAxes[at] === lhsAxes[last] + 1 && rhsAxes[at] === rhsAxes[last] + 1;
    if (follows) runs[runs.length - 1].push(at);
    else runs.push([at]);
    last = at;
  }
  return runs;
}

/** Whether either operand of a contraction has an axis of its own. */
function hasFreeAxes(op: OpOf<'dot_general'>): boolean {
  const { contract, batch } = op.attributes;
  return op.operands.some((operand, side) => operand.type.shape.length > contract[side].length + batch[side].length);
}

export const dotGeneralRule: ScalarRule<'dot_general'> = (op, indices, guard, emitter) => {
  const { contract, batch } = op.attributes;
  const shape = op.operands[0].type.shape;
  const runs = contractedRuns(op);
  const sides = op.operands.map((operand, side): Index[] => {
    const inner: Index[] = operand.type.shape.map(() => zeroIndex);
    batch[side].forEach((axis, at) => {
      inner[axis] = indices[at];
    });
    const free = otherAxes(inner.length, contract[side], batch[side]);
    const first = side === 0 ? batch[0].length : indices.length - free.length;
    free.forEach((axis, at) => {
      inner[axis] = indices[first + at];
    });
    return inner;
  });
  const product = (reduced: readonly Index[]): ScalarId => {
    runs.forEach((run, at) => {
      const extents = run.map((position) => shape[contract[0][position]]);
      const parts = emitter.body.algebra.delinearize(reduced[at], extents);
      run.forEach((position, i) => {
        sides[0][contract[0][position]] = parts[i];
        sides[1][contract[1][position]] = parts[i];
      });
    });
    const factors = op.operands.map((operand, side) => emitter.emit(operand, sides[side], guard));
    return multiplied(op, emitter, factors);
  };
  const extents = runs.map((run) => dimProduct(run.map((position) => shape[contract[0][position]])));
  return contraction(op, extents, indices, guard, emitter, product, hasFreeAxes(op) ? 'blocks' : 'lanes');
};

/** A sum of products; over a single product, the product. */
function contraction(
  op: OpOf<'dot_general'> | OpOf<'convolution'>,
  extents: readonly Dim[],
  indices: readonly Index[],
  when: ScalarId | undefined,
  emitter: Emitter,
  product: (reduced: readonly Index[]) => ScalarId,
  order: 'blocks' | 'lanes',
): ScalarId {
  const { dtype } = op.results[0].type;
  const { body } = emitter;
  const sum = (): ScalarId => {
    if (extents.length === 0 && order === 'blocks') return product([]);
    const axes = extents.length > 0 ? extents : [1];
    const details = { order, kind: 'sum', dtype: sumDType(dtype), closed: order === 'blocks' } as const;
    return body.reduce(axes, { indices, when }, details, product);
  };
  const result = sum();
  if (isHalf(dtype)) return body.computed(dtype, result);
  return sumDType(dtype) === dtype ? result : body.apply(dtype, 'convert', [result]);
}

/**
 * Narrow integers are multiplied and added as int32: the low bits of a sum are those of the sum that wraps. Floats of
 * 16 bits are as float32.
 */
const sumDType = (dtype: DType): DType => (isInteger(dtype) && byteSize(dtype) < 4 ? 'int32' : computeDType(dtype));

function multiplied(
  op: OpOf<'dot_general'> | OpOf<'convolution'>,
  { body }: Emitter,
  factors: readonly ScalarId[],
): ScalarId {
  const { dtype } = op.results[0].type;
  const wide = sumDType(dtype);
  const operands = wide === dtype ? factors : factors.map((factor) => body.apply(wide, 'convert', [factor]));
  return body.apply(wide, 'multiply', operands);
}

export const convolutionRule: ScalarRule<'convolution'> = (op, indices, guard, emitter) => {
  const [lhs, rhs] = op.operands;
  const { strides, padding, lhs_dilation, rhs_dilation, groups } = op.attributes;
  const { body } = emitter;
  const { algebra } = body;
  const [image, channel, ...position] = indices;
  const [outputs, inputs, ...window] = rhs.type.shape;
  const group = algebra.floorDivide(channel, floorDivDims(outputs, groups));
  const reduceShape = [inputs, ...window];
  const kept = reduceShape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const product = (reduced: readonly Index[]): ScalarId => {
    const at: Index[] = reduceShape.map(() => zeroIndex);
    kept.forEach((axis, i) => {
      at[axis] = reduced[i];
    });
    const [input, ...taps] = at;
    let inside: ScalarId | undefined;
    const place = position.map((output, axis) => {
      const moved = algebra.add(algebra.scale(output, strides[axis]), algebra.scale(taps[axis], rhs_dilation[axis]));
      const padded = algebra.add(moved, algebra.scale(algebra.shift(zeroIndex, padding[axis][0]), -1));
      const found = undilate(emitter, padded, lhs_dilation[axis], lhs.type.shape[axis + 2]);
      inside = body.both(inside, found.inside);
      return found.inner;
    });
    const fromChannel = algebra.add(algebra.scale(group, inputs), input);
    const left = emitter.emitWhere(lhs, [image, fromChannel, ...place], guard, inside, 0);
    const right = emitter.emit(rhs, [channel, input, ...taps], guard);
    return multiplied(op, emitter, [left, right]);
  };
  const extents = kept.map((axis) => reduceShape[axis]);
  return contraction(op, extents, indices, guard, emitter, product, 'blocks');
};

export const reduceWindowRule: ScalarRule<'reduce_window'> = (op, indices, guard, emitter) => {
  const [operand] = op.operands;
  const { kind, window, strides, padding, base_dilation, window_dilation } = op.attributes;
  const { body } = emitter;
  const { algebra } = body;
  const { dtype, shape } = operand.type;
  const kept = window.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const element = (reduced: readonly Index[]): ScalarId => {
    const taps: Index[] = window.map(() => zeroIndex);
    kept.forEach((axis, i) => {
      taps[axis] = reduced[i];
    });
    let inside: ScalarId | undefined;
    const inner = indices.map((output, axis) => {
      const moved = algebra.add(algebra.scale(output, strides[axis]), algebra.scale(taps[axis], window_dilation[axis]));
      const padded = algebra.add(moved, algebra.scale(algebra.shift(zeroIndex, padding[axis][0]), -1));
      const found = undilate(emitter, padded, base_dilation[axis], shape[axis]);
      inside = body.both(inside, found.inside);
      return found.inner;
    });
    return emitter.emitWhere(operand, inner, guard, inside, identityOf(kind, dtype));
  };
  if (kept.length === 0) return element([]);
  const extents = kept.map((axis) => window[axis]);
  return body.reduce(extents, { indices, when: guard }, { order: 'blocks', kind, dtype }, element);
};
