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
import type { LaunchTimings, ReportData } from './report/data.ts';
import { timeLaunches } from './time-launches.ts';

export interface ReportOptions {
  /** Runs the function and shows the time of each kernel; the arguments must have data. Off unless given. */
  readonly profile?: boolean;
  /** Timed runs with `profile`, of which the median is shown; 10 unless given. */
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
 * @throws KilnError `invalid_argument` when `compiled` is no compiled function, `runs` is no positive integer, or with
 *   `profile` an argument has no data; otherwise as a call does; all by rejection
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
  { profile = false, runs = 10 }: ReportOptions = {},
): Promise<MadeReport> {
  if (!Number.isSafeInteger(runs) || runs < 1) {
    throw new KilnError('invalid_argument', 'report: runs', { given: String(runs), expected: 'a positive integer' });
  }
  const request = atLocation(currentLocation(), () => reportRequest(compilation, args, 'report'));
  const [compiled, page] = await Promise.all([
    compileInBackground(() => ({ ...request, report: { bindings: [], ...request.report, page: true } })),
    import('./report/index.ts'),
  ]);
  const data = page.withReadSources(compiled!.page!);
  const timings = profile
    ? {
        ...(await timeLaunches(compilation, args, { runs, launches: data.launches.length })),
        compileMs: compiled!.milliseconds,
      }
    : undefined;
  return { html: await page.drawPage(data, timings), data, timings };
}
