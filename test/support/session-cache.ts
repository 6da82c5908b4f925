/** A cache of a test file's own, and restarts of the process as far as compiled programs are concerned. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { clearKernels } from '../../codegen/wasm/program.ts';
import { currentCache } from '../../runtime/cache/current.ts';
import { clearSchedules } from '../../tracer/autotune/store.ts';
import { compilerVersion } from '../../tracer/compiler-version.ts';
import { clearPrograms } from '../../tracer/program-cache.ts';
import { clearClaims } from '../../tracer/trace-claims.ts';

/** Forgets what is compiled, but not what is kept. */
export function restart(): void {
  clearPrograms();
  clearKernels();
  clearSchedules();
  clearClaims();
}

/** Turns the cache on in an empty folder. @returns the folder */
export function openCache(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-cache-'));
  vi.stubEnv('KILN_CACHE', 'on');
  vi.stubEnv('KILN_CACHE_DIR', folder);
  restart();
  return folder;
}

export function closeCache(folder: string): void {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
}

/** Makes the cache one that must be waited for, as in a browser. */
export function delayCache(): void {
  Object.defineProperty(currentCache(compilerVersion())!.store, 'readSync', { value: undefined });
}

/** Entries in a folder, of one kind. */
export const entriesIn = (folder: string, kind: 'program' | 'kernel' | 'trace'): string[] => {
  const root = join(folder, 'v1', kind);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.startsWith(root))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
};
