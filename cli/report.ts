/** `kiln report FILE`: one HTML page for each exported function, to look at in a browser. */
import { writeFileSync } from 'node:fs';
import { parse } from 'node:path';
import { formatBytes, formatCount } from '../bench/table.ts';
import { compile, KilnError } from '../index.ts';
import { compilations } from '../tracer/compiled-functions.ts';
import { launchesARun } from '../tracer/report/data.ts';
import { type MadeReport, makeReport } from '../tracer/report.ts';
import { startDevice } from './device.ts';
import { argumentsWithData, loadEntries } from './entries.ts';
import { faint } from './style.ts';

export interface ReportFileOptions {
  readonly output: string;
  /** Only this entry. */
  readonly entry?: string;
  /** Name of the device to run on. */
  readonly device?: string;
  readonly profile: boolean;
}

/** @throws KilnError `cli_usage` when the file offers no functions, not that entry, or the page can not be written */
export async function reportFile(file: string, { output, entry, profile, device }: ReportFileOptions): Promise<void> {
  await startDevice(device);
  const entries = await loadEntries(file, entry);
  for (const { name, fn, args } of entries) {
    const compiled = compile(fn, { name });
    const made = await makeReport(compilations.get(compiled)!, profile ? argumentsWithData(args) : args, { profile });
    const path = entries.length === 1 ? output : pathFor(output, name);
    write(path, made.html);
    console.log(`${path} ${faint(`(${formatBytes(Buffer.byteLength(made.html))})`)}  ${summary(name, made)}`);
  }
}

/** `report-step.html` for `report.html`: each entry has a page of its own. */
function pathFor(output: string, name: string): string {
  const { dir, name: base, ext } = parse(output);
  const part = name.replace(/[^\w.-]/g, '_');
  return `${dir && `${dir}/`}${base}-${part}${ext}`;
}

function write(path: string, html: string): void {
  try {
    writeFileSync(path, html);
  } catch (cause) {
    throw new KilnError('cli_usage', `${path} can not be written`, { given: String(cause), cause });
  }
}

function summary(name: string, { data, timings }: MadeReport): string {
  const ops = data.traced.reduce((sum, func) => sum + func.ops.length, 0);
  const total = (of: 'bytesBefore' | 'bytesAfter' | 'flops'): number =>
    data.groups.reduce((sum, group) => sum + group[of] * launchesARun(data, group), 0);
  const run = timings?.launches.reduce((sum, milliseconds) => sum + milliseconds, 0);
  const launches = data.launches.length - data.prepareLaunches;
  return [
    `${name}: ${formatCount(ops)} ops in ${formatCount(launches)} ${launches === 1 ? 'launch' : 'launches'}`,
    `${formatBytes(total('bytesBefore'))} of traffic became ${formatBytes(total('bytesAfter'))}`,
    `${formatCount(total('flops'))} FLOPs`,
    `${formatBytes(data.memory.footprint.peak)} at most`,
    ...(run === undefined ? [] : [`${run.toFixed(3)} ms a run`]),
  ].join(', ');
}
