/**
 * `npm run bench -- compile-time`: what compiling costs, cold and by stage, how it grows with the graph, and what 48
 * equal blocks cost against one.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { mainOf } from '../../ir/types.ts';
import { withBuiltPackage } from '../built-package.ts';
import { summarize } from '../index.ts';
import { traceModel } from '../models/trace.ts';
import { type BenchResult, type BenchRow, type BenchTable, limitRow } from '../result.ts';
import { formatBytes, formatCount, formatMs } from '../table.ts';
import { coldModel, graphFamilies } from './graphs.ts';
import { type StageTimes, totalOf } from './stages.ts';

/** Ops at which growth is measured. */
const lengths = [1000, 5000, 20_000, 50_000];
function stagesOf(name: string, ...sizes: readonly number[]): readonly StageTimes[] {
  const child = fileURLToPath(new URL('child.ts', import.meta.url));
  const args = [...process.execArgv, child, name, ...sizes.map(String)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as StageTimes[];
}

/** The slope of a line through the points in logarithms: `time ~ ops ** exponent`. */
function exponentOf(points: readonly StageTimes[]): number {
  const [x, y] = [points.map(({ ops }) => Math.log(ops)), points.map((point) => Math.log(totalOf(point)))];
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  return mean(x.map((value, i) => (value - mx) * (y[i] - my))) / mean(x.map((value) => (value - mx) ** 2));
}

const columns = ['ops', 'trace', 'until outlined', 'simplify', 'fuse and lower', 'code', 'all', 'an op', 'kernels'];

const stageRow = (stages: StageTimes): string[] => {
  const all = totalOf(stages);
  const share = (ms: number): string => `${formatMs(ms)} (${Math.round((100 * ms) / all)} %)`;
  const { ops, trace, outline, simplify, lower, code, kernels, launches } = stages;
  const perOp = `${((1000 * all) / ops).toFixed(0)} µs`;
  return [
    formatCount(ops),
    ...[trace, outline, simplify, lower, code].map(share),
    formatMs(all),
    perOp,
    `${formatCount(kernels)} of ${formatCount(launches)} launches`,
  ];
};

async function coldRows(): Promise<BenchRow[]> {
  const results = await withBuiltPackage('bench/compile-time/cold-child.ts', (run) =>
    Array.from({ length: 5 }, () => JSON.parse(run()) as { readonly milliseconds: number; readonly cpu: number }),
  );
  const times = results.map(({ milliseconds }) => milliseconds);
  const cpu = summarize(results.map((result) => result.cpu)).p50;
  const ops = mainOf(traceModel(coldModel)).graph.ops.length;
  const best = Math.min(...times);
  const spread = `worst ${formatMs(Math.max(...times))} of 5 processes, CPU time ${formatMs(cpu)}`;
  return [
    limitRow('GPT of 12 layers, forward and backward, cold, Binaryen included, best', spread, best / 1000, 2, ' s'),
    { work: 'the same, an op', measured: `${formatCount(ops)} ops`, figure: `${(best / ops).toPrecision(3)} ms` },
  ];
}

/** The same graph with a warm compiler. */
function warmRow(): BenchRow {
  const [stages] = stagesOf('equal', 12);
  const all = totalOf(stages);
  return limitRow(
    'the same, warm, an op',
    `${formatMs(all)} for ${formatCount(stages.ops)} ops`,
    all / stages.ops,
    0.3,
    ' ms',
  );
}

function growth(): { readonly rows: BenchRow[]; readonly tables: BenchTable[] } {
  const rows: BenchRow[] = [];
  const tables: BenchTable[] = [];
  for (const [name, { what, opsPerUnit }] of Object.entries(graphFamilies)) {
    const points = lengths.flatMap((ops) => stagesOf(name, Math.max(1, Math.round(ops / opsPerUnit))));
    const [first, last] = [points[0], points[points.length - 1]];
    const measured = `${formatMs(totalOf(first))} for ${formatCount(first.ops)} ops, ${formatMs(totalOf(last))} for ${formatCount(last.ops)}`;
    rows.push(limitRow(`growth, ${what}: exponent`, measured, exponentOf(points), 1.1, ''));
    tables.push({ title: `Stages, ${what}`, columns, rows: points.map(stageRow) });
  }
  return { rows, tables };
}

function blockRows(): { readonly rows: BenchRow[]; readonly table: BenchTable } {
  const [one, many] = stagesOf('blocks', 1, 48);
  const rest = ({ simplify, lower, code }: StageTimes): number => simplify + lower + code;
  const before = many.trace + many.outline;
  return {
    rows: [
      limitRow(
        '48 equal blocks against one, tracing and outlining aside',
        `${formatMs(rest(many))} against ${formatMs(rest(one))}`,
        rest(many) / rest(one),
        2,
        'x',
      ),
      limitRow(
        '48 equal blocks against one, code',
        `${formatBytes(many.codeBytes)} against ${formatBytes(one.codeBytes)}`,
        many.codeBytes / one.codeBytes,
        2,
        'x',
      ),
      limitRow(
        'tracing and outlining 48 blocks, an op',
        `${formatMs(before)} for ${formatCount(many.ops)} ops`,
        (1000 * before) / many.ops,
        20,
        ' µs',
      ),
    ],
    table: { title: 'Stages, 1 and 48 equal blocks, forward and backward', columns, rows: [one, many].map(stageRow) },
  };
}

export async function compileTimeCase(): Promise<BenchResult> {
  const cold = await coldRows();
  const blocks = blockRows();
  const { rows, tables } = growth();
  return {
    title: 'Compile time',
    mode: 'fast',
    rows: [...cold, warmRow(), ...blocks.rows, ...rows],
    tables: [blocks.table, ...tables],
    notes: [
      'By the clock. Growth and stages are the fastest of 3 to 20 runs of a warm compiler that remembers no kernel.',
    ],
  };
}
