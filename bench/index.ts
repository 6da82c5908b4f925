/**
 * `kilnjs/bench`: measures one function eager and compiled, side by side in one process. Results are compared before
 * anything is timed; the two modes are timed in turn, so that a machine whose speed drifts treats both alike.
 *
 *     const report = await benchmark(step, [params, x, y], { warmup: 5, iterations: 50 });
 *     console.log(String(report));
 */
import { type CompileOptions, compile, KilnError, memory, resetPeakMemory, Tensor, tidy, tree } from '../index.ts';
import { benchmarkTable } from './table.ts';

/** How to measure. */
export interface BenchmarkOptions {
  /** Calls of each mode before timing; 10 unless given. */
  readonly warmup?: number;
  /** Timed calls of each mode; 50 unless given. */
  readonly iterations?: number;
  /** Samples that one call handles; the leading size of the last tensor argument unless given. */
  readonly batchSize?: number;
  /** What the report calls the function; its own name unless given. */
  readonly name?: string;
  /** Options for `compile`. Donation is not measured: a donated argument could not be passed again. */
  readonly compile?: Omit<CompileOptions, 'donate'>;
  /** Largest difference between the modes' results, relative to the largest magnitude; 1e-4 unless given. */
  readonly tolerance?: number;
  /** Told after each call how many of all calls are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** The figures of one mode. Times are milliseconds a call. */
export interface BenchmarkRow {
  readonly mode: 'eager' | 'compiled';
  readonly batchSize: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  /** Samples a second: batch size over mean. */
  readonly throughput: number;
  /** Most bytes of device memory held during a call, arguments included. */
  readonly peakBytes: number;
  /**
   * Milliseconds of tracing and compiling before the first result; for eager, of compiling its single ops. What is in the
   * cache is not compiled: `await init({ cache: false })` before, or KILN_CACHE=off, measures cold.
   */
  readonly compileMs: number;
}

export interface BenchmarkReport {
  readonly name: string;
  readonly rows: readonly [eager: BenchmarkRow, compiled: BenchmarkRow];
  /** Mean of eager over mean of compiled. */
  readonly speedup: number;
  /** Calls after which compiling has paid for itself; Infinity when it never does. */
  readonly breakEvenCalls: number;
  toString(): string;
}

/**
 * Measures `fn(...args)` eager and compiled.
 * @param fn a function as `compile` takes it; not yet compiled
 * @param args its arguments, used again for each call
 * @throws KilnError `invalid_argument` when a count is not a positive integer, or the two modes disagree
 */
export async function benchmark<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  args: A,
  options: BenchmarkOptions = {},
): Promise<BenchmarkReport> {
  const { warmup = 10, iterations = 50, tolerance = 1e-4, name = fn.name || 'function', onProgress } = options;
  for (const [key, count] of Object.entries({ warmup, iterations })) {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new KilnError('invalid_argument', `benchmark: ${key}`, {
        given: String(count),
        expected: 'a positive integer',
      });
    }
  }
  const batchSize = options.batchSize ?? leadingSize(args);
  const compiled = compile(fn, options.compile);
  const modes = { eager: fn, compiled };
  const total = 2 * (warmup + iterations);
  let done = 0;

  const first = {
    eager: await firstCall(modes.eager, args),
    compiled: await firstCall(modes.compiled, args),
  };
  assertSameResults(name, first.eager.values, first.compiled.values, tolerance);

  const times: Record<'eager' | 'compiled', number[]> = { eager: [], compiled: [] };
  const peaks = { eager: 0, compiled: 0 };
  for (let i = 0; i < warmup + iterations; i++) {
    for (const mode of ['eager', 'compiled'] as const) {
      const { ms, peakBytes } = await timedCall(modes[mode], args);
      if (i >= warmup) times[mode].push(ms);
      peaks[mode] = Math.max(peaks[mode], peakBytes);
      onProgress?.(++done, total);
    }
  }
  const row = (mode: 'eager' | 'compiled'): BenchmarkRow => {
    const statistics = summarize(times[mode]);
    return {
      mode,
      batchSize,
      ...statistics,
      throughput: (batchSize * 1000) / statistics.mean,
      peakBytes: peaks[mode],
      compileMs: Math.max(0, first[mode].ms - statistics.mean),
    };
  };
  return report(name, row('eager'), row('compiled'));
}

function report(name: string, eager: BenchmarkRow, compiled: BenchmarkRow): BenchmarkReport {
  const saved = eager.mean - compiled.mean;
  const cost = compiled.compileMs - eager.compileMs;
  const breakEvenCalls = cost <= 0 ? 0 : saved > 0 ? Math.ceil(cost / saved) : Number.POSITIVE_INFINITY;
  const rows = [eager, compiled] as const;
  const speedup = eager.mean / compiled.mean;
  return {
    name,
    rows,
    speedup,
    breakEvenCalls,
    toString: () => benchmarkTable({ name, rows, speedup, breakEvenCalls }),
  };
}

/** Mean and percentiles (nearest rank) of times. */
export function summarize(times: readonly number[]): { mean: number; p50: number; p95: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return { mean: sorted.reduce((sum, t) => sum + t, 0) / sorted.length, p50: rank(0.5), p95: rank(0.95) };
}

const tensorsOf = (value: unknown): Tensor[] => tree.leaves(value).filter((leaf) => leaf instanceof Tensor);

function leadingSize(args: readonly unknown[]): number {
  const batched = args.flatMap(tensorsOf).filter((tensor) => tensor.ndim > 0);
  return batched.at(-1)?.shape[0] ?? 1;
}

type AnyFunction<A extends readonly unknown[]> = (...args: A) => unknown;

async function firstCall<A extends readonly unknown[]>(fn: AnyFunction<A>, args: A) {
  const start = performance.now();
  const outputs = tidy(() => tensorsOf(fn(...args)));
  await Promise.all(outputs.map((output) => output.ready()));
  const ms = performance.now() - start;
  const values = await Promise.all(outputs.map(async (output) => Array.from(await output.data(), Number)));
  for (const output of outputs) output.dispose();
  return { ms, values };
}

async function timedCall<A extends readonly unknown[]>(fn: AnyFunction<A>, args: A) {
  resetPeakMemory();
  const start = performance.now();
  const outputs = tidy(() => tensorsOf(fn(...args)));
  await Promise.all(outputs.map((output) => output.ready()));
  const ms = performance.now() - start;
  const { peakBytes } = memory();
  for (const output of outputs) output.dispose();
  return { ms, peakBytes };
}

function assertSameResults(
  name: string,
  eager: readonly ArrayLike<number>[],
  compiled: readonly ArrayLike<number>[],
  tolerance: number,
): void {
  eager.forEach((expected, output) => {
    const actual = compiled[output];
    let scale = Number.MIN_VALUE;
    for (let i = 0; i < expected.length; i++)
      if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]));
    for (let i = 0; i < expected.length; i++) {
      if (Object.is(expected[i], actual[i]) || Math.abs(expected[i] - actual[i]) <= tolerance * scale) continue;
      throw new KilnError('invalid_argument', `benchmark: eager and compiled ${name} disagree`, {
        given: `output ${output}, element ${i}: eager ${expected[i]}, compiled ${actual[i]}`,
        expected: `a difference of at most ${tolerance} of the largest magnitude, ${scale}`,
        hint: 'a function that draws its own random numbers or reads a counter can not be compared; pass a key instead',
      });
    }
  });
}
