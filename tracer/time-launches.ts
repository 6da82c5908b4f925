/**
 * How long each launch of a compiled function takes: it is run a few times under the profiler, and the median counts.
 *
 *     const { launches } = await timeLaunches(compilation, args, { runs: 10, launches: 3 });   // [0.12, 0.03, 0.4]
 */
import { internalError } from '../base/error.ts';
import { observeLaunches } from '../runtime/profile.ts';
import { deviceNamed } from '../runtime/session.ts';
import type { Compilation } from './compilation.ts';
import { tensor } from './operations/creation.ts';
import { tree } from './pytree.ts';
import type { LaunchTimings } from './report/data.ts';
import { tidy } from './session.ts';
import { Tensor } from './tensor.ts';

export interface TimingOptions {
  readonly runs: number;
  /** Launches of the program. */
  readonly launches: number;
}

/** @throws KilnError as the call does, by rejection */
export async function timeLaunches(
  compilation: Compilation,
  args: readonly unknown[],
  { runs, launches }: TimingOptions,
): Promise<Omit<LaunchTimings, 'compileMs'>> {
  const device = deviceNamed(compilation.options.device);
  const run = async (): Promise<void> => {
    const given = await withoutDonating(compilation, args);
    tidy(() => {
      compilation.call(undefined, given);
    });
    await device.synchronize();
  };
  await run(); // compiles, and warms caches
  const times = Array.from({ length: launches }, (): number[] => []);
  const stop = observeLaunches(({ program, step, milliseconds }) => {
    if (program === compilation.options.name) times[step]?.push(milliseconds);
  });
  try {
    for (let i = 0; i < runs; i++) await run();
  } finally {
    stop();
  }
  if (times.some((list) => list.length !== runs)) throw internalError('a launch of the report was not timed');
  return { runs, launches: times.map(median) };
}

/** The arguments with copies of those that the call gives up. */
async function withoutDonating({ options }: Compilation, args: readonly unknown[]): Promise<unknown[]> {
  return Promise.all(
    args.map(async (arg, position) => {
      if (!options.isDonated(position)) return arg;
      const leaves: readonly unknown[] = tree.leaves(arg);
      const copies = await Promise.all(
        leaves.map(async (leaf) =>
          leaf instanceof Tensor ? tensor(await leaf.data(), { dtype: leaf.dtype, shape: leaf.shape }) : leaf,
        ),
      );
      let next = 0;
      return tree.map(() => copies[next++], arg);
    }),
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
