/** Results of benchmarks as tables: for a terminal, and as the page `docs/performance.md`. */
import Table from 'cli-table3';
import type { BenchResult, BenchRow, BenchTable } from './result.ts';

/** A result and what it was measured on. */
export interface Recorded extends BenchResult {
  readonly machine: string;
}

const verdict = (row: BenchRow): string => (row.met === undefined ? '' : row.met ? 'met' : 'MISSED');
const columns = ['work', 'measured', 'figure', 'target', ''] as const;
const cells = (row: BenchRow): string[] => [row.work, row.measured, row.figure, row.target ?? '', verdict(row)];

/** The rows that answer to targets as one table, then those that do not. */
function tablesOf({ title, rows, tables = [] }: BenchResult): readonly BenchTable[] {
  return rows.length > 0 ? [{ title, columns, rows: rows.map(cells) }, ...tables] : tables;
}

export function terminalText(result: BenchResult): string {
  const tables = tablesOf(result).map(({ title, columns: head, rows, note }) => {
    const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
    for (const row of rows) table.push([...row]);
    return `${title} [${result.mode}]\n${table}${note ? `\n${note}` : ''}`;
  });
  return [...tables, ...(result.notes ?? []), ''].join('\n');
}

const line = (parts: readonly string[]): string => `| ${parts.join(' | ')} |`;

function markdownTable({ columns: head, rows, note }: BenchTable): string[] {
  return [line(head), line(head.map(() => '---')), ...rows.map(line), '', ...(note ? [note, ''] : [])];
}

/** A result as a section of a page. */
export function markdownSection(result: Recorded): string {
  return [
    `## ${result.title}`,
    '',
    `Mode: \`${result.mode}\`. Measured on: ${result.machine}.`,
    '',
    ...(result.notes ?? []).flatMap((note) => [note, '']),
    ...(result.picture ? [`![${result.picture.shows}](${result.picture.file})`, ''] : []),
    ...tablesOf(result).flatMap((table) => [
      ...(table.title === result.title ? [] : [`### ${table.title}`, '']),
      ...markdownTable(table),
    ]),
  ].join('\n');
}

/** The page, one section a result. */
export function markdownPage(results: readonly Recorded[]): string {
  return [
    '# Performance',
    '',
    'Written by `npm run bench -- --write`; with names of benchmarks, such as `npm run bench -- ablation --write`, those',
    'sections are written anew. Rows that name other runtimes need `npm run bench:peers:install` first. Every row is a ratio',
    'or a median within one run, outputs compared before anything is timed. Shared machines are noisy: read the ratios, not',
    'the milliseconds.',
    '',
    ...results.map(markdownSection),
  ].join('\n');
}
