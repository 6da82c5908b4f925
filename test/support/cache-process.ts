/** Runs `cache-child.ts` in a process of its own, over a folder. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CompileStats } from '../../tracer/compilation.ts';

export interface CacheRun {
  /** Hashes of the bits of each result. */
  readonly results: Readonly<Record<string, string>>;
  readonly kinds: readonly unknown[];
  /** How often the functions under explicit keys were run. */
  readonly runs: number;
  readonly steps: number;
  /** Threads that were started. */
  readonly workers: number;
  readonly isCompilerLoaded: boolean;
  readonly stats: Readonly<Record<string, Pick<CompileStats, 'compiles' | 'hits' | 'compileMs'>>>;
  readonly fromCache: boolean;
  /** What was printed on standard error. */
  readonly errors: string;
}

export interface CachePlace {
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
}

const child = fileURLToPath(new URL('./cache-child.ts', import.meta.url));

/** @param options of the child */
export function runCacheChild(options: object, { folder, environment }: CachePlace): Promise<CacheRun> {
  const started = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), child, JSON.stringify(options)], {
    env: { ...process.env, KILN_CACHE: 'on', KILN_CACHE_DIR: folder, ...environment },
  });
  let [output, errors] = ['', ''];
  started.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  started.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    started.on('close', (code) => {
      if (code === 0) resolve({ ...(JSON.parse(output) as Omit<CacheRun, 'errors'>), errors });
      else reject(new Error(`the process ended with ${code}: ${errors}`));
    });
  });
}
