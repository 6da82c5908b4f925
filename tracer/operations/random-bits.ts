/**
 * Threefry-2x32: the counter-based generator under `random` (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A key and a counter give two words, each element on its own, so any part of a stream is
 * computed without the rest. Keys and counters are laid out as `jax.random` does it with
 * `jax_threefry_partitionable`, which gives the same bits:
 *
 *     bits(key, shape)[i] = a ^ b   where (a, b) = threefry(key, (0, i))
 *     split(key, n)[i]    = [a, b]  of the same words
 */
import { type Dim, dimProduct, isStatic } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import type { Tensor } from '../tensor.ts';
import { emit } from '../trace.ts';
import { compare, minus, plain, plus, times } from './primitives.ts';
import { constantLike, convert, describe, expandTo, requireTensor, type Shape, scalar } from './support.ts';

function rotateLeft(x: Tensor, distance: number): Tensor {
  const high = plain('shift_left', x, constantLike(x, distance));
  return plain('or', high, plain('shift_right_logical', x, constantLike(x, 32 - distance)));
}

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** The constant of the key schedule, from Skein. */
const parity = 0x1bd11bda;

/** Two words of randomness for each pair of counter words: 20 rounds. All operands are uint32; the keys scalars. */
export function threefry(
  key: readonly [Tensor, Tensor],
  counter: readonly [Tensor, Tensor],
): readonly [Tensor, Tensor] {
  const { shape } = counter[0].type;
  const mixed = plain('xor', plain('xor', key[0], key[1]), scalar('uint32', parity));
  const schedule = [key[0], key[1], mixed];
  const inject = (x: Tensor, word: Tensor): Tensor => plus(x, expandTo(word, shape));
  let x = inject(counter[0], schedule[0]);
  let y = inject(counter[1], schedule[1]);
  for (let group = 0; group < 5; group++) {
    for (const distance of rotations[group % 2]) {
      x = plus(x, y);
      y = plain('xor', rotateLeft(y, distance), x);
    }
    x = inject(x, schedule[(group + 1) % 3]);
    y = inject(y, plus(schedule[(group + 2) % 3], scalar('uint32', group + 1)));
  }
  return [x, y];
}

/** The two words of a key. @throws KilnError `invalid_argument` unless it is a uint32 tensor of shape [2] */
export function keyWords(op: string, key: Tensor): readonly [Tensor, Tensor] {
  requireTensor(op, key, 'the key');
  const { dtype, shape } = key.type;
  if (dtype !== 'uint32' || shape.length !== 1 || shape[0] !== 2) {
    throw new KilnError('invalid_argument', `${op}: not a random key`, {
      given: describe(key),
      expected: 'a key of shape u32[2]',
      hint: 'make one with random.key(seed), or take one of random.split(key, n) with .at(i)',
    });
  }
  const word = (i: number): Tensor =>
    emit('reshape', [emit('slice', [key], { start: [i], limit: [i + 1], strides: [1] })], { shape: [] });
  return [word(0), word(1)];
}

/** The position of each element in row-major order, in the low word; the high word is 0 below 2^32 elements. */
function counters(op: string, shape: Shape): readonly [Tensor, Tensor] {
  const size = dimProduct(shape);
  if (isStatic(size) && size >= 2 ** 32) {
    throw new KilnError('invalid_size', `${op}: too many elements`, {
      given: `[${shape.join(',')}]`,
      expected: 'below 2^32',
    });
  }
  const position = (of: readonly Dim[]): Tensor => emit('iota', [], { dtype: 'uint32', shape: of, axis: 0 });
  const low = shape.length === 1 ? position(shape) : emit('reshape', [position([size])], { shape });
  return [constantLike(low, 0), low];
}

/** Two random words for each place of a shape. */
export const wordPairs = (op: string, key: Tensor, shape: Shape): readonly [Tensor, Tensor] =>
  threefry(keyWords(op, key), counters(op, shape));

/** One random word for each place of a shape. */
export function randomWords(op: string, key: Tensor, shape: Shape): Tensor {
  const [high, low] = wordPairs(op, key, shape);
  return plain('xor', high, low);
}

/** The key that `data` picks out of a key's stream: words of the counter `(0, data)`. */
export function foldedKey(op: string, key: Tensor, data: Tensor): Tensor {
  const word = convert(data, 'uint32');
  const pair = threefry(keyWords(op, key), [constantLike(word, 0), word]);
  return stackWords(pair);
}

/** Pairs of words as keys: `[...shape, 2]`. */
export function stackWords([high, low]: readonly [Tensor, Tensor]): Tensor {
  const { shape } = high.type;
  const parts = [high, low].map((word) => emit('reshape', [word], { shape: [...shape, 1] }));
  return emit('concatenate', parts, { axis: shape.length });
}

/** Floats in [0, 1): the 23 high bits of a word as the mantissa of a number in [1, 2), less 1. */
export function unitFloats(words: Tensor): Tensor {
  const mantissa = plain('shift_right_logical', words, constantLike(words, 9));
  const bits = plain('or', mantissa, constantLike(words, 0x3f800000));
  const floats = emit('bitcast_convert', [bits], { dtype: 'float32' });
  return minus(floats, 1);
}

/** Coefficients for `w < 5`, then for the rest, highest power first. */
const erfinvCentral = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
];
const erfinvTail = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682,
];

/**
 * Inverse error function in single precision (Giles, "Approximating the erfinv function", 2010): a polynomial in
 * `w = -log(1 - x²)`, one of two by the size of `w`. ±infinity at ±1.
 */
export function erfinvFloat(x: Tensor): Tensor {
  const w = plain('negate', plain('log_plus_one', plain('negate', times(x, x))));
  const central = compare(w, 'LT', constantLike(x, 5));
  const choose = (a: number, b: number): Tensor => plain('select', central, constantLike(x, a), constantLike(x, b));
  const shifted = minus(w, constantLike(x, 2.5));
  const rooted = minus(plain('sqrt', w), constantLike(x, 3));
  const t = plain('select', central, shifted, rooted);
  let p = choose(erfinvCentral[0], erfinvTail[0]);
  for (let i = 1; i < erfinvCentral.length; i++) {
    p = plus(choose(erfinvCentral[i], erfinvTail[i]), times(p, t));
  }
  const isEnd = compare(plain('abs', x), 'EQ', 1);
  const end = times(x, Number.POSITIVE_INFINITY);
  return plain('select', isEnd, end, times(p, x));
}
