/** The table of a benchmark, eager beside compiled, as text for a terminal. */
import Table from 'cli-table3';
import type { BenchmarkReport, BenchmarkRow } from './index.ts';

/** Milliseconds with three digits that matter, such as `0.0123 ms`, `12.3 ms`, `1.23 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  if (ms < 0.1) return `${(ms * 1000).toPrecision(3)} µs`;
  return `${ms.toPrecision(3)} ms`;
}

/** Bytes in binary units, such as `1.21 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${units[power]}`;
}

/** A count with a thousands separator. */
export const formatCount = (count: number): string =>
  Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');

const cells = (row: BenchmarkRow): string[] => [
  row.mode,
  formatCount(row.batchSize),
  formatMs(row.mean),
  formatMs(row.p50),
  formatMs(row.p95),
  `${formatCount(row.throughput)}/s`,
  formatBytes(row.peakBytes),
  formatMs(row.compileMs),
];

/** Two rows and a sentence on when compiling pays. */
export function benchmarkTable(report: Omit<BenchmarkReport, 'toString'>): string {
  const table = new Table({
    head: ['mode', 'batch', 'mean', 'p50', 'p95', 'throughput', 'peak memory', 'compile'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  for (const row of report.rows) table.push(cells(row));
  const { breakEvenCalls, speedup } = report;
  const paid =
    breakEvenCalls === 0
      ? 'compiling has paid for itself with the first call'
      : Number.isFinite(breakEvenCalls)
        ? `compiling has paid for itself after ${formatCount(breakEvenCalls)} call${breakEvenCalls === 1 ? '' : 's'}`
        : 'compiling does not pay for itself here';
  return `${report.name}\n${table.toString()}\ncompiled is ${speedup.toFixed(2)}x as fast; ${paid}`;
}
