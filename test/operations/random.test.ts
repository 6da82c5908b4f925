/**
 * Random numbers have the bits of `jax.random` (recorded by record.py), the distributions they promise, and keys that
 * are independent.
 */
import { describe, expect, test } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { random, tensor } from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { difference } from '../support/close.ts';
import { array, evaluate, resultTypes, values } from '../support/oracle.ts';
import { decodeArray, recordedStreams } from '../support/recorded.ts';

type Sampler = (...args: readonly unknown[]) => Tensor;
const samplers = random as unknown as Readonly<Record<string, Sampler>>;

/** Words and integers are exact; JAX may fuse a product and a sum, and has other polynomials for log and erf. */
const tolerances: Readonly<Record<string, number>> = {
  uniform: 1.2e-7,
  normal: 2e-6,
  truncatedNormal: 2e-6,
  gumbel: 2e-6,
  exponential: 2e-6,
};

describe.each(recordedStreams().map((stream) => [`${stream.random}(${JSON.stringify(stream.args)})`, stream] as const))(
  'random.%s',
  (_, { random: name, args, expected }) => {
    test('gives the numbers of jax.random', () => {
      const sample = (): Tensor => {
        if (name === 'key') return samplers.key(...args);
        const [first, ...rest] = args;
        const operand = name === 'categorical' ? tensor(first as number[]) : first;
        return samplers[name](random.key(42), operand, ...rest);
      };
      const given = evaluate(() => sample(), [], 'rounded');
      const relative = tolerances[name] ?? 0;
      const wanted = decodeArray(expected);
      const exact = wanted.dtype === 'float32' ? { ...wanted, data: Float32Array.from(wanted.data) } : wanted;
      expect(difference(given, exact, { relative, absolute: relative })).toBeUndefined();
    });
  },
);

const sampleOf = (sample: (key: Tensor) => Tensor, seed = 1): number[] => values(() => sample(random.key(seed)));
const average = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

describe('distributions', () => {
  test('uniform numbers are in range and spread evenly', () => {
    const numbers = sampleOf((key) => random.uniform(key, [4000], { minval: -1, maxval: 3 }));
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...numbers)).toBeLessThan(3);
    expect(average(numbers)).toBeCloseTo(1, 1);
    const quarter = numbers.filter((x) => x < 0).length / numbers.length;
    expect(quarter).toBeCloseTo(0.25, 1);
  });

  test('normal numbers have mean 0 and variance 1', () => {
    const numbers = sampleOf((key) => random.normal(key, [4000]));
    expect(Math.abs(average(numbers))).toBeLessThan(0.05);
    expect(average(numbers.map((x) => x * x))).toBeCloseTo(1, 1);
  });

  test('truncated normal numbers keep their bounds', () => {
    const numbers = sampleOf((key) => random.truncatedNormal(key, -0.5, 1, [1000]));
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(-0.5);
    expect(Math.max(...numbers)).toBeLessThanOrEqual(1);
  });

  test('bernoulli and categorical follow their probabilities', () => {
    expect(average(sampleOf((key) => random.bernoulli(key, 0.2, [3000])))).toBeCloseTo(0.2, 1);
    const logits = [Math.log(0.7), Math.log(0.2), Math.log(0.1)];
    const classes = sampleOf((key) => random.categorical(key, tensor(logits), -1, { shape: [3000] }));
    expect(classes.filter((c) => c === 0).length / classes.length).toBeCloseTo(0.7, 1);
    expect(new Set(classes)).toEqual(new Set([0, 1, 2]));
  });

  test('integers reach both ends of their range and no further', () => {
    expect(new Set(sampleOf((key) => random.randint(key, [300], -2, 3)))).toEqual(new Set([-2, -1, 0, 1, 2]));
    expect(new Set(sampleOf((key) => random.randint(key, [5], 4, 4)))).toEqual(new Set([4]));
  });
});

describe('keys', () => {
  test('splitting is folding in the position, and any part of a stream stands on its own', () => {
    const keys = values(() => random.split(random.key(9), 3));
    const third = values(() => random.foldIn(random.key(9), 2));
    expect(keys.slice(4)).toEqual(third);
    expect(values(() => random.bits(random.key(9), [100])).slice(0, 7)).toEqual(
      values(() => random.bits(random.key(9), [7])),
    );
  });

  test('a key can come from a tensor, and one seed of 64 bits fills both words', () => {
    expect(values((seed) => random.key(seed), array(42, 'int32'))).toEqual(values(() => random.key(42)));
    expect(values(() => random.key(2n ** 32n + 5n))).toEqual([1, 5]);
    expect(values(() => random.key(-1))).toEqual([0xffffffff, 0xffffffff]);
  });

  test('samples of no elements and of symbolic size have their type', () => {
    expect(values(() => random.normal(random.key(0), [0, 3]))).toEqual([]);
    expect(
      resultTypes((x) => random.uniform(random.key(0), x.type.shape), [{ dtype: 'float32', shape: [2, 3] }]),
    ).toEqual([{ dtype: 'float32', shape: [2, 3] }]);
  });

  const codeOf = (body: () => unknown): string => {
    try {
      values(() => body() as Tensor);
    } catch (error) {
      if (error instanceof KilnError) return error.code;
      throw error;
    }
    return 'no error';
  };

  test('what is no key, shape or range is an error', () => {
    expect(codeOf(() => random.bits(tensor([1, 2]), [3]))).toBe('invalid_argument');
    expect(codeOf(() => random.key(0.5))).toBe('invalid_argument');
    expect(codeOf(() => random.uniform(random.key(0), [-1]))).toBe('invalid_size');
    expect(codeOf(() => random.uniform(random.key(0), 3 as unknown as number[]))).toBe('invalid_size');
    expect(codeOf(() => random.randint(random.key(0), [2], 0, 2 ** 40))).toBe('invalid_argument');
    expect(codeOf(() => random.randint(random.key(0), [2], 0, 5, { dtype: 'float32' }))).toBe('invalid_argument');
    expect(codeOf(() => random.foldIn(random.key(0), -1))).toBe('dtype_mismatch');
    expect(codeOf(() => random.generator(3).next())).toBe('invalid_argument');
  });
});
