/**
 * How many threads a device runs kernels on, the caller's among them: what `init({ threads })` says, else KILN_THREADS,
 * else one for each core that this process may use.
 *
 *     resolveThreads(undefined)      // 8 on a machine of 8 cores; 1 on a page that may not share memory
 */
import { KilnError } from '../../base/error.ts';
import { flag } from '../../base/flag.ts';
import type { SourceLocation } from '../../base/location.ts';

/** More threads than this seldom help: memory is the limit then. Ask for more where they do. */
const mostByDefault = 16;
const mostThreads = 256;

interface Environment {
  readonly process?: { getBuiltinModule?(name: 'node:os'): { availableParallelism(): number } | undefined };
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly crossOriginIsolated?: boolean;
  readonly Worker?: unknown;
}

const environment = (): Environment => globalThis as unknown as Environment;

let hasTold = false;

/**
 * The number of threads of a new device.
 * @param wanted what `init` was given
 * @throws KilnError `invalid_argument` for a KILN_THREADS that is no number of threads
 */
export function resolveThreads(wanted: number | undefined): number {
  const threads = wanted ?? threadsOfFlag() ?? Math.min(availableCores(), mostByDefault);
  if (threads === 1 || canShareMemory()) return threads;
  if (!hasTold) {
    hasTold = true;
    console.info(
      `[kiln] running on one thread instead of ${threads}: this page is not cross-origin isolated, so threads can not ` +
        'share memory. Serve it with the headers "Cross-Origin-Opener-Policy: same-origin" and ' +
        '"Cross-Origin-Embedder-Policy: require-corp" (docs/threads.md), or call init({ threads: 1 }).',
    );
  }
  return 1;
}

/** @throws KilnError `invalid_argument` for what is no number of threads */
export function assertThreads(
  threads: unknown,
  what: string,
  location?: SourceLocation | undefined,
): asserts threads is number {
  if (typeof threads === 'number' && Number.isInteger(threads) && threads >= 1 && threads <= mostThreads) return;
  throw new KilnError('invalid_argument', `${what} is no number of threads`, {
    given: typeof threads === 'string' ? `'${threads}'` : String(threads),
    expected: `a whole number from 1 to ${mostThreads}`,
    hint: 'leave it out for one thread for each core; 1 keeps all work on the calling thread',
    location,
  });
}

function threadsOfFlag(): number | undefined {
  const text = flag('KILN_THREADS');
  if (text === undefined) return undefined;
  const threads = /^\d+$/.test(text) ? Number(text) : text;
  assertThreads(threads, 'KILN_THREADS');
  return threads;
}

/** Cores that this process may use. */
function availableCores(): number {
  const { process, navigator } = environment();
  return process?.getBuiltinModule?.('node:os')?.availableParallelism() ?? navigator?.hardwareConcurrency ?? 1;
}

/** Whether threads can share memory: always in Node, on pages that are cross-origin isolated. */
function canShareMemory(): boolean {
  const { process, crossOriginIsolated, Worker } = environment();
  if (process?.getBuiltinModule) return true;
  return crossOriginIsolated === true && Worker !== undefined;
}
