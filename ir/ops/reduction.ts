/**
 * Reductions: `reduce` over whole axes and `reduce_window` over windows that slide along axes, both with a closed
 * `kind`.
 *
 *     %1: f32[8] = reduce %x {kind=sum, axes=[1]}                         // %x: f32[8,16]
 *     %2: f32[1,1,4,4] = reduce_window %y {kind=max, window=[1,1,2,2], ...}   // max pooling of f32[1,1,8,8]
 */
import { type Dim, dimProduct, mulDims } from '../../base/dim.ts';
import { elementAt, elementCount, forEachIndex, generate, positionOf, rowMajorStrides } from '../literal.ts';
import type { Literal } from '../types.ts';
import { type CombineKind, combineFunction, identityOf } from './combine.ts';
import { type ConcreteType, type DTypeClass, define, type OpSample } from './definition.ts';
import type { Random } from './random.ts';
import {
  formatType,
  otherAxes,
  requireArgument,
  requireAtMost,
  requireAxes,
  requireClass,
  requireIntegers,
} from './rules.ts';
import { dilatedSize, windowCount } from './window.ts';

const reduceKinds = ['sum', 'product', 'max', 'min', 'and', 'or', 'argmax', 'argmin'] as const;
const windowKinds = ['sum', 'product', 'max', 'min'] as const;

const isPositional = (kind: string): kind is 'argmax' | 'argmin' => kind === 'argmax' || kind === 'argmin';
const classOf = (kind: string): DTypeClass => (kind === 'and' || kind === 'or' ? 'bool' : 'number');

const reduceDefinition = define({
  opcode: 'reduce',
  summary: 'Combines all elements along axes, which vanish; argmax and argmin give the position of the first extremum.',
  source: 'StableHLO reduce with a closed kind for its region',
  operands: ['operand'],
  attributes: { kind: reduceKinds, axes: 'integers' },
  traits: { flops: 1 },
  constraints: {
    reduce_c1: 'axes are distinct axes of the operand',
    reduce_c2: 'kinds and, or take bool; all other kinds a float or integer dtype',
    reduce_c3: 'argmax and argmin have exactly one axis',
    reduce_c4: 'the axis of argmax and argmin has at least size 1',
  },
  notes:
    'Over no elements: the identity of the kind (max: -infinity or the least integer). max and min give NaN if any ' +
    'element is NaN; argmax and argmin give the first NaN. Positions are int32. Integer sums and products wrap. The ' +
    'order of float additions is not part of the meaning (ir/kernel.ts states it for kernels).',
  infer: ([operand], { kind, axes }) => {
    const { dtype, shape } = operand;
    requireAxes('reduce_c1', axes, shape.length);
    requireClass('reduce_c2', operand, classOf(kind));
    if (isPositional(kind)) {
      const given = () => `${kind} of ${formatType(operand)} over axes [${axes}]`;
      requireArgument('reduce_c3', axes.length === 1, given);
      requireAtMost('reduce_c4', 1, shape[axes[0]], given);
    }
    const kept = shape.filter((_, axis) => !axes.includes(axis));
    return [{ dtype: isPositional(kind) ? 'int32' : dtype, shape: kept }];
  },
  evaluate: ([operand], { kind, axes }, { results }) => [
    isPositional(kind) ? positions(operand, kind, axes[0], results[0]) : combined(operand, kind, axes, results[0]),
  ],
  sample: (random) => {
    const kind = random.pick(reduceKinds);
    const positional = isPositional(kind);
    const shape = random.shape(positional ? { minRank: 1, leastSize: 1 } : {});
    const axes = positional ? [random.integer(0, shape.length - 1)] : random.subset(shape.length);
    return { operands: [random.literal(random.dtype(classOf(kind)), shape)], attributes: { kind, axes } };
  },
  work: ([operand]) => dimProduct(operand.shape),
});

/** Visits every element with the position of the result element that it belongs to. */
function forEachReduced(
  operand: Literal,
  axes: readonly number[],
  visit: (index: readonly number[], element: number, target: number) => void,
): void {
  const kept = otherAxes(operand.shape.length, axes);
  const targetStrides = rowMajorStrides(kept.map((axis) => operand.shape[axis]));
  forEachIndex(operand.shape, (index, position) => {
    let target = 0;
    for (let i = 0; i < kept.length; i++) target += index[kept[i]] * targetStrides[i];
    visit(index, elementAt(operand, position), target);
  });
}

function combined(operand: Literal, kind: CombineKind, axes: readonly number[], result: ConcreteType): Literal {
  const combine = combineFunction(kind, operand.dtype);
  const data = new Float64Array(elementCount(result.shape)).fill(identityOf(kind, operand.dtype));
  forEachReduced(operand, axes, (_, element, target) => {
    data[target] = combine(data[target], element);
  });
  return { ...result, data };
}

/** Positions of the first extremum along an axis; a NaN is more extreme than all else, -0 and 0 are equal. */
function positions(operand: Literal, kind: 'argmax' | 'argmin', axis: number, result: ConcreteType): Literal {
  const best = new Float64Array(elementCount(result.shape));
  const data = new Float64Array(best.length);
  const beats = (element: number, other: number): boolean =>
    !Number.isNaN(other) && (Number.isNaN(element) || (kind === 'argmax' ? element > other : element < other));
  forEachReduced(operand, [axis], (index, element, target) => {
    if (index[axis] === 0 || beats(element, best[target])) {
      best[target] = element;
      data[target] = index[axis];
    }
  });
  return { ...result, data };
}

const reduceWindowDefinition = define({
  opcode: 'reduce_window',
  summary: 'Combines the elements in each position of a window that slides along the axes.',
  source: 'StableHLO reduce_window with a closed kind for its region',
  operands: ['operand'],
  attributes: {
    kind: windowKinds,
    window: 'integers',
    strides: 'integers',
    padding: 'dim_pairs',
    base_dilation: 'integers',
    window_dilation: 'integers',
  },
  traits: { flops: 1 },
  constraints: {
    reduce_window_c1: 'the operand has a float or integer dtype',
    reduce_window_c2: 'window, strides, padding and dilations have one entry for each axis',
    reduce_window_c3: 'window, strides and dilations are integers of at least 1',
    reduce_window_c4: 'padded sizes are known well enough to count the windows',
  },
  notes: 'Padding holds the identity of the kind. A result axis has size 0 where the window does not fit.',
  infer: ([operand], { window, strides, padding, base_dilation, window_dilation }) => {
    const { dtype, shape } = operand;
    const pads = () => padding.map(([low, high]) => `[${low},${high}]`);
    const given = () =>
      `${formatType(operand)}, window [${window}], strides [${strides}], padding [${pads()}], ` +
      `base_dilation [${base_dilation}], window_dilation [${window_dilation}]`;
    requireClass('reduce_window_c1', operand, 'number');
    const lists = [window, strides, padding, base_dilation, window_dilation];
    requireArgument(
      'reduce_window_c2',
      lists.every((list) => list.length === shape.length),
      given,
    );
    const integers = [...window, ...strides, ...base_dilation, ...window_dilation];
    requireIntegers('reduce_window_c3', integers, 1, 'window, strides and dilations');
    const sizes = shape.map((size, axis) => {
      const base = dilatedSize('reduce_window_c4', size, base_dilation[axis], given);
      const reach = (window[axis] - 1) * window_dilation[axis] + 1;
      return windowCount('reduce_window_c4', base, padding[axis], reach, strides[axis], given);
    });
    return [{ dtype, shape: sizes }];
  },
  evaluate: ([operand], attributes, { results: [{ dtype, shape }], size }) => {
    const { kind, window, strides, padding, base_dilation, window_dilation } = attributes;
    const low = padding.map(([before]) => size(before));
    const combine = combineFunction(kind, dtype);
    const steps = rowMajorStrides(operand.shape);
    const element = (output: readonly number[]): number => {
      let result = identityOf(kind, dtype);
      forEachIndex(window, (tap) => {
        const at = tap.map(
          (t, axis) => (output[axis] * strides[axis] + t * window_dilation[axis] - low[axis]) / base_dilation[axis],
        );
        const inside = at.every((i, axis) => Number.isInteger(i) && i >= 0 && i < operand.shape[axis]);
        if (inside) result = combine(result, elementAt(operand, positionOf(at, steps)));
      });
      return result;
    };
    return [generate(dtype, shape, element)];
  },
  sample: sampleReduceWindow,
  work: (_, { window }, [result]) =>
    mulDims(
      dimProduct(result.shape),
      window.reduce((a, b) => a * b, 1),
    ),
});

function sampleReduceWindow(random: Random): OpSample<'reduce_window'> {
  const operand = random.literal(random.dtype('number'), random.shape({ maxRank: 3 }));
  const list = (choices: readonly number[]) => operand.shape.map(() => random.pick(choices));
  return {
    operands: [operand],
    attributes: {
      kind: random.pick(windowKinds),
      window: list([1, 1, 2, 3]),
      strides: list([1, 1, 2, 3]),
      padding: operand.shape.map((): [Dim, Dim] => [random.integer(-1, 2), random.integer(-1, 2)]),
      base_dilation: list([1, 1, 2]),
      window_dilation: list([1, 1, 2]),
    },
  };
}

export const reductionDefinitions = { reduce: reduceDefinition, reduce_window: reduceWindowDefinition } as const;
