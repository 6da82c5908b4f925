/**
 * `profile(fn)`: where the time goes, launch by launch. Each launch is attributed to the user's line that was running;
 * launches of compiled functions also to the lines of the ops they compute.
 *
 *     const { text, trace } = await profile(() => step(params, x, y).loss.item());
 *     console.log(text);                       // a table
 *     writeFileSync('trace.json', trace);      // for chrome://tracing or Perfetto
 */
import { SourceLocation } from '../base/location.ts';
import { type LaunchTiming, observeLaunches } from '../runtime/profile.ts';
import { devicesInUse } from '../runtime/session.ts';
import { compileInBackground } from './compiler-client.ts';
import { sourcesNamed } from './program-cache.ts';

/** Frames of the stack that are looked through for the user's line. */
const deepest = 64;

/** A launch and the user's line that was running, empty where it ran later from the queue. */
export interface ProfiledLaunch extends LaunchTiming {
  readonly line: string;
}

export interface Profile<T> {
  /** What the function returned, awaited. */
  readonly result: T;
  readonly launches: readonly ProfiledLaunch[];
  /** A table by kernel and line, slowest first. */
  readonly text: string;
  /** Chrome trace events as JSON. */
  readonly trace: string;
  toString(): string;
}

/**
 * Runs `body`, waits for its result and for every launch, and accounts for them.
 * @throws whatever `body` throws
 */
export async function profile<T>(body: () => T): Promise<Profile<Awaited<T>>> {
  // What was queued before is none of the body's work.
  for (const device of devicesInUse()) await device.synchronize();
  const launches: ProfiledLaunch[] = [];
  const depth = Error.stackTraceLimit;
  Error.stackTraceLimit = deepest; // a launch is far below the user's line
  const stop = observeLaunches((timing) => {
    const { location = SourceLocation.capture(), ...launch } = timing;
    launches.push({ ...launch, line: location.toString() });
  });
  try {
    const result = await body();
    for (const device of devicesInUse()) await device.synchronize();
    const text = table(launches, await opsByKernel(launches));
    return { result, launches, text, trace: chromeTrace(launches), toString: () => text };
  } finally {
    stop();
    Error.stackTraceLimit = depth;
  }
}

/** For each program and kernel, the ops it computes with their lines, as far as they are known. */
async function opsByKernel(launches: readonly ProfiledLaunch[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const name of new Set(launches.map(({ program }) => program))) {
    for (const source of sourcesNamed(name)) {
      const compiled = await compileInBackground(() => source.requestFor({ bindings: [] }));
      for (const { kernel, ops } of compiled?.report?.groups ?? []) {
        const key = `${name}/${kernel}`;
        found.set(key, [...new Set([...(found.get(key) ?? []), ...ops])]);
      }
    }
  }
  return found;
}

interface Row {
  readonly program: string;
  readonly kernel: string;
  readonly line: string;
  calls: number;
  milliseconds: number;
}

/** Ops listed under a row; the rest is counted. */
const mostOps = 6;

function table(launches: readonly ProfiledLaunch[], ops: ReadonlyMap<string, readonly string[]>): string {
  const rows = new Map<string, Row>();
  let total = 0;
  for (const { program, kernel, line, milliseconds } of launches) {
    const key = `${program}/${kernel}@${line}`;
    const row = rows.get(key) ?? { program, kernel, line, calls: 0, milliseconds: 0 };
    row.calls++;
    row.milliseconds += milliseconds;
    total += milliseconds;
    rows.set(key, row);
  }
  const lines = [`${launches.length} launches, ${total.toFixed(3)} ms`, '  total ms   share   calls   mean ms  kernel'];
  for (const row of [...rows.values()].sort((a, b) => b.milliseconds - a.milliseconds)) {
    const share = total > 0 ? (100 * row.milliseconds) / total : 0;
    const cells = [
      row.milliseconds.toFixed(3).padStart(10),
      `${share.toFixed(1)} %`.padStart(7),
      String(row.calls).padStart(7),
      (row.milliseconds / row.calls).toFixed(4).padStart(9),
    ];
    lines.push(`${cells.join(' ')}  ${row.program}/${row.kernel}${row.line && ` called at ${row.line}`}`);
    const computed = ops.get(`${row.program}/${row.kernel}`) ?? [];
    for (const op of computed.slice(0, mostOps)) lines.push(`${' '.repeat(40)}${op}`);
    if (computed.length > mostOps) lines.push(`${' '.repeat(40)}and ${computed.length - mostOps} more`);
  }
  return lines.join('\n');
}

/** Complete events of the Trace Event Format, in microseconds. */
const chromeTrace = (launches: readonly ProfiledLaunch[]): string =>
  JSON.stringify({
    traceEvents: launches.map(({ device, program, kernel, step, start, milliseconds, flops, bytes, line }) => ({
      name: kernel,
      cat: program,
      ph: 'X',
      ts: start * 1000,
      dur: milliseconds * 1000,
      pid: 1,
      tid: 1,
      args: { device, step, flops, bytes, line },
    })),
  });
