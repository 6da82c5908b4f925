/** The record of what was measured: `docs/performance.json`, and `docs/performance.md` which is written from it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { machine } from './machine.ts';
import { markdownPage, type Recorded } from './report.ts';
import type { BenchResult } from './result.ts';

/** The sections, in their order. */
export const sections = [
  'peers',
  'training',
  'chain',
  'matmul',
  'contractions',
  'kernels',
  'memory-speed',
  'convolution',
  'attention',
  'calls',
  'webgpu',
  'cold',
  'compile-time',
  'ablation',
] as const;
export type Section = (typeof sections)[number];

/** Where a page or its data lies. */
export const docs = (file: string): string => fileURLToPath(new URL(`../docs/${file}`, import.meta.url));

/** Puts results in the place of older ones of the same names, and leaves all others. */
export function record(results: Readonly<Partial<Record<Section, BenchResult>>>): void {
  const known = JSON.parse(readFileSync(docs('performance.json'), 'utf8')) as Readonly<Record<string, Recorded>>;
  const recorded = sections.flatMap((name): [string, Recorded][] => {
    const fresh = results[name];
    const entry = fresh ? { machine: machine(), ...fresh } : known[name];
    return entry ? [[name, entry]] : [];
  });
  writeFileSync(docs('performance.md'), markdownPage(recorded.map(([, entry]) => entry)));
  writeFileSync(docs('performance.json'), `${JSON.stringify(Object.fromEntries(recorded), null, 2)}\n`);
}
