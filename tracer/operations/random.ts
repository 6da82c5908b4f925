/**
 * Random numbers from keys. A key is a `u32[2]` tensor, to be used once: `split` makes new ones of it. The same key
 * gives the same numbers everywhere, in eager code and compiled, and the same bits as `jax.random` of JAX 0.5 and
 * later (`jax_threefry_partitionable`).
 *
 *     const [a, b] = random.split(random.key(0)).unstack();
 *     random.normal(a, [8, 32]);
 *     random.generator(0).uniform([3]);         // keeps count of its keys, for eager code
 */
import { type DType, integerRange, isInteger } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import { type OperationOptions, operation, type TensorLike } from '../operation.ts';
import { Tensor } from '../tensor.ts';
import { currentTrace, emit } from '../trace.ts';
import { add, clip, maximum, multiply, subtract } from './arithmetic.ts';
import { tensor } from './creation.ts';
import { less } from './logic.ts';
import { plain, plus, times } from './primitives.ts';
import { erfinvFloat, foldedKey, randomWords, stackWords, unitFloats, wordPairs } from './random-bits.ts';
import { argmax } from './reduction.ts';
import {
  axisOf,
  broadcastShapes,
  constantLike,
  convert,
  describe,
  expandTo,
  requireInt,
  requireInteger,
  requireShape,
  requireSize,
  requireTensor,
  type Shape,
  scalar,
  shapeWithout,
} from './support.ts';
import { erf, log, log1p, negative } from './unary.ts';

/** A random key: two words of 32 bits. */
export type Key = Tensor<'uint32'>;

export interface UniformOptions {
  /** Inclusive lower bound, 0 unless given. */
  readonly minval?: number | Tensor;
  /** Exclusive upper bound, 1 unless given. */
  readonly maxval?: number | Tensor;
}

export interface RandintOptions<D extends DType = DType> {
  /** int32 unless given. */
  readonly dtype?: D;
}

type Sampler<D extends DType> = (key: Tensor, shape: Shape) => Tensor<D>;

const words = (x: Tensor): Key => x as Key;

/**
 * A key out of a seed.
 * @param seed an integer that a number holds exactly, a bigint of 64 bits, or an integer 0-d tensor
 * @throws KilnError `invalid_argument` for anything else
 */
export function key(seed: number | bigint | Tensor): Key {
  if (seed instanceof Tensor) return keyOfTensor(seed);
  if (typeof seed !== 'bigint') requireInt('random.key', seed, 'the seed');
  const bits = BigInt.asUintN(64, BigInt(seed));
  return words(tensor([Number(bits >> 32n), Number(bits & 0xffffffffn)], { dtype: 'uint32' }));
}

const keyOfTensor = operation<[seed: Tensor], Tensor>('random.key', (seed) => {
  requireInteger('random.key', 'the seed', seed);
  if (seed.ndim !== 0)
    throw new KilnError('invalid_argument', 'random.key: the seed is a 0-d tensor', { given: describe(seed) });
  return stackWords([scalar('uint32', 0), convert(seed, 'uint32')]);
}) as (seed: Tensor) => Key;

/**
 * Independent new keys.
 * @param count how many, or their shape: 2 unless given
 * @returns `u32[count, 2]`; take them apart with `.unstack()` or `.at(i)`
 * @throws KilnError `invalid_argument` for what is no key, `invalid_size`
 */
export const split = operation<[key: Tensor, count?: number | readonly number[]], Tensor>(
  'random.split',
  (from, count = 2) => {
    const shape = typeof count === 'number' ? [count] : count;
    requireShape('random.split', shape);
    return stackWords(wordPairs('random.split', from, shape));
  },
) as (key: Tensor, count?: number | readonly number[]) => Key;

const uint32Data: OperationOptions = { operands: [1], numberDType: () => 'uint32' };

/**
 * A new key that depends on a number, such as the step of a loop.
 * @throws KilnError `invalid_argument` for what is no key, `dtype_mismatch` for data that are no unsigned integer
 */
export const foldIn = operation<[key: Tensor, data: TensorLike], Tensor>(
  'random.foldIn',
  (from, data) => {
    requireInteger('random.foldIn', 'the data', data);
    if (data.ndim !== 0)
      throw new KilnError('invalid_argument', 'random.foldIn: the data is a 0-d tensor', { given: describe(data) });
    return foldedKey('random.foldIn', from, data);
  },
  uint32Data,
) as (key: Tensor, data: TensorLike) => Key;

/** Random words of 32 bits. @throws KilnError `invalid_argument` for what is no key, `invalid_size` */
export const bits = operation<[key: Tensor, shape: Shape], Tensor>('random.bits', (from, shape) => {
  requireShape('random.bits', shape);
  return randomWords('random.bits', from, shape);
}) as Sampler<'uint32'>;

/** Uniform floats in `[low, high)`, never below `low`, as `jax.random.uniform` rounds them. */
function uniformBetween(op: string, from: Tensor, shape: Shape, low: number | Tensor, high: number | Tensor): Tensor {
  requireShape(op, shape);
  const unit = unitFloats(randomWords(op, from, shape));
  if (low === 0 && high === 1) return unit;
  const bound = (value: number | Tensor): Tensor =>
    typeof value === 'number' ? scalar('float32', value) : convert(value, 'float32');
  const [least, most] = [bound(low), bound(high)];
  const scaled = add(multiply(unit, subtract(most, least)), least);
  if (scaled.ndim !== shape.length) {
    throw new KilnError('shape_mismatch', `${op}: bounds have more axes than the result`, { given: describe(scaled) });
  }
  return maximum(least, scaled);
}

/**
 * Uniform float32 in `[minval, maxval)`.
 * @throws KilnError `invalid_argument` for what is no key, `invalid_size`, `shape_mismatch` for bounds that do not
 *   broadcast to the shape
 */
export const uniform = operation<[key: Tensor, shape: Shape, options?: UniformOptions], Tensor>(
  'random.uniform',
  (from, shape, { minval = 0, maxval = 1 }: UniformOptions = {}) =>
    uniformBetween('random.uniform', from, shape, minval, maxval),
) as (key: Tensor, shape: Shape, options?: UniformOptions) => Tensor<'float32'>;

/** The float32 that follows -1. */
const afterMinusOne = -1 + 2 ** -24;

const gaussian = (op: string, from: Tensor, shape: Shape): Tensor => {
  const u = uniformBetween(op, from, shape, afterMinusOne, 1);
  return multiply(erfinvFloat(u), Math.SQRT2);
};

/**
 * Standard normal float32, through the inverse error function.
 * @throws KilnError `invalid_argument` for what is no key, `invalid_size`
 */
export const normal = operation<[key: Tensor, shape: Shape], Tensor>('random.normal', (from, shape) =>
  gaussian('random.normal', from, shape),
) as Sampler<'float32'>;

/**
 * Standard normal float32 between two bounds.
 * @throws KilnError `invalid_argument` for what is no key, `invalid_size`
 */
export const truncatedNormal = operation<[key: Tensor, lower: TensorLike, upper: TensorLike, shape: Shape], Tensor>(
  'random.truncatedNormal',
  (from, lower, upper, shape) => {
    const [a, b] = [lower, upper].map((bound) => convert(bound, 'float32'));
    const edge = (bound: Tensor): Tensor => erf(multiply(bound, Math.SQRT1_2));
    const u = uniformBetween('random.truncatedNormal', from, shape, edge(a), edge(b));
    return clip(multiply(erfinvFloat(u), Math.SQRT2), a, b);
  },
  { operands: [1, 2] },
) as (key: Tensor, lower: TensorLike, upper: TensorLike, shape: Shape) => Tensor<'float32'>;

/** The least positive float32 that is not subnormal. */
const tiny = 2 ** -126;

const gumbelNoise = (op: string, from: Tensor, shape: Shape): Tensor =>
  negative(log(negative(log(uniformBetween(op, from, shape, tiny, 1)))));

/** Gumbel noise `-log(-log(u))`, float32. @throws KilnError `invalid_argument` for what is no key, `invalid_size` */
export const gumbel = operation<[key: Tensor, shape: Shape], Tensor>('random.gumbel', (from, shape) =>
  gumbelNoise('random.gumbel', from, shape),
) as Sampler<'float32'>;

/**
 * Exponential float32 of rate 1, `-log1p(-u)`. @throws KilnError `invalid_argument` for what is no key, `invalid_size`
 */
export const exponential = operation<[key: Tensor, shape: Shape], Tensor>('random.exponential', (from, shape) =>
  negative(log1p(negative(uniformBetween('random.exponential', from, shape, 0, 1)))),
) as Sampler<'float32'>;

/**
 * True with probability `p`.
 * @param p a number or a tensor, 0.5 unless given
 * @param shape that `p` broadcasts to; the shape of `p` unless given
 * @throws KilnError `invalid_argument` for what is no key, `shape_mismatch`, `invalid_size`
 */
export const bernoulli = operation<[key: Tensor, p?: TensorLike, shape?: Shape], Tensor>(
  'random.bernoulli',
  (from, p, shape) => {
    const probability = p === undefined ? scalar('float32', 0.5) : convert(p, 'float32');
    return less(uniformBetween('random.bernoulli', from, shape ?? probability.type.shape, 0, 1), probability);
  },
  { operands: [1], numberDType: () => 'float32' },
) as (key: Tensor, p?: TensorLike, shape?: Shape) => Tensor<'bool'>;

/**
 * Integers in `[minval, maxval)`; `minval` everywhere when the range is empty.
 * @throws KilnError `invalid_argument` for what is no key or bounds that are no integers of the dtype, `invalid_size`
 */
export const randint = operation<
  [key: Tensor, shape: Shape, minval: number, maxval: number, options?: RandintOptions],
  Tensor
>('random.randint', (from, shape, minval, maxval, { dtype = 'int32' }: RandintOptions = {}) => {
  requireShape('random.randint', shape);
  requireRange(minval, maxval, dtype);
  // 64 random bits modulo the span, so that no number is favoured noticeably: (high * 2^32 + low) mod span.
  const span = Math.max(1, maxval - minval);
  const keys = stackWords(wordPairs('random.randint', from, [2]));
  const keyAt = (i: number): Tensor =>
    emit('reshape', [emit('slice', [keys], { start: [i, 0], limit: [i + 1, 2], strides: [1, 1] })], { shape: [2] });
  const [high, low] = [0, 1].map((i) => randomWords('random.randint', keyAt(i), shape));
  const offset = span >= 2 ** 32 ? low : offsetBelow(high, low, span);
  return plus(convert(offset, dtype), constantLike(convert(offset, dtype), minval));
}) as <D extends DType = 'int32'>(
  key: Tensor,
  shape: Shape,
  minval: number,
  maxval: number,
  options?: RandintOptions<D>,
) => Tensor<D>;

/** `(high * multiplier + low) mod span` in 32 bits, as `jax.random.randint` computes it. */
function offsetBelow(high: Tensor, low: Tensor, span: number): Tensor {
  const rest = (x: Tensor): Tensor => plain('remainder', x, constantLike(x, span));
  const half = 2 ** 16 % span;
  const multiplier = Math.imul(half, half) >>> 0;
  const scaled = times(rest(high), constantLike(high, multiplier % span));
  return rest(plus(scaled, rest(low)));
}

function requireRange(minval: number, maxval: number, dtype: DType): void {
  const expected = isInteger(dtype) && dtype !== 'int64' ? integerRange(dtype) : undefined;
  const [low, top] = expected ?? [0, -1];
  const fits =
    Number.isInteger(minval) &&
    Number.isInteger(maxval) &&
    minval >= low &&
    minval <= top &&
    maxval >= low &&
    maxval <= top + 1;
  if (fits) return;
  throw new KilnError('invalid_argument', 'random.randint: bounds that the dtype does not hold', {
    given: `${String(minval)} to ${String(maxval)} in ${dtype}`,
    expected: expected ? `integers from ${low} to ${top + 1}` : 'an integer dtype of at most 32 bits',
  });
}

/**
 * Positions drawn with probabilities `softmax(logits)` along an axis, as int32.
 * @param axis the axis of the classes, the last unless given
 * @param options.shape of the result; that of `logits` without the axis broadcasts to it and is the default
 * @throws KilnError `invalid_argument` for what is no key or a bad axis, `shape_mismatch`
 */
export const categorical = operation<
  [key: Tensor, logits: Tensor, axis?: number, options?: { readonly shape?: Shape }],
  Tensor
>('random.categorical', (from, logits, axis = -1, { shape }: { readonly shape?: Shape } = {}) => {
  requireTensor('random.categorical', logits, 'logits');
  const at = axisOf('random.categorical', axis, logits.ndim);
  const own = shapeWithout(logits.type.shape, [at]);
  const wanted = shape ?? own;
  requireShape('random.categorical', wanted);
  if (broadcastShapes('random.categorical', [own, wanted]).length !== wanted.length) {
    throw new KilnError('shape_mismatch', 'random.categorical: the shape has fewer axes than the logits', {
      given: `${describe(logits)} for [${wanted.join(',')}]`,
    });
  }
  const place = at + wanted.length - own.length;
  const all = [...wanted];
  all.splice(place, 0, logits.type.shape[at]);
  const scores = add(gumbelNoise('random.categorical', from, all), expandTo(convert(logits, 'float32'), all));
  return argmax(scores, place);
}) as (key: Tensor, logits: Tensor, axis?: number, options?: { readonly shape?: Shape }) => Tensor<'int32'>;

/** A source of random numbers that counts its keys: for eager code. */
export class Generator {
  readonly #key: Key;
  #count = 0;

  /** @param seed as for `key` */
  constructor(seed: number | bigint) {
    this.#key = key(seed);
  }

  /** A new key. @throws KilnError `invalid_argument` inside a compiled function, which would use one key for ever */
  next(): Key {
    const trace = currentTrace();
    if (trace?.kind === 'symbolic') {
      throw new KilnError(
        'invalid_argument',
        'random.generator: a generator has a state, which a traced function can not change',
        {
          given: `a generator inside ${trace.label}`,
          hint: 'pass a key as an argument, and make new ones with random.split or random.foldIn(key, step)',
        },
      );
    }
    requireSize('random.generator', this.#count);
    return foldIn(this.#key, this.#count++);
  }

  /** As `random.uniform`. */
  uniform(shape: Shape, options?: UniformOptions): Tensor<'float32'> {
    return uniform(this.next(), shape, options);
  }

  /** As `random.normal`. */
  normal(shape: Shape): Tensor<'float32'> {
    return normal(this.next(), shape);
  }

  /** As `random.bernoulli`. */
  bernoulli(p?: TensorLike, shape?: Shape): Tensor<'bool'> {
    return bernoulli(this.next(), p, shape);
  }

  /** As `random.randint`. */
  randint<D extends DType = 'int32'>(
    shape: Shape,
    minval: number,
    maxval: number,
    options?: RandintOptions<D>,
  ): Tensor<D> {
    return randint(this.next(), shape, minval, maxval, options);
  }

  /** As `random.categorical`. */
  categorical(logits: Tensor, axis?: number, options?: { readonly shape?: Shape }): Tensor<'int32'> {
    return categorical(this.next(), logits, axis, options);
  }
}

/**
 * A source of random numbers that counts its keys. @throws KilnError `invalid_argument` for a seed that is no integer
 */
export const generator = (seed: number | bigint): Generator => new Generator(seed);
