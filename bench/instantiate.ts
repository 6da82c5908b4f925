/**
 * Runs modules of this folder that import `env.memory`, with the few types that takes: the project compiles without the
 * DOM's types, which declare WebAssembly.
 */
import { compileModule } from '../runtime/wasm/relaxed-simd.ts';

/** A linear memory. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** An exported function from and to numbers. */
export type WasmFunction = (...operands: number[]) => void;

interface Engine {
  readonly Memory: new (descriptor: { initial: number }) => WasmMemory;
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ) => { readonly exports: Readonly<Record<string, WasmFunction>> };
}

const engine = (): Engine => (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;

/** A memory of so many pages of 64 KiB. */
export function createMemory(pages: number): WasmMemory {
  return new (engine().Memory)({ initial: pages });
}

/** Compiles and links a module; gives its exports. */
export function instantiate(code: Uint8Array, memory: WasmMemory): Readonly<Record<string, WasmFunction>> {
  const { Instance } = engine();
  return new Instance(compileModule(code), { env: { memory } }).exports;
}
