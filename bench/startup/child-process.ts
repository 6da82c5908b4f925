/**
 * A start in a process of its own, and whether it gave what it should: all that whoever starts needs. The script has been
 * bundled before (`bundle-child.ts`).
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { hasRelaxedSimd } from '../../runtime/wasm/relaxed-simd.ts';
import type { Mode, Start } from './start.ts';
import { titles, type Workload } from './titles.ts';

/** A start, and what is known of it from outside. */
export interface Run extends Start {
  /** From the start of the process or of the page to the results. */
  readonly total: number;
}

/** The target that is best here, in Node. */
export const targetHere = (): string => (hasRelaxedSimd() ? 'wasm-threads-relaxed' : 'wasm-threads');

/** One start in a process of its own. @param scripts the folder with the bundled child */
export function startInNode(
  scripts: string,
  scene: string,
  mode: Mode,
  workload: Workload,
  target: string,
  environment: Readonly<Record<string, string>>,
): Run {
  const { KILN_CACHE: _, NODE_OPTIONS: __, ...env } = process.env;
  const given = [mode, workload, join(scene, workload), join(scene, `${workload}.${target}.kiln`)];
  const begin = performance.now();
  const printed = execFileSync(process.execPath, [join(scripts, 'node-child.mjs'), ...given], {
    encoding: 'utf8',
    env: { ...env, ...environment },
  });
  return { ...(JSON.parse(printed) as Start), total: performance.now() - begin };
}

/** @throws Error where a mode gives other bytes, compiles, or does not find what was kept */
export function assertSame(workload: Workload, mode: Mode, run: Start, expected: Start): void {
  const where = `${titles[workload]}, ${mode}`;
  if (run.digest !== expected.digest) throw new Error(`${where}: other results than those of a cold compile`);
  if (mode === 'cold') return;
  if (run.compiles > 0) throw new Error(`${where}: ${run.compiles} programs were compiled`);
  if (mode !== 'baked' && run.hits === 0) throw new Error(`${where}: nothing came from the cache`);
}
