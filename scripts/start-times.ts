/**
 * How long the training step of `npm start` takes to its first loss: compiled cold, found in the cache, loaded from an
 * artefact; each in a process of its own, on the bundle of the package. All must give the same bytes.
 *
 *     for await (const row of startTimes()) console.log(row);
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summarize } from '../bench/index.ts';
import { assertSame, type Run, startInNode } from '../bench/startup/child-process.ts';
import { preparedExample } from './prepared-example.ts';

export interface StartRow {
  readonly start: 'cold' | 'warm' | 'baked';
  /** Milliseconds, medians: of the imports, from there to the first loss, and of the whole process. */
  readonly imports: number;
  readonly result: number;
  readonly total: number;
}

/** Starts of each kind; a cold one is long enough to show itself at once. */
const runs = { cold: 1, warm: 3, baked: 3 } as const;

/** A row for each kind, as soon as it is there. */
export async function* startTimes(): AsyncGenerator<StartRow> {
  const folder = await preparedExample();
  const cache = mkdtempSync(join(tmpdir(), 'kiln-start-'));
  const target = bakedTarget(join(folder, 'scene'));
  let expected: Run | undefined;
  try {
    for (const start of ['cold', 'warm', 'baked'] as const) {
      const all = Array.from({ length: runs[start] }, () =>
        startInNode(join(folder, 'starts'), join(folder, 'scene'), start, 'language', target, {
          KILN_CACHE_DIR: cache,
        }),
      );
      expected ??= all[0];
      for (const run of all) assertSame('language', start, run, expected);
      const median = (figure: 'imports' | 'result' | 'total'): number => summarize(all.map((run) => run[figure])).p50;
      yield { start, imports: median('imports'), result: median('result'), total: median('total') };
    }
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** What the step was baked for, which was decided in a process of its own. */
function bakedTarget(scene: string): string {
  const found = readdirSync(scene).map((name) => /^language\.(.+)\.kiln$/.exec(name)?.[1]);
  return found.find((target) => target !== undefined)!;
}
