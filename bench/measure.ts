/** Timing of several ways to do one thing, in turn within one run, so that a drifting machine treats all alike. */
import { summarize } from './index.ts';

export interface Contestant {
  readonly name: string;
  /** Does the work once; its promise, if any, is awaited. */
  run(): unknown;
}

export interface Measured {
  readonly name: string;
  /** Milliseconds. */
  readonly median: number;
  readonly best: number;
  readonly p95: number;
}

/** Runs the contestants in turn, `rounds` times after `warmup` rounds that are not counted. */
export async function measureInTurn(
  contestants: readonly Contestant[],
  { rounds = 30, warmup = 10 }: { readonly rounds?: number; readonly warmup?: number } = {},
): Promise<Measured[]> {
  const times = contestants.map((): number[] => []);
  for (let round = 0; round < warmup + rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      const start = performance.now();
      await contestant.run();
      if (round >= warmup) times[index].push(performance.now() - start);
    }
  }
  return contestants.map(({ name }, index) => {
    const { p50, p95 } = summarize(times[index]);
    return { name, median: p50, best: Math.min(...times[index]), p95 };
  });
}

/** Throws when two results differ by more than `tolerance` of the largest magnitude: nothing wrong is ever timed. */
export function assertClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = 1e-4,
): void {
  if (actual.length !== expected.length)
    throw new Error(`${name}: ${actual.length} elements, expected ${expected.length}`);
  let scale = Number.MIN_VALUE;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i] - expected[i]) <= tolerance * scale)) {
      throw new Error(`${name}: element ${i} is ${actual[i]}, expected ${expected[i]} within ${tolerance} of ${scale}`);
    }
  }
}
