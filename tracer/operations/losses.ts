/**
 * Losses after `torch.nn.functional`. They reduce to their mean unless told otherwise.
 *
 *     crossEntropy(logits, labels)                  // f32[] of f32[8,10] and i32[8]
 *     mseLoss(prediction, target, { reduction: 'sum' })
 */

import { type DType, isInteger } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { operation, type TensorLike } from '../operation.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { logSoftmax, softplus } from './activations.ts';
import { add, divide, maximum, multiply, subtract } from './arithmetic.ts';
import { less, logicalAnd, notEqual, where } from './logic.ts';
import { compare, select, times } from './primitives.ts';
import { mean, sum } from './reduction.ts';
import {
  axisOf,
  constantLike,
  convert,
  describe,
  expandAt,
  type Floating,
  meet,
  range,
  reduceAxes,
  requireEqualSizes,
  requireTensor,
  requireTensors,
  shapeWithout,
  sizeScalar,
  toFloat,
  toPositions,
} from './support.ts';
import { abs, log, log1p, negative, square } from './unary.ts';

/** What becomes of the losses of all elements. */
export type Reduction = 'mean' | 'sum' | 'none';

export interface LossOptions {
  /** `'mean'` unless given. */
  readonly reduction?: Reduction;
}

/** What a loss is: a float whatever its operands are, so that its `item()` is a number. */
type FloatTensor = Tensor<Floating<DType>>;

function reduced(op: string, losses: Tensor, reduction: Reduction = 'mean'): FloatTensor {
  const floats = losses as FloatTensor;
  switch (reduction) {
    case 'mean':
      return mean(floats);
    case 'sum':
      return sum(floats);
    case 'none':
      return floats;
    default:
      throw new KilnError('invalid_argument', `${op}: no such reduction`, {
        given: String(reduction),
        expected: "'mean', 'sum' or 'none'",
      });
  }
}

type Loss = (input: TensorLike, target: TensorLike, options?: LossOptions) => FloatTensor;

const elementwiseLoss = (op: string, body: (input: Tensor, target: Tensor) => Tensor): Loss =>
  operation<[input: TensorLike, target: TensorLike, options?: LossOptions], FloatTensor>(
    op,
    (input, target, { reduction }: LossOptions = {}) => {
      const [x, y] = meet(op, requireTensors(op, input, target).map(toFloat));
      return reduced(op, body(x, y), reduction);
    },
    { operands: [0, 1] },
  );

/** `(input - target)²`. @throws KilnError `shape_mismatch` when the shapes do not broadcast, `invalid_argument` */
export const mseLoss = elementwiseLoss('mseLoss', (x, y) => square(subtract(x, y)));

/** `|input - target|`. @throws KilnError `shape_mismatch`, `invalid_argument` */
export const l1Loss = elementwiseLoss('l1Loss', (x, y) => abs(subtract(x, y)));

export interface HuberOptions extends LossOptions {
  /** Where the square ends and the line begins: 1 unless given. */
  readonly delta?: number;
}

/**
 * `d²/2` for a distance `d` up to delta, `delta * (d - delta/2)` beyond.
 * @throws KilnError `shape_mismatch`, `invalid_argument` unless delta is positive
 */
export const huberLoss = operation<[input: TensorLike, target: TensorLike, options?: HuberOptions], FloatTensor>(
  'huberLoss',
  (input, target, { reduction, delta = 1 }: HuberOptions = {}) => {
    if (!(delta > 0)) throw new KilnError('invalid_argument', 'huberLoss: delta is positive', { given: String(delta) });
    const [x, y] = meet('huberLoss', requireTensors('huberLoss', input, target).map(toFloat));
    const difference = subtract(x, y);
    const distance = abs(difference);
    const near = multiply(square(difference), 0.5);
    const far = multiply(subtract(distance, 0.5 * delta), delta);
    return reduced('huberLoss', where(less(distance, delta), near, far), reduction);
  },
  { operands: [0, 1] },
);

/**
 * Binary cross-entropy of logits and probabilities: `softplus(x) - x * y`, which does not overflow.
 * @throws KilnError `shape_mismatch`, `invalid_argument`
 */
export const binaryCrossEntropyWithLogits = elementwiseLoss('binaryCrossEntropyWithLogits', (x, y) =>
  subtract(softplus(x), multiply(x, y)),
);

/**
 * Binary cross-entropy of probabilities, with logarithms no lower than -100 as torch has them.
 * @throws KilnError `shape_mismatch`, `invalid_argument`
 */
export const binaryCrossEntropy = elementwiseLoss('binaryCrossEntropy', (x, y) => {
  const positive = multiply(y, maximum(log(x), -100));
  return negative(add(positive, multiply(subtract(1, y), maximum(log1p(negative(x)), -100))));
});

// Classes.

export interface CrossEntropyOptions extends LossOptions {
  /** The axis of the classes: the last unless given (torch has them second). */
  readonly axis?: number;
  /**
   * How much of each target is spread evenly over all classes, for targets that are positions and for probabilities.
   */
  readonly labelSmoothing?: number;
  /** A target that does not count, not in the mean either. */
  readonly ignoreIndex?: number;
}

/**
 * The element of each row at the target's position: a sum over the row of everything masked but it, which fuses with
 * the softmax before it and whose gradient needs no scatter. NaN for a position out of range.
 */
function picked(rows: Tensor, targets: Tensor, axis: number): Tensor {
  const { shape } = rows.type;
  const positions = toPositions(targets);
  const others = range(shape.length).filter((i) => i !== axis);
  const classes = emit('iota', [], { dtype: positions.dtype, shape, axis });
  const isTarget = compare(expandAt(positions, shape, others), 'EQ', classes);
  const element = reduceAxes(select(isTarget, rows, constantLike(rows, 0)), 'sum', [axis]);
  const inRange = logicalAnd(compare(positions, 'GE', 0), less(positions, sizeScalar(shape[axis], positions.dtype)));
  return select(inRange, element, constantLike(element, Number.NaN));
}

function requireTargets(op: string, rows: Tensor, targets: Tensor, axis: number): void {
  requireTensor(op, targets, 'the target');
  const wanted = isInteger(targets.dtype) ? shapeWithout(rows.type.shape, [axis]) : rows.type.shape;
  const given = `${describe(rows)} and target ${describe(targets)}`;
  if (targets.ndim !== wanted.length) {
    throw new KilnError('shape_mismatch', `${op}: the target does not fit`, {
      given,
      expected: 'integers of the shape without the axis of the classes, or probabilities of the same shape',
    });
  }
  wanted.forEach((size, i) => {
    requireEqualSizes(op, size, targets.type.shape[i], 'the target does not fit', given);
  });
}

/** Losses of rows of log-probabilities. */
function rowLosses(op: string, logs: Tensor, targets: Tensor, axis: number, options: CrossEntropyOptions): FloatTensor {
  const { labelSmoothing = 0, ignoreIndex, reduction } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new KilnError('invalid_argument', `${op}: labelSmoothing is not in [0, 1]`, {
      given: String(labelSmoothing),
    });
  }
  const isPosition = isInteger(targets.dtype);
  const gain = isPosition
    ? picked(logs, targets, axis)
    : reduceAxes(times(logs, convert(targets, logs.dtype)), 'sum', [axis]);
  let losses = negative(gain);
  if (labelSmoothing > 0) {
    losses = add(multiply(losses, 1 - labelSmoothing), multiply(negative(mean(logs, axis)), labelSmoothing));
  }
  if (ignoreIndex === undefined || !isPosition) return reduced(op, losses, reduction);
  const counts = notEqual(targets, ignoreIndex);
  const counted = where(counts, losses, 0);
  if (reduction === 'none' || reduction === 'sum') return reduced(op, counted, reduction);
  return divide(sum(counted), sum(counts));
}

/**
 * Cross-entropy of unnormalised scores.
 * @param logits scores with one axis of classes
 * @param targets integers of the shape without that axis (a position out of range gives NaN), or probabilities of the
 *   shape of `logits`
 * @throws KilnError `shape_mismatch` when the targets do not fit, `invalid_argument` for options out of range
 */
export const crossEntropy = operation<[logits: Tensor, targets: Tensor, options?: CrossEntropyOptions], FloatTensor>(
  'crossEntropy',
  (logits, targets, options: CrossEntropyOptions = {}) => {
    requireTensor('crossEntropy', logits);
    const axis = axisOf('crossEntropy', options.axis ?? -1, logits.ndim);
    requireTargets('crossEntropy', logits, targets, axis);
    return rowLosses('crossEntropy', logSoftmax(logits, axis), targets, axis, options);
  },
);

/**
 * Negative log-likelihood: `crossEntropy` of what are log-probabilities already.
 * @throws KilnError `shape_mismatch` when the targets do not fit, `invalid_argument` for options out of range
 */
export const nllLoss = operation<[logs: Tensor, targets: Tensor, options?: CrossEntropyOptions], FloatTensor>(
  'nllLoss',
  (logs, targets, options: CrossEntropyOptions = {}) => {
    requireTensor('nllLoss', logs);
    const axis = axisOf('nllLoss', options.axis ?? -1, logs.ndim);
    requireTargets('nllLoss', logs, targets, axis);
    return rowLosses('nllLoss', toFloat(logs), targets, axis, options);
  },
);
