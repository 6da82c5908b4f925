/**
 * Fifty calls begun before any is awaited: each has the result that it has alone, bit for bit, in both precisions, cold
 * and warm, also when they follow from each other and when some are disposed before they are read.
 */
import { describe, expect, test } from 'vitest';
import { randomFloats } from '../../bench/random-floats.ts';
import { compile, memory, relu, softmax, type Tensor, tensor } from '../../index.ts';

const calls = 50;
const weights = tensor(randomFloats(48 * 32, 1), { shape: [48, 32] });
const inputs = Array.from({ length: calls }, (_, i) => tensor(randomFloats(17 * 48, i + 2), { shape: [17, 48] }));

const read = async (result: Tensor): Promise<number[]> => {
  const elements = Array.from(await result.data(), Number);
  result.dispose();
  return elements;
};

describe.each(['fast', 'strict'] as const)('%s', (precision) => {
  const layer = () => compile((x: Tensor, w: Tensor) => softmax(relu(x.matmul(w)), -1), { precision });

  test('the results of calls in flight are those of calls in turn', async () => {
    // Cold: the first calls wait for the compiler, the others behind them.
    const fn = layer();
    const inFlight = await Promise.all(inputs.map((x) => fn(x, weights)).map(read));
    const inTurn: number[][] = [];
    for (const x of inputs) inTurn.push(await read(fn(x, weights)));
    expect(inFlight).toEqual(inTurn);
    const warm = await Promise.all(inputs.map((x) => fn(x, weights)).map(read));
    expect(warm).toEqual(inTurn);
  });

  test('calls that follow from each other wait for what they need', async () => {
    const fn = compile((x: Tensor, y: Tensor) => x.mul(0.5).add(y).tanh(), { precision });
    const chain = async (pause: (x: Tensor) => Promise<unknown>): Promise<number[]> => {
      const made: Tensor[] = [];
      for (const x of inputs) {
        made.push(fn(made.at(-1) ?? x, x));
        await pause(made[made.length - 1]);
      }
      for (const x of made.slice(0, -1)) x.dispose();
      return read(made[made.length - 1]);
    };
    expect(await chain(async () => undefined)).toEqual(await chain((x) => x.ready()));
  });

  test('what is disposed in flight harms no other call, and nothing is left behind', async () => {
    const fn = layer();
    const expected = await read(fn(inputs[49], weights));
    const before = memory().tensors;
    const results = inputs.map((x) => fn(x, weights));
    for (const result of results.slice(0, 49)) result.dispose();
    expect(await read(results[49])).toEqual(expected);
    expect(memory().tensors).toBe(before);
  });
});
