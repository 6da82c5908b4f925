/**
 * How long each launch of a compiled function takes: it is run a few times under the profiler, and the median counts.
 *
 *     mediansOf(await timeLaunches(compilation, args, 10), data).launches       // [0.12, 0.03, 0.4]
 */
import { KilnError } from '../base/error.ts';
import { type LaunchTiming, observeLaunches } from '../runtime/profile.ts';
import type { Compilation } from './compilation.ts';
import { tensor } from './operations/creation.ts';
import { tree } from './pytree.ts';
import type { LaunchTimings, ReportData } from './report/data.ts';
import { tidy } from './session.ts';
import { Tensor } from './tensor.ts';

type Timed = Pick<LaunchTiming, 'program' | 'kernel' | 'step' | 'milliseconds'>;

/** Runs a compiled function and reports its launches. @throws KilnError as the call does, by rejection */
export async function timeLaunches(compilation: Compilation, args: readonly unknown[], runs: number): Promise<Timed[]> {
  const device = compilation.deviceOf(compilation.sign(undefined, args).arrays);
  const run = async (): Promise<void> => {
    const given = await withoutDonating(compilation, args);
    tidy(() => {
      compilation.call(undefined, given);
    });
    await device.synchronize();
  };
  await run(); // compiles, and warms caches
  const launches: Timed[] = [];
  const stop = observeLaunches((timing) => launches.push(timing));
  try {
    for (let i = 0; i < runs; i++) await run();
  } finally {
    stop();
  }
  return launches;
}

/**
 * The median of each launch of a program.
 * @throws KilnError `invalid_argument` when there are none of this program
 */
export function mediansOf(
  timed: readonly Timed[],
  { name, launches, prepareLaunches, kernels }: ReportData,
): Omit<LaunchTimings, 'compileMs'> {
  const times = launches.map((): number[] => []);
  for (const { program, kernel, step, milliseconds } of timed) {
    const launch = program === name ? launches[step] : undefined;
    if (launch && kernels[launch.kernel].name === kernel) times[step].push(milliseconds);
  }
  const runs = times.slice(prepareLaunches).reduce((least, list) => Math.min(least, list.length), Infinity);
  if (runs === 0) {
    throw new KilnError('invalid_argument', `report: the profile has no whole run of ${name} with these arguments`, {
      given: `launches of ${[...new Set(timed.map(({ program }) => program))].join(', ') || 'nothing'}`,
    });
  }
  return { runs: Number.isFinite(runs) ? runs : 0, launches: times.map(median) };
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

/** 0 for launches that were run before anything was timed. */
function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
