/**
 * Kernels made callable: each distinct code (by its hash) is compiled and instantiated once for a memory, and shared by
 * every program that contains it, until the last of them is gone. Each has a place of its own in the function table, by
 * which the driver calls it.
 *
 * V8 starts a WASM function in its baseline tier and replaces it between calls, never inside a running loop. So a long
 * launch of a kernel that has not run for a while yet is cut into short calls; any split of the tiles gives the same
 * bytes. A launch that threads share is in pieces anyway.
 */
import { KilnError } from '../../base/error.ts';
import { partIfLoaded } from '../parts.ts';
import type { WasmKernel } from '../program.ts';
import {
  engine,
  type FunctionTable,
  type KernelFunction,
  type KernelModule,
  kernelFunction,
  type LinearMemory,
} from './engine.ts';

/**
 * What a call of a new kernel should take, and for how much time in long launches: short calls while the engine's
 * compiler is at work, longer ones in case it is late, then the whole launch at once.
 */
const stages = [
  { until: 50, callMilliseconds: 1 },
  { until: 500, callMilliseconds: 10 },
] as const;
/** A first guess of what one call may do (`workOf`): about a millisecond of baseline code. */
export const firstCallWork = 2 ** 19;

/** The work of a launch in one number: operations, or bytes where they take longer. */
export const workOf = ({ flops, bytes }: { readonly flops: number; readonly bytes: number }): number =>
  Math.max(flops, bytes);

/** The grain of a phase while its kernel is very new. */
export const newGrain = (grain: number, tiles: number, work: number): number =>
  Math.min(grain, Math.max(1, Math.floor((tiles * firstCallWork) / work)));

/** A phase of a launch with everything known. Grain 0: it stays on the caller. */
export interface PlannedPhase {
  readonly tiles: number;
  /** Tiles that are taken at a time. */
  readonly grain: number;
}

export class LoadedKernel {
  readonly run: KernelFunction;
  /** Place in the function table. */
  readonly slot: number;
  readonly module: KernelModule;
  /** Time spent in long launches so far. */
  #milliseconds = 0;

  constructor(run: KernelFunction, slot: number, module: KernelModule) {
    this.run = run;
    this.slot = slot;
    this.module = module;
  }

  /** Whether long launches should be in short calls. */
  get isNew(): boolean {
    return this.#milliseconds < stages[stages.length - 1].until;
  }

  /** Whether launches that are in pieces anyway should be in smaller ones. */
  get isVeryNew(): boolean {
    return this.#milliseconds < stages[0].until;
  }

  /** Runs a long launch that others ran parts of. */
  timed(launch: () => void): void {
    const start = performance.now();
    launch();
    this.#milliseconds += performance.now() - start;
  }

  /**
   * Runs all tiles of a long launch in calls that are short while the kernel is new.
   * @param work of the whole launch (`workOf`)
   */
  runInCalls(record: number, tiles: number, work: number): void {
    let chunk = Math.max(1, Math.floor((tiles * firstCallWork) / work));
    let before = performance.now();
    for (let begin = 0; begin < tiles; ) {
      const stage = stages.find(({ until }) => this.#milliseconds < until);
      const end = stage ? Math.min(tiles, begin + chunk) : tiles;
      this.run(record, begin, end);
      begin = end;
      const now = performance.now();
      const took = now - before;
      before = now;
      this.#milliseconds += took;
      if (!stage) continue;
      if (took < stage.callMilliseconds / 2) chunk *= 2;
      else if (took > stage.callMilliseconds * 2) chunk = Math.ceil(chunk / 2);
    }
  }
}

/** Code on this thread. An engine may have relaxed SIMD behind a flag, which that part sets. */
function compile(code: Uint8Array): KernelModule {
  return partIfLoaded('relaxedSimd')?.compileModule(code) ?? new (engine().Module)(code);
}

const compileAside = (code: Uint8Array): Promise<KernelModule> =>
  partIfLoaded('relaxedSimd')?.compileModuleAside(code) ?? engine().compile(code);

/** Code that was compiled before the program was loaded, by the hash of its kernel. */
const provided = new Map<string, KernelModule>();

/**
 * Takes compiled modules, for engines that compile nothing at run time: kernels with these hashes are not compiled.
 */
export function provideModules(modules: Iterable<readonly [hash: string, module: KernelModule]>): void {
  for (const [hash, module] of modules) provided.set(hash, module);
}

interface TableEntry {
  readonly kernel: LoadedKernel;
  users: number;
}

export class KernelTable {
  /** Kernels by place. A place is never given to another kernel, which a thread could mistake for the first. */
  readonly functions: FunctionTable;
  readonly #memory: LinearMemory;
  #nextSlot = 0;
  /** Told when a kernel is gone. */
  readonly #onRelease: (kernel: LoadedKernel) => void;
  readonly #entries = new Map<string, TableEntry>();
  /** Kernels that are being compiled off this thread, by hash. */
  readonly #compiling = new Map<string, Promise<void>>();

  constructor(memory: LinearMemory, onRelease: (kernel: LoadedKernel) => void = () => {}) {
    this.functions = new (engine().Table)({ element: 'anyfunc', initial: 256 });
    this.#memory = memory;
    this.#onRelease = onRelease;
  }

  /** The kernel, compiled now where it is new, for one more user. @throws KilnError `compile_failed` */
  acquire(kernel: WasmKernel): LoadedKernel {
    const entry =
      this.#entries.get(kernel.hash) ?? this.#add(kernel, () => provided.get(kernel.hash) ?? compile(kernel.code));
    entry.users += 1;
    return entry.kernel;
  }

  /** One user less; the kernel goes with the last. */
  release(hash: string): void {
    const entry = this.#entries.get(hash);
    if (!entry) return;
    entry.users -= 1;
    if (entry.users > 0) return;
    this.#entries.delete(hash);
    this.functions.set(entry.kernel.slot, null);
    this.#onRelease(entry.kernel);
  }

  /**
   * Compiles the kernels of a program that are new, off this thread where the engine can, so that `acquire` is quick.
   */
  async compileAll(kernels: readonly WasmKernel[]): Promise<void> {
    await Promise.all(kernels.map((kernel) => !this.#entries.has(kernel.hash) && this.#compile(kernel)));
  }

  /** Compiles a new kernel, once however many launches that wait for it ask. */
  #compile(kernel: WasmKernel): Promise<void> {
    let compiling = this.#compiling.get(kernel.hash);
    if (!compiling) {
      compiling = this.#compileNow(kernel).finally(() => this.#compiling.delete(kernel.hash));
      this.#compiling.set(kernel.hash, compiling);
    }
    return compiling;
  }

  async #compileNow(kernel: WasmKernel): Promise<void> {
    const module: KernelModule = provided.get(kernel.hash) ?? (await this.#compileCode(kernel));
    // A synchronous read may have been faster.
    if (!this.#entries.has(kernel.hash)) this.#add(kernel, () => module);
  }

  async #compileCode(kernel: WasmKernel): Promise<KernelModule> {
    try {
      return await compileAside(kernel.code);
    } catch (cause) {
      throw invalidCode(kernel, cause);
    }
  }

  #add(kernel: WasmKernel, compile: () => KernelModule): TableEntry {
    try {
      const module = compile();
      const run = kernelFunction(module, this.#memory);
      const slot = this.#nextSlot++;
      if (slot >= this.functions.length) this.functions.grow(this.functions.length);
      this.functions.set(slot, run);
      const entry = { kernel: new LoadedKernel(run, slot, module), users: 0 };
      this.#entries.set(kernel.hash, entry);
      return entry;
    } catch (cause) {
      throw invalidCode(kernel, cause);
    }
  }
}

function invalidCode(kernel: WasmKernel, cause: unknown): KilnError {
  return new KilnError('compile_failed', `the engine refuses the code of kernel ${kernel.name}`, {
    given: cause instanceof Error ? cause.message : String(cause),
    expected:
      'a WASM module that imports kiln.memory and exports the function run, nothing else, with the features this engine has',
    hint: 'please report it with the output of KILN_DUMP=dir, and the version of the engine',
    cause,
  });
}
