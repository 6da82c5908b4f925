/**
 * Code of kernels by everything that shapes it: equal kernels are generated once in a process, whatever programs they
 * are in.
 *
 *     cache.get(`kiln wgsl 1 fast\n${kernelKey(kernel)}`, () => generateKernel(kernel, options))     // { hash, generated }
 */
import { hashOf } from '../../base/hash.ts';

export interface CachedKernel<Generated> {
  /** Of the key. */
  readonly hash: string;
  readonly generated: Generated;
}

/** Kernels that are kept; beyond, all are forgotten. */
const mostKernels = 4096;

export class KernelCache<Generated> {
  readonly #known = new Map<string, CachedKernel<Generated>>();

  /** Generates a kernel, or finds it as it was generated before. */
  get(key: string, generate: () => Generated): CachedKernel<Generated> {
    const known = this.#known.get(key);
    if (known) return known;
    const made = { hash: hashOf(key), generated: generate() };
    if (this.#known.size >= mostKernels) this.#known.clear();
    this.#known.set(key, made);
    return made;
  }

  /** Forgets all, as if nothing had been compiled in this process. */
  clear(): void {
    this.#known.clear();
  }
}
