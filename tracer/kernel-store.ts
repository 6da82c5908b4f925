/**
 * Kernels that other processes have generated, as the compiler takes them from the session's cache, and an account of
 * them. Code generation does not wait: of a cache that must be waited for, as in a browser, it gets what was fetched
 * before it began.
 */
import type { KernelStore } from '../codegen/common/kernel-cache.ts';
import type { NamelessKernel } from '../runtime/cache/compiled-cache.ts';
import { currentCache } from '../runtime/cache/current.ts';
import { compilerVersion } from './compiler-version.ts';

export interface KernelCounts {
  readonly generated: number;
  readonly found: number;
}

/** The kernels of one compile. */
export interface CompileKernels {
  readonly store: KernelStore;
  readonly counts: KernelCounts;
  /** Fetches kernels from a cache that must be waited for; absent where none must be. */
  readonly fetch?: (hashes: readonly string[]) => Promise<void>;
}

/** @param isShared whether kernels may come from the cache; otherwise they are only counted */
export function countedKernels(isShared: boolean): CompileKernels {
  const kernels = { generated: 0, found: 0 };
  const cache = isShared ? currentCache(compilerVersion()) : undefined;
  const fetched = new Map<string, NamelessKernel | undefined>();
  const store: KernelStore = {
    find: (hash, target) => {
      const kernel = cache?.findKernelSync(hash) ?? fetched.get(hash);
      if (!kernel || 'phases' in kernel !== (target === 'wasm')) return undefined;
      kernels.found++;
      return kernel;
    },
    noteGenerated: () => {
      kernels.generated++;
    },
  };
  const fetch = async (hashes: readonly string[]): Promise<void> => {
    const each = [...new Set(hashes)];
    const found = await Promise.all(each.map((hash) => cache?.findKernel(hash)));
    each.forEach((hash, i) => {
      fetched.set(hash, found[i]);
    });
  };
  return { store, counts: kernels, ...(cache && !cache.isSync && { fetch }) };
}
