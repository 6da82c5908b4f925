/** Figures as tables: times and what is reached of the machine on a graphics processor, counts on any adapter. */
import { bytesOf, flopsOf } from '../peers/work.ts';
import type { BenchResult, BenchRow, BenchTable } from '../result.ts';
import { formatMs } from '../table.ts';
import type { Blank, Figure } from './measure.ts';
import { rowsOf, type Scale } from './rows.ts';
import type { Started } from './session.ts';

export interface WebgpuFigures {
  /** `Chromium` or `Node, Dawn`. */
  readonly host: string;
  readonly adapter: string;
  readonly isSoftware: boolean;
  readonly scale: Scale;
  readonly runtimes: readonly Started[];
  readonly figures: readonly Figure[];
  readonly blanks: readonly Blank[];
}

const contestantOf = ({ peer, mode }: { readonly peer: string; readonly mode: string }): string =>
  mode === '' ? peer : `Kiln ${mode}`;

function table(all: WebgpuFigures, title: string, cell: (figure: Figure) => string, note: string): BenchTable {
  const contestants = [...new Set([...all.figures, ...all.blanks].map(contestantOf))];
  const rows = [...new Set(all.figures.map(({ row }) => row))];
  return {
    title,
    columns: ['work', ...contestants],
    rows: rows.map((row) => [
      row,
      ...contestants.map((contestant) => {
        const figure = all.figures.find((one) => one.row === row && contestantOf(one) === contestant);
        return figure ? cell(figure) : '—';
      }),
    ]),
    note,
  };
}

const countTable = (all: WebgpuFigures): BenchTable =>
  table(
    all,
    'What one call asks of WebGPU',
    ({ counts: { dispatches, submits } }) => `${dispatches} / ${submits}`,
    'Dispatches / submissions of a call after the first, counted at the interface. A dash: the runtime has no such operation, or fails at it.',
  );

function timeCell({ p25, p50, p75 }: Figure): string {
  if (p50 === undefined || p25 === undefined || p75 === undefined) return '—';
  return `${formatMs(p50)} ±${Math.round((50 * (p75 - p25)) / p50)} %`;
}

/** Kiln against each rival, row by row. */
function ratioRows({ figures }: WebgpuFigures): readonly BenchRow[] {
  return figures.flatMap((figure): BenchRow[] => {
    const kiln = figures.find(({ peer, mode, row }) => peer === 'kiln' && mode === 'fast' && row === figure.row);
    if (figure.peer === 'kiln' || !kiln?.p50 || !figure.p50) return [];
    const ratio = figure.p50 / kiln.p50;
    return [
      {
        work: `${figure.row}, against ${figure.peer}`,
        measured: `${formatMs(kiln.p50)} against ${formatMs(figure.p50)}`,
        figure: `${ratio.toFixed(2)}x`,
        target: 'at least 1x',
        met: ratio >= 1,
      },
    ];
  });
}

/** What is reached of the machine: TFLOP/s, or GB/s against a plain copy. */
function reached({ figures, scale }: WebgpuFigures): BenchTable {
  const works = new Map(rowsOf(scale).map(({ name, work }) => [name, work]));
  const rows = figures.flatMap((figure): string[][] => {
    const work = works.get(figure.row);
    if (figure.peer !== 'kiln' || !figure.p50 || !work) return [];
    const flops = flopsOf(work);
    const half = figure.mode.endsWith('float16') ? 0.5 : 1;
    const bytes = bytesOf(work);
    const rate = flops
      ? `${(flops / figure.p50 / 1e9).toFixed(2)} TFLOP/s`
      : bytes
        ? `${((half * bytes) / figure.p50 / 1e6).toFixed(0)} GB/s`
        : '—';
    const caller =
      figure.callerMs === undefined
        ? '—'
        : `${((1000 * figure.callerMs) / Math.max(1, figure.counts.dispatches)).toFixed(1)} µs`;
    return [[figure.row, figure.mode, rate, caller]];
  });
  return { title: 'What Kiln reaches', columns: ['work', 'mode', 'rate', 'caller, a kernel'], rows };
}

export function webgpuResult(all: WebgpuFigures): BenchResult {
  const timed = all.figures.some(({ p50 }) => p50 !== undefined);
  const names = all.runtimes.map(({ peer, name, features, absent }) =>
    absent === undefined ? `${name} (${features?.join(', ')})` : `${peer}: ${absent}`,
  );
  const failures = all.blanks.map(({ row, absent, ...who }) => `${row}, ${contestantOf(who)}: ${absent}`);
  return {
    title: `WebGPU, ${all.host}: ${all.adapter}`,
    mode: 'fast',
    rows: timed ? ratioRows(all) : [],
    tables: timed
      ? [
          table(
            all,
            'Time of a call',
            timeCell,
            'Medians, ± half of what lies between a quarter and three quarters of the samples.',
          ),
          reached(all),
          countTable(all),
        ]
      : [countTable(all)],
    notes: [
      `All runtimes in one ${all.host === 'Chromium' ? 'page' : 'process'}, on one adapter, after every result was held against double precision or each other: ${names.join('; ')}.`,
      ...(all.isSoftware
        ? ['A software adapter: sizes are small, and times would mean nothing; results and counts are what counts.']
        : []),
      ...(failures.length > 0 ? [`Not there:\n${failures.map((line) => `- ${line}`).join('\n')}`] : []),
    ],
  };
}
