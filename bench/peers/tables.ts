/** A run's figures as tables: what each target says, and everybody's times. */
import type { BenchTable } from '../result.ts';
import { formatBytes, formatMs } from '../table.ts';
import { explanationOf } from './explanations.ts';
import type { PeerFigures } from './figures.ts';
import { type Peer, peers, type Threads, threadCounts } from './hosts.ts';
import { type Row, rows } from './rows.ts';
import type { Contestant, Figures } from './schedule.ts';
import {
  type Configuration,
  configurationName,
  configurationsOf,
  shareOfTarget,
  type Verdict,
  verdictsOf,
} from './targets.ts';
import { batchOf, bytesOf, flopsOf } from './work.ts';

const figureText = ({ figure, unit }: Verdict): string => `${figure.toFixed(2)}${unit}`;
const targetText = ({ target, unit, most }: Verdict): string =>
  `at ${most ? 'most' : 'least'} ${Number(target.toFixed(2))}${unit}`;
const percent = (share: number): string => `${Math.max(1, Math.round((1 - share) * 100))} %`;

const sameConfiguration = (a: Configuration, b: Configuration): boolean =>
  a.threads === b.threads && a.simd === b.simd && a.mode === b.mode;

/** What a target is about, the same for all configurations. */
const subject = ({ against }: Verdict): string => against.replace(/, a plain .*/, '');

function verdictLine(row: Row, about: readonly Verdict[], configurations: readonly Configuration[]): string[] {
  const targets = [...new Set(about.map(targetText))];
  const cells = configurations.map((configuration) => {
    const verdict = about.find((v) => sameConfiguration(v, configuration));
    if (!verdict) return '';
    return verdict.met ? figureText(verdict) : `**${figureText(verdict)}** (−${percent(shareOfTarget(verdict))})`;
  });
  return [row.name, subject(about[0]), targets.join(' to '), ...cells];
}

/** A line for each row and what it is held against, a column for each configuration of Kiln. */
export function verdictTable({ figures }: PeerFigures): BenchTable {
  const verdicts = verdictsOf(figures);
  const configurations = configurationsOf(figures);
  const lines = rows.flatMap((row) => {
    const ofRow = verdicts.filter((verdict) => verdict.row === row.name);
    return [...new Set(ofRow.map(subject))].map((about) =>
      verdictLine(
        row,
        ofRow.filter((verdict) => subject(verdict) === about),
        configurations,
      ),
    );
  });
  const met = verdicts.filter((verdict) => verdict.met).length;
  return {
    title: `Targets: ${met} of ${verdicts.length} met`,
    columns: ['work', 'against', 'target', ...configurations.map(configurationName)],
    rows: lines,
    note: 'Bold: missed, and by how much of the target. Ratios are of medians; where a target has two figures, the greater is that of relaxed SIMD.',
  };
}

/** Targets that are missed, the worst first. */
export function missed({ figures }: PeerFigures): Verdict[] {
  return verdictsOf(figures)
    .filter((verdict) => !verdict.met)
    .sort((a, b) => shareOfTarget(a) - shareOfTarget(b));
}

export function missedLine(verdict: Verdict): string {
  const figure = `${figureText(verdict)}, target ${targetText(verdict)}, missed by ${percent(shareOfTarget(verdict))}`;
  const why = explanationOf(verdict);
  return `${verdict.row} against ${verdict.against} (${configurationName(verdict)}): ${figure}${why ? `. ${why}` : ''}`;
}

/** A median, and the quarter and three quarters of the samples around it. */
export const timeText = ({ p25, p50, p75 }: Figures): string =>
  `${formatMs(p50)} ±${Math.round((50 * (p75 - p25)) / p50)} %`;

const columnOf = ({ peer, mode, simd }: Contestant): string =>
  peer === 'kiln' ? `Kiln ${mode}${simd === 'relaxed' ? ', relaxed' : ''}` : peer;

/** With as many threads, and those that know no more than one. */
function presentFor(figures: readonly Figures[], threads: Threads): readonly Figures[] {
  const several = new Set(figures.filter((f) => f.threads > 1).map(({ peer }) => peer));
  const alone = (f: Figures): boolean => threads > 1 && f.peer !== 'kiln' && !several.has(f.peer);
  const present = figures.filter((f) => f.threads === threads || alone(f));
  return present.some((f) => f.peer === 'kiln') ? present : figures.filter((f) => f.threads === threads);
}

function columnsFor(present: readonly Figures[]): string[] {
  const ofPeer = (peer: Peer): string[] => [...new Set(present.filter((f) => f.peer === peer).map(columnOf))].sort();
  return peers.flatMap(ofPeer);
}

/** Everybody's times with so many threads. */
export function timeTable({ figures, blanks }: PeerFigures, threads: Threads): BenchTable | undefined {
  const present = presentFor(figures, threads);
  const columns = columnsFor(present);
  if (columns.length === 0) return undefined;
  const lines = rows.flatMap((row) => {
    const ofRow = present.filter((f) => f.row === row.name);
    if (ofRow.length === 0) return [];
    const cells = columns.map((column) => {
      const found = ofRow.find((f) => columnOf(f) === column);
      if (found) return timeText(found) + (found.threads < threads ? ', 1 thread' : '');
      return blanks.some((b) => b.row === row.name && columnOf(b) === column) ? '–' : '';
    });
    return [[row.name, ...cells]];
  });
  return {
    title: `Time of a call, ${threads} thread${threads === 1 ? '' : 's'}`,
    columns: ['work', ...columns],
    rows: lines,
    note: 'Median of the samples, ± half of what lies between a quarter and three quarters of them. A dash: the runtime has no such operation.',
  };
}

export const timeTables = (result: PeerFigures): BenchTable[] =>
  threadCounts.flatMap((threads) => timeTable(result, threads) ?? []);

const rateText = (row: Row, ms: number): string => {
  const [flops, bytes] = [flopsOf(row.work), bytesOf(row.work)];
  if (flops !== undefined) return `${(flops / ms / 1e6).toFixed(1)} GFLOP/s`;
  if (bytes !== undefined) return `${(bytes / ms / 1e6).toFixed(1)} GB/s`;
  return `${Math.round((batchOf(row.work) * 1000) / ms)}/s`;
};

/** The columns of `kilnjs/bench` for every contestant of every row: long, for a terminal. */
export function detailTable({ figures }: PeerFigures): BenchTable {
  return {
    title: 'All figures',
    columns: [
      'work',
      'runtime',
      'batch',
      'mean',
      'p50',
      'p95',
      'spread',
      'best',
      'throughput',
      'peak memory',
      'compile',
    ],
    rows: figures.map((f) => {
      const row = rows.find(({ name }) => name === f.row)!;
      const { mean, p25, p50, p75, p95, best, peakBytes, compileMs } = f;
      return [
        f.row,
        `${columnOf(f)}, ${f.threads}`,
        String(batchOf(row.work)),
        formatMs(mean),
        formatMs(p50),
        formatMs(p95),
        formatMs(p75 - p25),
        formatMs(best),
        rateText(row, p50),
        peakBytes === undefined ? '' : formatBytes(peakBytes),
        formatMs(compileMs),
      ];
    }),
  };
}
