/**
 * Compiling the training step cold: fresh processes of plain Node on the built package, from after the imports to the
 * compiled program, Binaryen's load included.
 */
import { withBuiltPackage } from '../built-package.ts';
import { summarize } from '../index.ts';
import { type BenchResult, limitRow } from '../result.ts';
import { formatMs } from '../table.ts';

const runs = 7;

export async function coldStartCase(): Promise<BenchResult> {
  const times = await withBuiltPackage('bench/cases/cold-start-child.ts', (run) =>
    Array.from({ length: runs }, () => Number(run())),
  );
  const spread = `best ${formatMs(Math.min(...times))}, worst ${formatMs(Math.max(...times))} of ${runs} processes`;
  const seconds = summarize(times).p50 / 1000;
  return {
    title: 'Cold compile of the training step in a fresh process',
    mode: 'fast',
    rows: [limitRow('from after the imports to the compiled program, median', spread, seconds, 1, ' s')],
  };
}
