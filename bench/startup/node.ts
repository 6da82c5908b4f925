/**
 * Starts in Node, each in a process of its own on the built package. Rounds take turns through the modes, so that a
 * machine whose speed drifts treats all alike. Before anything is timed, every mode has run once and has given the same
 * bytes, and the scripts that it loaded are known.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleChild } from './bundle-child.ts';
import { assertSame, type Run, startInNode } from './child-process.ts';
import { folderBytes, type Scene, type Series } from './scene.ts';
import { type Mode, modes } from './start.ts';
import { titles, type Workload } from './titles.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The compiler, its passes and code generators, Binaryen. */
const ofCompiler =
  /\/(?:tracer\/(?:compiler|targets\/\w+)|passes\/(?:manager|lower-module)|codegen\/\w+\/program)\.js$|binaryen/;
/** What a page or process that loads artefacts has no use for. */
const notOfLoader = /\/(?:tracer|ir|passes|codegen)\/|\/(?:binaryen|acorn|acorn-walk|@noble)\//;

export interface MeasureOptions {
  readonly target: string;
  readonly rounds: number;
  /** Rounds of cold starts, which take longest and vary least. */
  readonly coldRounds: number;
  readonly onProgress: (note: string) => void;
}

export type Measured = Readonly<Record<Mode, Series>>;

export async function measureNode(
  scene: Scene,
  workload: Workload,
  { target, rounds, coldRounds, onProgress }: MeasureOptions,
): Promise<Measured> {
  const scripts = mkdtempSync(join(root, 'dist', 'startup-'));
  const caches = mkdtempSync(join(scene.folder, 'caches-'));
  const runs: Record<Mode, Run[]> = { cold: [], warm: [], keyed: [], baked: [] };
  try {
    await bundleChild(scripts, { 'index.ts': '../index.js', 'runtime/index.ts': '../runtime/node.js' });
    const start = (mode: Mode, cache: string, environment = {}): Run =>
      startInNode(scripts, scene.folder, mode, workload, target, { KILN_CACHE_DIR: cache, ...environment });
    const cacheOf = { warm: join(caches, 'warm'), keyed: join(caches, 'keyed'), baked: join(caches, 'none') };
    const expected = start('cold', cacheOf.warm);
    start('keyed', cacheOf.keyed);
    // Another path, as on another machine of the same tier.
    for (const mode of ['warm', 'keyed'] as const) {
      renameSync(cacheOf[mode], `${cacheOf[mode]}-moved`);
      cacheOf[mode] += '-moved';
    }
    for (const mode of ['warm', 'keyed', 'baked'] as const) {
      const coverage = join(caches, `coverage-${mode}`);
      const checked = start(mode, cacheOf[mode], { NODE_V8_COVERAGE: coverage });
      assertSame(workload, mode, checked, expected);
      assertLoaded(workload, mode, scriptsIn(coverage));
    }
    for (let round = 0; round < rounds; round++) {
      for (const mode of modes) {
        if (mode === 'cold' && round >= coldRounds) continue;
        onProgress(`${titles[workload]}, ${mode}, in Node`);
        const cache = mode === 'cold' ? join(caches, `cold-${round}`) : cacheOf[mode];
        const run = start(mode, cache);
        assertSame(workload, mode, run, expected);
        runs[mode].push(run);
      }
    }
    const bytes = {
      warm: folderBytes(cacheOf.warm),
      keyed: folderBytes(cacheOf.keyed),
      baked: scene.artefactBytes[workload] ?? 0,
    };
    return {
      cold: { workload, runs: runs.cold, bytes: bytes.warm },
      warm: { workload, runs: runs.warm, bytes: bytes.warm },
      keyed: { workload, runs: runs.keyed, bytes: bytes.keyed },
      baked: { workload, runs: runs.baked, bytes: bytes.baked },
    };
  } finally {
    rmSync(scripts, { recursive: true, force: true });
    rmSync(caches, { recursive: true, force: true });
  }
}

/** @throws Error where a mode loads what it should do without */
export function assertLoaded(workload: Workload, mode: Mode, urls: readonly string[]): void {
  const unwanted = urls.filter((url) => (mode === 'baked' ? notOfLoader : ofCompiler).test(url));
  if (urls.length === 0) throw new Error(`${titles[workload]}, ${mode}: no script is known to have been loaded`);
  if (unwanted.length > 0) throw new Error(`${titles[workload]}, ${mode}: loaded ${unwanted.join(', ')}`);
}

/** The scripts that a process has loaded, by what it has written about their coverage. */
function scriptsIn(folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const parsed = files.map((text) => JSON.parse(text) as { readonly result: readonly { readonly url: string }[] });
  return parsed.flatMap(({ result }) => result.map(({ url }) => url)).filter((url) => url.startsWith('file:'));
}
