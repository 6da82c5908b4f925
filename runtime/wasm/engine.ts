/**
 * The part of the engine's WebAssembly interface that the runtime uses, as types of its own: the project compiles
 * without the DOM's types, and so do the programs that use it.
 */

export interface LinearMemory {
  /** Detached and replaced by each growth. */
  readonly buffer: ArrayBuffer;
  /** @throws RangeError where the engine has no more */
  grow(pages: number): number;
}

/** Compiled code without a memory. */
export interface KernelModule {
  readonly kernelModule?: never;
}

/** What a kernel's module exports. The arguments are i32; larger addresses wrap and are read as unsigned. */
export interface KernelExports {
  run(record: number, begin: number, end: number): void;
}

interface WebAssemblyInterface {
  readonly Memory: new (descriptor: { initial: number; maximum: number }) => LinearMemory;
  readonly Module: new (code: Uint8Array) => KernelModule;
  readonly Instance: new (
    module: KernelModule,
    imports: Record<string, Record<string, LinearMemory>>,
  ) => { readonly exports: KernelExports };
  compile(code: Uint8Array): Promise<KernelModule>;
}

/** The engine's WebAssembly object, looked up when it is first needed. */
export function engine(): WebAssemblyInterface {
  return (globalThis as unknown as { readonly WebAssembly: WebAssemblyInterface }).WebAssembly;
}
