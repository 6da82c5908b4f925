/** The starts as rows that answer to the targets of issue 7, and as a table of all figures. */
import { summarize } from '../index.ts';
import { type BenchResult, type BenchRow, type BenchTable, limitRow, ratioRow } from '../result.ts';
import { formatBytes, formatMs } from '../table.ts';
import type { Run } from './child-process.ts';
import type { Measured } from './node.ts';
import type { Series } from './scene.ts';
import { type Mode, modes } from './start.ts';
import { titles } from './titles.ts';

/** A warm start may take so long, in milliseconds, and as long as its bytes take at so many bytes a millisecond. */
const [mostMs, bytesPerMs] = [10, 500_000];
/** How many times a cold start is as long, at least. */
const leastSpeedup = 20;

export interface Place {
  /** `Node`, or the browser with its version. */
  readonly name: string;
  readonly measured: readonly Measured[];
}

const modeTexts: Readonly<Record<Mode, string>> = {
  cold: 'cold compile',
  warm: 'warm',
  keyed: 'warm, with a key',
  baked: 'baked',
};

const medianOf = (runs: readonly Run[], figure: (run: Run) => number): number => summarize(runs.map(figure)).p50;

const spreadOf = (runs: readonly Run[], figure: (run: Run) => number): string => {
  const values = runs.map(figure);
  return `${formatMs(Math.min(...values))} to ${formatMs(Math.max(...values))} of ${runs.length}`;
};

const launchOf = ({ launch }: Run): number => launch;

/** Milliseconds that a warm start of so many bytes may take. */
export const allowedMs = (bytes: number): number => mostMs + bytes / bytesPerMs;

function targetRows(place: string, measured: Measured): BenchRow[] {
  const coldMs = medianOf(measured.cold.runs, launchOf);
  return (['warm', 'keyed', 'baked'] as const).flatMap((mode) => {
    const { workload, runs, bytes } = measured[mode];
    const [work, median] = [`${titles[workload]}, ${modeTexts[mode]}, ${place}`, medianOf(runs, launchOf)];
    const allowed = Number(allowedMs(bytes).toFixed(2));
    return [
      limitRow(`${work}: to the first launch`, spreadOf(runs, launchOf), median, allowed, ' ms'),
      ratioRow(`${work}: under cold`, `${formatMs(median)} against ${formatMs(coldMs)}`, coldMs / median, leastSpeedup),
    ];
  });
}

function figures(mode: Mode, { workload, runs, bytes }: Series): string[] {
  const times = [
    (run: Run) => run.imports,
    launchOf,
    (run: Run) => run.result,
    (run: Run) => run.upload,
    (run: Run) => run.total,
  ];
  return [
    titles[workload],
    modeTexts[mode],
    ...times.map((figure) => formatMs(medianOf(runs, figure))),
    formatBytes(bytes),
  ];
}

function tableOf({ name, measured }: Place): BenchTable {
  return {
    title: `Medians, ${name}`,
    columns: [
      'work',
      'start',
      'imports',
      'first launch',
      'first result',
      'copying arguments',
      'from the outside',
      'bytes',
    ],
    rows: measured.flatMap((one) => modes.map((mode) => figures(mode, one[mode]))),
  };
}

/** Of all programs that warm starts needed, those that were in the cache. */
function hitRow({ name, measured }: Place): BenchRow {
  const runs = measured.flatMap(({ warm, keyed }) => [...warm.runs, ...keyed.runs]);
  const hits = runs.reduce((sum, run) => sum + run.hits, 0);
  const all = hits + runs.reduce((sum, run) => sum + run.compiles, 0);
  return {
    work: `cache hits of warm starts, ${name}${name === 'Node' ? ', in a folder that was moved' : ''}`,
    measured: `${hits} of ${all} programs`,
    figure: `${((100 * hits) / all).toFixed(0)} %`,
    target: '100 %',
    met: hits === all && all > 0,
  };
}

export function startupResult(places: readonly Place[]): BenchResult {
  return {
    title: 'From the imports to the first launch',
    mode: 'fast',
    rows: places.flatMap((place) => [...place.measured.flatMap((one) => targetRows(place.name, one)), hitRow(place)]),
    tables: places.map(tableOf),
    notes: [
      'Each start is a fresh process, or a fresh page. First launch and first result count from after the imports, without ' +
        'the time of copying the arguments to the device, which stands beside them; from the outside is the whole process, ' +
        'or the whole time of the page. Bytes are those of the cache that holds nothing else, or of the artefact.',
      'Before anything was timed, every mode had given the same bytes as the cold compile. Warm starts compiled nothing, ' +
        'found all in a cache whose folder had been moved, and loaded no compiler; baked ones loaded nothing but the runtime.',
    ],
  };
}
