/**
 * `npm run bench`: runs the project's benchmarks, each in a process of its own so that none inherits the other's memory,
 * and prints their tables; with `--write`, also writes `docs/performance.md` and `docs/performance.json`. Names after `--`
 * select cases. A wrong result ends the run.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { callsCase } from './cases/calls.ts';
import { chainCase } from './cases/chain.ts';
import { coldStartCase } from './cases/cold-start.ts';
import { kernelsCase } from './cases/kernels.ts';
import { matmulCase } from './cases/matmul.ts';
import { trainingStepCase } from './cases/training-step.ts';
import { machine } from './measure.ts';
import type { BenchResult, BenchRow } from './result.ts';

const cases: Readonly<Record<string, () => Promise<BenchResult>>> = {
  training: trainingStepCase,
  chain: chainCase,
  matmul: matmulCase,
  kernels: kernelsCase,
  calls: callsCase,
  cold: coldStartCase,
};

const verdict = (row: BenchRow): string => (row.met === undefined ? '' : row.met ? 'met' : 'MISSED');
const columns = ['work', 'measured', 'figure', 'target', ''] as const;
const cells = (row: BenchRow): string[] => [row.work, row.measured, row.figure, row.target ?? '', verdict(row)];

function terminalTable(result: BenchResult): string {
  const table = new Table({ head: [...columns], style: { head: [], border: [], compact: true } });
  for (const row of result.rows) table.push(cells(row));
  return `${result.title} [${result.mode}]\n${table}${(result.notes ?? []).map((note) => `\n${note}`).join('')}\n`;
}

function markdown(results: readonly BenchResult[]): string {
  const line = (parts: readonly string[]): string => `| ${parts.join(' | ')} |`;
  const sections = results.map((result) =>
    [
      `## ${result.title}`,
      '',
      `Mode: \`${result.mode}\`.`,
      '',
      line(columns),
      line(columns.map(() => '---')),
      ...result.rows.map((row) => line(cells(row))),
      ...(result.notes ?? []).flatMap((note) => ['', note]),
      '',
    ].join('\n'),
  );
  return [
    '# Performance',
    '',
    'Written by `npm run bench -- --write`. Rows that name onnxruntime-web need `npm install --no-save onnxruntime-web`',
    'first. Every row is a ratio or a median within one run, outputs compared before anything is timed. Shared machines are',
    'noisy: read the ratios, not the milliseconds.',
    '',
    `Measured on: ${machine()}.`,
    '',
    ...sections,
  ].join('\n');
}

/** Runs a case in a fresh process, with the loaders of this one. */
function runApart(name: string): BenchResult {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), '--result', name];
  const output = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(output) as BenchResult;
}

const { values, positionals } = parseArgs({
  options: { write: { type: 'boolean', default: false }, result: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !Object.hasOwn(cases, name));
if (unknown.length > 0) throw new Error(`no benchmark '${unknown}'; there are: ${Object.keys(cases).join(', ')}`);

const results: BenchResult[] = [];
for (const [name, run] of Object.entries(cases)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const result = values.result ? await run() : runApart(name);
  console.log(values.result ? JSON.stringify(result) : terminalTable(result));
  results.push(result);
}
if (values.write) {
  const docs = (file: string): string => fileURLToPath(new URL(`../docs/${file}`, import.meta.url));
  writeFileSync(docs('performance.md'), markdown(results));
  writeFileSync(docs('performance.json'), `${JSON.stringify({ machine: machine(), results }, null, 2)}\n`);
}
