/** What a call costs when there is nothing to compute: a compiled function on tiny tensors, and one eager op. */
import { add, compile, type Tensor, tensor } from '../../index.ts';
import { summarize } from '../index.ts';
import { type BenchResult, limitRow } from '../result.ts';

const callsASample = 1000;

function microsecondsACall(call: () => void): number {
  const samples: number[] = [];
  for (let sample = 0; sample < 60; sample++) {
    const start = performance.now();
    for (let i = 0; i < callsASample; i++) call();
    if (sample >= 10) samples.push(((performance.now() - start) * 1000) / callsASample);
  }
  return summarize(samples).p50;
}

export async function callsCase(): Promise<BenchResult> {
  const [x, y] = [tensor([1, 2, 3, 4]), tensor([5, 6, 7, 8])];
  const compiled = compile((a: Tensor, b: Tensor) => a.mul(b).add(a));
  const [expected, actual] = [[6, 14, 24, 36], await compiled(x, y).array()];
  if (String(actual) !== String(expected)) throw new Error(`compiled tiny call: ${actual}, expected ${expected}`);
  await add(x, y).ready();
  const compiledCall = microsecondsACall(() => compiled(x, y).dispose());
  const eagerOp = microsecondsACall(() => add(x, y).dispose());
  return {
    title: 'Cost of a call on tiny tensors, dispose included',
    mode: 'fast',
    rows: [
      limitRow('compiled call, float32[4]', '', compiledCall, 5, ' µs'),
      limitRow('cached eager op, float32[4]', '', eagerOp, 10, ' µs'),
    ],
  };
}
