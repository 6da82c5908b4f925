/** What an ablation found, and the tables that show it: one for each graph, and one over all of them. */
import type { BenchTable } from '../result.ts';
import { formatBytes, formatCount, formatMs } from '../table.ts';

export interface Account {
  readonly kernels: number;
  readonly bytesMoved: number;
  readonly peakBytes: number;
  readonly flops: number;
  readonly compileMs: number;
}

export interface Figures extends Account {
  /** Milliseconds. */
  readonly run: number;
  /** Fastest run over that of the whole pipeline, timed in turn. */
  readonly ratio: number;
}

/** One thing left out; without figures it made no difference, or could not be left out. */
export interface Outcome {
  readonly name: string;
  readonly figures?: Figures;
  readonly failure?: string;
}

export interface Ablated {
  readonly name: string;
  readonly whole: Figures;
  readonly outcomes: readonly Outcome[];
}

const accountCells = ({ kernels, bytesMoved, peakBytes, flops, compileMs, run }: Figures): string[] => [
  String(kernels),
  formatBytes(bytesMoved),
  formatBytes(peakBytes),
  formatCount(flops),
  formatMs(compileMs),
  formatMs(run),
];

const times = (ratio: number): string => `${ratio.toFixed(2)}x`;

/** One graph: what changes it, against the whole pipeline. */
export function modelTable({ name, whole, outcomes }: Ablated): BenchTable {
  const same = outcomes.filter(({ figures, failure }) => !figures && !failure).map((outcome) => outcome.name);
  const rows = outcomes.flatMap(({ name: left, figures, failure }) => {
    if (failure) return [[left, failure, '', '', '', '', '', '']];
    return figures ? [[left, ...accountCells(figures), times(figures.ratio)]] : [];
  });
  return {
    title: name,
    columns: ['left out', 'kernels', 'bytes moved', 'peak bytes', 'FLOPs', 'compile', 'run', 'against whole'],
    rows: [['nothing', ...accountCells(whole), ''], ...rows],
    ...(same.length > 0 && { note: `No difference: ${same.join(', ')}.` }),
  };
}

const mean = (ratios: readonly number[]): number =>
  Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);

/** Geometric means over the graphs that a name makes a difference to, without it against with it. */
export function summaryTable(models: readonly Ablated[]): BenchTable {
  const names = models[0]?.outcomes.map(({ name }) => name) ?? [];
  const rows = names.map((name) => {
    const changed = models.flatMap(({ whole, outcomes }) => {
      const figures = outcomes.find((outcome) => outcome.name === name)?.figures;
      return figures ? [{ whole, figures }] : [];
    });
    const ratioOf = (key: Exclude<keyof Figures, 'ratio'>): string =>
      changed.length === 0 ? '' : times(mean(changed.map(({ whole, figures }) => figures[key] / whole[key])));
    const run = changed.length === 0 ? '' : times(mean(changed.map(({ figures }) => figures.ratio)));
    const shares = (['kernels', 'bytesMoved', 'peakBytes', 'flops', 'compileMs'] as const).map(ratioOf);
    return [name, `${changed.length} of ${models.length}`, ...shares, run];
  });
  return {
    title: 'Over all graphs',
    columns: ['left out', 'graphs it changes', 'kernels', 'bytes moved', 'peak bytes', 'FLOPs', 'compile', 'run'],
    rows,
    note: 'Without it against with it: geometric means over the graphs that it changes.',
  };
}
