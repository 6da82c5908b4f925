/** Compiling the training step cold: fresh processes, from after the imports to the first loss, Binaryen's load included. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { summarize } from '../index.ts';
import { type BenchResult, limitRow } from '../result.ts';
import { formatMs } from '../table.ts';

const runs = 7;

export async function coldStartCase(): Promise<BenchResult> {
  const child = fileURLToPath(new URL('./cold-start-child.ts', import.meta.url));
  if (!existsSync(child)) throw new Error(`${child} is missing`);
  const times = Array.from({ length: runs }, () =>
    Number(execFileSync(process.execPath, ['--import', 'tsx', child], { encoding: 'utf8' })),
  );
  const { p50 } = summarize(times);
  const spread = `best ${formatMs(Math.min(...times))}, worst ${formatMs(Math.max(...times))} of ${runs}`;
  return {
    title: 'Cold compile of the training step in a fresh process',
    mode: 'fast',
    rows: [limitRow('first call to first loss, median', spread, p50 / 1000, 1, ' s')],
    notes: ['Run from TypeScript sources through tsx, whose transform of lazily loaded files is included.'],
  };
}
