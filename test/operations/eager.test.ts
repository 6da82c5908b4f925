/** What is particular to eager code: stateful generators, exact random bits, and a session that survives errors. */
import { afterAll, describe, expect, test } from 'vitest';
import { compile, KilnError, random, shutdown, type Tensor, tensor, where } from '../../index.ts';
import { sourcesNamed } from '../../tracer/program-cache.ts';
import { values } from '../support/oracle.ts';

afterAll(() => shutdown());

const elements = async (x: Tensor): Promise<number[]> => Array.from(await x.data(), Number);

describe('random numbers', () => {
  test('have the same bits eager, compiled and in the reference', async () => {
    const bits = values(() => random.bits(random.key(5), [9]));
    expect(await elements(random.bits(random.key(5), [9]))).toEqual(bits);
    const draw = compile((key: Tensor) => random.bits(key, [9]));
    expect(await elements(draw(random.key(5)))).toEqual(bits);
    expect(await elements(random.uniform(random.key(5), [9]))).toEqual(
      values(() => random.uniform(random.key(5), [9])),
    );
  });

  test('a generator gives other numbers each time and the same sequence for the same seed', async () => {
    const [one, other] = [random.generator(7), random.generator(7)];
    const [a, b] = [await elements(one.uniform([4])), await elements(one.uniform([4]))];
    expect(a).not.toEqual(b);
    expect([await elements(other.uniform([4])), await elements(other.uniform([4]))]).toEqual([a, b]);
    expect(await elements(one.randint([3], 0, 1))).toEqual([0, 0, 0]);
    expect(one.normal([2, 3]).shape).toEqual([2, 3]);
    expect(one.bernoulli(1, [2]).dtype).toBe('bool');
    expect(one.categorical(tensor([0, 1])).shape).toEqual([]);
  });

  test('a generator inside a compiled function is an error', () => {
    const source = random.generator(1);
    const noisy = compile((x: Tensor) => x.add(source.normal([2])));
    expect(() => noisy(tensor([1, 2]))).toThrow(/generator has a state/);
  });
});

describe('slices', () => {
  test('at other places share a program', async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    const before = new Set(sourcesNamed('window'));
    const rows = [0, 1, 2, -1].map((i) => x.at(i));
    expect(await Promise.all(rows.map(elements))).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
      [7, 8],
    ]);
    expect(await elements(x.slice([1, 3], -1))).toEqual([4, 6]);
    expect(await elements(x.slice([2, 99]))).toEqual([5, 6, 7, 8]);
    expect(await elements(x.slice([3, 1]))).toEqual([]);
    expect(await elements(x.slice([null, null, -2], 0))).toEqual([7, 3]);
    expect(x.slice(null).shape).toEqual([4, 2]);
    // At most one for each size of the part: other files in this process may have had some.
    expect(sourcesNamed('window').filter((source) => !before.has(source)).length).toBeLessThanOrEqual(4);
    expect(() => x.at(4)).toThrow(/at: index out of range/);
    expect(() => x.slice(0, 0, 0)).toThrow(/slice: more ranges than axes/);
  });
});

describe('after an error', () => {
  test('the same operation goes on working', async () => {
    const x = tensor([1, 2, 3]);
    expect(() => x.add(tensor([1, 2]))).toThrow(KilnError);
    expect(() => x.reshape([2, 2])).toThrow(/shape_mismatch/);
    expect(await elements(x.add(tensor([1, 2, 3])))).toEqual([2, 4, 6]);
    expect(await elements(where(x.greater(1), x, 0))).toEqual([0, 2, 3]);
  });

  test('several results of one operation are tensors of their own', async () => {
    const [a, b] = tensor([1, 2, 3, 4]).split(2);
    expect([await elements(a), await elements(b)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });
});
