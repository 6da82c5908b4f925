/**
 * Code of kernels by everything that shapes it: equal kernels are generated once in a process, whatever programs they
 * are in, and where there is a store, once for all processes that share it.
 *
 *     cache.get(`kiln wgsl 1 fast\n${kernelKey(kernel)}`, { store, generate: (hash) => ({ hash, code, … }) })
 */
import { hashOf } from '../../base/hash.ts';
import type { ProgramKernel, WasmKernel, WgslKernel } from '../../runtime/program.ts';

/** A kernel as programs hold it, but for the name that each gives it. */
export type WasmCode = Omit<WasmKernel, 'name'>;
export type WgslCode = Omit<WgslKernel, 'name'>;

/** Kernels that other processes have left. Programs are kept elsewhere, and their kernels with them. */
export interface KernelStore {
  /** The kernel of a hash, if it is there. What it gives is a kernel of the target it was asked for. */
  find(hash: string, target: 'wasm' | 'webgpu'): Omit<ProgramKernel, 'name'> | undefined;
  /** Told of each kernel that had to be generated. */
  noteGenerated?(hash: string): void;
}

export interface KernelMaker<Code> {
  readonly store: KernelStore | undefined;
  readonly generate: (hash: string) => Code;
}

/** Kernels that are kept; beyond, all are forgotten. */
const mostKernels = 4096;

export class KernelCache<Code extends WasmCode | WgslCode> {
  readonly #target: 'wasm' | 'webgpu';
  readonly #known = new Map<string, Code>();

  constructor(target: Code extends WasmCode ? 'wasm' : 'webgpu') {
    this.#target = target;
  }

  /** Generates a kernel, or finds it as it was generated before. Its `hash` is that of the key. */
  get(key: string, { store, generate }: KernelMaker<Code>): Code {
    const known = this.#known.get(key);
    if (known) return known;
    const hash = hashOf(key);
    let code = store?.find(hash, this.#target) as Code | undefined;
    if (!code) {
      code = generate(hash);
      store?.noteGenerated?.(hash);
    }
    if (this.#known.size >= mostKernels) this.#known.clear();
    this.#known.set(key, code);
    return code;
  }

  /** Forgets all, as if nothing had been compiled in this process. */
  clear(): void {
    this.#known.clear();
  }
}
