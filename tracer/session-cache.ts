/**
 * The session's cache as compiled functions use it: when programs are taken from it, and when they are kept.
 *
 *     readableCache('step', true)?.findProgramSync(key)
 */
import { debug, flag, isDebugging, isFlagOff, isFlagOn } from '../base/flags.ts';
import type { CompiledCache } from '../runtime/cache/compiled-cache.ts';
import { type CacheOptions, cacheConfiguration, cacheFolder, currentCache } from '../runtime/cache/current.ts';
import { hasFiles } from '../runtime/cache/file-store.ts';
import { compilerVersion } from './compiler-version.ts';

/**
 * Where programs may be that were compiled before; `undefined` where they shall be compiled.
 * @param isKept whether the function's are kept
 */
export function readableCache(name: string, isKept: boolean): CompiledCache | undefined {
  const cache = writableCache(isKept);
  const wish = cache ? wishForStages() : reasonForNone(isKept);
  if (wish === undefined) return cache;
  if (isDebugging('cache')) debug('cache', `${name}: not looked for on disk: ${wish}`);
  return undefined;
}

/** Where programs are kept, if they are. */
export const writableCache = (isKept: boolean): CompiledCache | undefined =>
  isKept && isOn() ? currentCache(compilerVersion()) : undefined;

/** Begins to open the cache of a page, beside whatever else a session begins with. Files need no opening. */
export function openCache(): void {
  if (!hasFiles()) writableCache(true)?.store.open?.();
}

/** The cache as plain data, for the thread that compiles; `undefined` where there is none. */
export function cacheSettings(): CacheOptions | undefined {
  const configured = cacheConfiguration();
  if (configured === false || !isOn()) return undefined;
  const directory = cacheFolder();
  return { ...configured, ...(directory !== undefined && { directory }) };
}

/** The version is looked up only where it is needed: from sources that means looking at every file. */
const isOn = (): boolean => cacheConfiguration() !== false && !isFlagOff('KILN_CACHE');

function reasonForNone(isKept: boolean): string {
  if (!isKept) return 'its option cache is false';
  if (isFlagOff('KILN_CACHE')) return 'KILN_CACHE is off';
  if (cacheConfiguration() === false) return 'init({ cache: false })';
  return compilerVersion() === undefined ? 'the version of the compiler is not known' : 'there is no place for it';
}

/** A flag that shows stages of a compile, which a program from the cache has not gone through. */
function wishForStages(): string | undefined {
  if (flag('KILN_DUMP') !== undefined) return 'KILN_DUMP writes the stages of its compile';
  if (isFlagOn('KILN_VERIFY')) return 'KILN_VERIFY checks its compile';
  const topic = (['passes', 'fusion', 'kernels'] as const).find((each) => isDebugging(each));
  return topic && `KILN_DEBUG=${topic} shows its compile`;
}
