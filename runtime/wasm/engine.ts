/**
 * The part of the engine's WebAssembly interface that the runtime uses, as types of its own: the project compiles
 * without the DOM's types, and so do the programs that use it.
 */

export interface LinearMemory {
  /** Replaced by each growth; one that is not shared is detached too. */
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** @throws RangeError where the engine has no more */
  grow(pages: number): number;
}

/** Compiled code without a memory. */
export interface KernelModule {
  readonly kernelModule?: never;
}

/** A kernel's function. The arguments are i32; larger addresses wrap and are read as unsigned. */
export type KernelFunction = (record: number, begin: number, end: number) => void;

/** Functions by number; the driver calls kernels through it. */
export interface FunctionTable {
  readonly length: number;
  set(index: number, value: KernelFunction | null): void;
  grow(delta: number): number;
}

/** What modules import. */
type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface ExportDescriptor {
  readonly name: string;
  readonly kind: string;
}

interface ImportDescriptor extends ExportDescriptor {
  readonly module: string;
}

interface WebAssemblyInterface {
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared?: boolean }) => LinearMemory;
  readonly Table: new (descriptor: { element: 'anyfunc'; initial: number }) => FunctionTable;
  readonly Module: {
    new (code: Uint8Array): KernelModule;
    imports(module: KernelModule): readonly ImportDescriptor[];
    exports(module: KernelModule): readonly ExportDescriptor[];
  };
  readonly Instance: new (module: KernelModule, imports: Imports) => { readonly exports: Record<string, unknown> };
  compile(code: Uint8Array): Promise<KernelModule>;
}

/** The engine's WebAssembly object, looked up when it is first needed. */
export function engine(): WebAssemblyInterface {
  return (globalThis as unknown as { readonly WebAssembly: WebAssemblyInterface }).WebAssembly;
}

/**
 * The function `run` of a kernel. A module may come from a file: it gets the memory and nothing else, and gives a
 * function and nothing else.
 * @throws Error where the engine refuses the module, TypeError where it is no kernel
 */
export function kernelFunction(module: KernelModule, memory: LinearMemory): KernelFunction {
  const { Module, Instance } = engine();
  const imports = Module.imports(module).map(({ module: from, name, kind }) => `${kind} ${from}.${name}`);
  const exports = Module.exports(module).map(({ name, kind }) => `${kind} ${name}`);
  if (`${imports}` !== 'memory kiln.memory')
    throw new TypeError(`the module imports ${imports.join(', ') || 'nothing'}`);
  if (`${exports}` !== 'function run') throw new TypeError(`the module exports ${exports.join(', ') || 'nothing'}`);
  return new Instance(module, { kiln: { memory } }).exports.run as KernelFunction;
}
