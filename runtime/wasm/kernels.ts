/**
 * Kernels made callable: each distinct code (by its hash) is compiled and instantiated once for a memory, and shared by
 * every program that contains it, until the last of them is gone.
 *
 * V8 starts a WASM function in its baseline tier and replaces it between calls, never inside a running loop. So a long
 * launch of a kernel that has not run for a while yet is cut into short calls; any split of the tiles gives the same
 * bytes.
 */
import { KilnError } from '../../base/error.ts';
import type { ProgramKernel } from '../program.ts';
import { engine, type KernelModule, type LinearMemory } from './engine.ts';
import { compileModule, compileModuleAside } from './relaxed-simd.ts';

/**
 * What a call of a new kernel should take, and for how much time in long launches: short calls while the engine's
 * compiler is at work, longer ones in case it is late, then the whole launch at once.
 */
const phases = [
  { until: 50, callMilliseconds: 1 },
  { until: 500, callMilliseconds: 10 },
] as const;
/** A first guess of what one call may do: about a millisecond of baseline code. */
const firstChunkFlops = 2 ** 19;

export class LoadedKernel {
  readonly run: (record: number, begin: number, end: number) => void;
  /** Time spent in long launches so far. */
  #milliseconds = 0;

  constructor(run: (record: number, begin: number, end: number) => void) {
    this.run = run;
  }

  /**
   * Runs all tiles of a launch, in short calls while the kernel is new.
   * @param flops a rough count for the whole launch
   */
  runAll(record: number, tiles: number, flops: number): void {
    if (flops <= firstChunkFlops || tiles <= 1 || this.#milliseconds >= phases[1].until) {
      if (tiles > 0) this.run(record, 0, tiles);
      return;
    }
    this.#runInCalls(record, tiles, flops);
  }

  #runInCalls(record: number, tiles: number, flops: number): void {
    let chunk = Math.max(1, Math.floor((tiles * firstChunkFlops) / flops));
    let before = performance.now();
    for (let begin = 0; begin < tiles; ) {
      const phase = phases.find(({ until }) => this.#milliseconds < until);
      const end = phase ? Math.min(tiles, begin + chunk) : tiles;
      this.run(record, begin, end);
      begin = end;
      const now = performance.now();
      const took = now - before;
      before = now;
      this.#milliseconds += took;
      if (!phase) continue;
      if (took < phase.callMilliseconds / 2) chunk *= 2;
      else if (took > phase.callMilliseconds * 2) chunk = Math.ceil(chunk / 2);
    }
  }
}

interface TableEntry {
  readonly kernel: LoadedKernel;
  users: number;
}

export class KernelTable {
  readonly #memory: LinearMemory;
  readonly #entries = new Map<string, TableEntry>();
  /** Kernels that are being compiled off this thread, by hash. */
  readonly #compiling = new Map<string, Promise<void>>();

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /** The kernel, compiled now where it is new, for one more user. @throws KilnError `compile_failed` */
  acquire(kernel: ProgramKernel): LoadedKernel {
    const entry = this.#entries.get(kernel.hash) ?? this.#add(kernel, () => compileModule(kernel.code));
    entry.users += 1;
    return entry.kernel;
  }

  /** One user less; the kernel goes with the last. */
  release(hash: string): void {
    const entry = this.#entries.get(hash);
    if (!entry) return;
    entry.users -= 1;
    if (entry.users <= 0) this.#entries.delete(hash);
  }

  /** Compiles the kernels of a program that are new, off this thread where the engine can, so that `acquire` is quick. */
  async compileAll(kernels: readonly ProgramKernel[]): Promise<void> {
    await Promise.all(kernels.map((kernel) => !this.#entries.has(kernel.hash) && this.#compile(kernel)));
  }

  /** Compiles a new kernel, once however many launches that wait for it ask. */
  #compile(kernel: ProgramKernel): Promise<void> {
    let compiling = this.#compiling.get(kernel.hash);
    if (!compiling) {
      compiling = this.#compileNow(kernel).finally(() => this.#compiling.delete(kernel.hash));
      this.#compiling.set(kernel.hash, compiling);
    }
    return compiling;
  }

  async #compileNow(kernel: ProgramKernel): Promise<void> {
    const module = await compileModuleAside(kernel.code).catch((cause: unknown) =>
      Promise.reject(invalidCode(kernel, cause)),
    );
    // A synchronous read may have been faster.
    if (!this.#entries.has(kernel.hash)) this.#add(kernel, () => module);
  }

  #add(kernel: ProgramKernel, compile: () => KernelModule): TableEntry {
    try {
      const instance = new (engine().Instance)(compile(), { kiln: { memory: this.#memory } });
      if (typeof instance.exports.run !== 'function') throw new TypeError('the module exports no function `run`');
      const entry = { kernel: new LoadedKernel(instance.exports.run), users: 0 };
      this.#entries.set(kernel.hash, entry);
      return entry;
    } catch (cause) {
      throw invalidCode(kernel, cause);
    }
  }
}

function invalidCode(kernel: ProgramKernel, cause: unknown): KilnError {
  return new KilnError('compile_failed', `the engine refuses the code of kernel ${kernel.name}`, {
    given: cause instanceof Error ? cause.message : String(cause),
    expected: 'a WASM module that imports kiln.memory and exports run, with the features this engine has',
    hint: 'please report it with the output of KILN_DUMP=dir, and the version of the engine',
    cause,
  });
}
