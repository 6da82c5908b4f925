/** The record of the starts: `docs/startup.json`, and the figures in `docs/startup.md`, between two marks. */
import { readFileSync, writeFileSync } from 'node:fs';
import { machine } from '../machine.ts';
import { docs } from '../record.ts';
import { markdownSection, type Recorded } from '../report.ts';
import type { BenchResult } from '../result.ts';

const [begin, end] = ['<!-- measured: written by `npm run bench:startup -- --write` -->', '<!-- end -->'];

/** The page with other figures. @throws Error where it has no marks for them */
export function withFigures(page: string, result: Recorded): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from)
    throw new Error(`docs/startup.md has no place for figures between '${begin}' and '${end}'`);
  return `${page.slice(0, from)}${begin}\n\n${markdownSection(result)}\n${page.slice(to)}`;
}

export function recordStartup(result: BenchResult): void {
  const recorded: Recorded = { machine: machine(), ...result };
  writeFileSync(docs('startup.json'), `${JSON.stringify(recorded, null, 2)}\n`);
  writeFileSync(docs('startup.md'), withFigures(readFileSync(docs('startup.md'), 'utf8'), recorded));
}
