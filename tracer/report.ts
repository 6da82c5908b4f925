/**
 * The report page of a compiled function: what it is made of is collected where the compiler runs, then drawn here.
 * The drawing (`tracer/report/`) is loaded when the first report is made.
 *
 *     writeFileSync('report.html', await report(step, [params, x, y], { profile: true }));
 */
import { KilnError } from '../base/error.ts';
import type { Compilation } from './compilation.ts';
import type { CompiledMembers } from './compile.ts';
import { compilations } from './compiled-functions.ts';
import { compileInBackground } from './compiler-client.ts';
import { reportRequest } from './inspect.ts';
import { atLocation, currentLocation } from './location.ts';
import { describe } from './outputs.ts';
import type { Profile } from './profile.ts';
import type { LaunchTimings, ReportData } from './report/data.ts';
import { mediansOf, timeLaunches } from './time-launches.ts';

export interface ReportOptions {
  /**
   * Shows the time of each kernel: of runs made for it, for which the arguments must have data, or of those in what
   * `profile` returned. Off unless given.
   */
  readonly profile?: boolean | Pick<Profile<unknown>, 'launches'>;
  /** Timed runs with `profile: true`, of which the median is shown; 10 unless given. */
  readonly runs?: number;
}

export interface MadeReport {
  readonly html: string;
  readonly data: ReportData;
  readonly timings: LaunchTimings | undefined;
}

/**
 * The program of `compiled` for these arguments (values or specs) as one HTML page; the same as `compiled.report(...)`,
 * with options.
 * @throws KilnError `invalid_argument` when `compiled` is no compiled function, an option does not exist, `runs` is no
 *   positive integer, with `profile: true` an argument has no data, or a profile holds no run of it; otherwise as a
 *   call does; all by rejection
 */
export async function report<A extends readonly unknown[]>(
  compiled: CompiledMembers<A>,
  args: Readonly<Parameters<CompiledMembers<A>['report']>>,
  options: ReportOptions = {},
): Promise<string> {
  const compilation = compilations.get(compiled);
  if (!compilation) {
    throw new KilnError('invalid_argument', 'report: the first argument is no compiled function', {
      given: describe(compiled),
      expected: 'what compile(fn) returns',
      location: currentLocation(),
    });
  }
  return (await makeReport(compilation, args, options)).html;
}

export async function makeReport(
  compilation: Compilation,
  args: readonly unknown[],
  options: ReportOptions = {},
): Promise<MadeReport> {
  for (const key of Object.keys(options)) {
    if (key !== 'profile' && key !== 'runs') {
      throw new KilnError('invalid_argument', `report: option ${key}`, { expected: 'profile, runs' });
    }
  }
  const { profile = false, runs = 10 } = options;
  if (!Number.isSafeInteger(runs) || runs < 1) {
    throw new KilnError('invalid_argument', 'report: runs', { given: String(runs), expected: 'a positive integer' });
  }
  if (typeof profile !== 'boolean' && !Array.isArray(profile?.launches)) {
    throw new KilnError('invalid_argument', 'report: profile', {
      given: describe(profile),
      expected: 'true, false or what profile(fn) returned',
    });
  }
  const request = atLocation(currentLocation(), () => reportRequest(compilation, args, 'report'));
  const [compiled, page] = await Promise.all([
    compileInBackground(() => ({ ...request, report: { bindings: [], ...request.report, page: true } })),
    import('./report/index.ts'),
  ]);
  const data = page.withReadSources(compiled!.page!);
  const given = typeof profile === 'boolean' ? undefined : profile.launches;
  const timed = profile === true ? await timeLaunches(compilation, args, runs) : given;
  const timings = timed ? { ...mediansOf(timed, data), compileMs: compiled!.milliseconds } : undefined;
  return { html: await page.drawPage(data, timings), data, timings };
}
