/**
 * Kernels that other processes have generated, as the compiler takes them from the session's cache, and an account of
 * them. A cache that must be waited for, as in a browser, has none for the compiler, which does not wait.
 */
import type { KernelStore } from '../codegen/common/kernel-cache.ts';
import { currentCache } from '../runtime/cache/current.ts';
import { compilerVersion } from './compiler-version.ts';

export interface KernelCounts {
  readonly generated: number;
  readonly found: number;
}

/** @param isShared whether kernels may come from the cache; otherwise they are only counted */
export function countedKernels(isShared: boolean): { readonly store: KernelStore; readonly kernels: KernelCounts } {
  const kernels = { generated: 0, found: 0 };
  const cache = isShared ? currentCache(compilerVersion()) : undefined;
  const store: KernelStore = {
    find: (hash, target) => {
      const kernel = cache?.findKernelSync(hash)?.kernel;
      if (!kernel || 'phases' in kernel !== (target === 'wasm')) return undefined;
      kernels.found++;
      return kernel;
    },
    noteGenerated: () => {
      kernels.generated++;
    },
  };
  return { store, kernels };
}
