/**
 * Runs the launches of a binding through the WASM driver (`codegen/wasm/driver.ts`): one call from JavaScript for all
 * of them. The driver asks back only for launches of kernels that are new, and where the pool has not started.
 *
 *     driver.run(launches, 0, launches.length)       // throws what a kernel failed with; `step` says which
 */

import { part } from '../parts.ts';
import type { BoundLaunch } from './binding.ts';
import { aloneDriver } from './driver-code.ts';
import { engine, type FunctionTable, type KernelModule } from './engine.ts';
import type { LoadedKernel } from './kernels.ts';
import { launchLayout, launchModes } from './launch-layout.ts';
import type { WasmMemory } from './memory.ts';
import type { Pool } from './pool.ts';

interface DriverExports {
  readonly step: { readonly value: number };
  run(launch: number, count: number): void;
  launch(launch: number): void;
  /** Only with shared memory. */
  abandon?(): void;
}

const modules: { alone?: KernelModule; shared?: KernelModule } = {};

/** Takes the driver of devices with one thread as compiled code, for engines that compile nothing at run time. */
export function provideDriver(module: KernelModule): void {
  modules.alone = module;
}

function driverModule(shared: boolean): KernelModule {
  const name = shared ? 'shared' : 'alone';
  modules[name] ??= new (engine().Module)(
    Uint8Array.from(atob(shared ? part('sharing').sharedDriver : aloneDriver), (letter) => letter.charCodeAt(0)),
  );
  return modules[name];
}

export class Driver {
  /** The worker threads, where the device has any. */
  readonly pool: Pool | undefined;
  readonly #memory: WasmMemory;
  readonly #exports: DriverExports;
  readonly #inPool = new WeakSet<LoadedKernel>();
  /** What runs, and from which on. */
  #launches: readonly BoundLaunch[] = [];
  #first = 0;

  constructor(memory: WasmMemory, table: FunctionTable, threads: number) {
    const module = driverModule(threads > 1);
    this.#memory = memory;
    this.pool = threads > 1 ? new (part('sharing').Pool)(memory.memory, module, threads - 1) : undefined;
    const ask = (address: number): void => this.#launchAsked(address);
    const failed = (): void => {
      throw new Error(this.pool?.failure());
    };
    const { exports } = new (engine().Instance)(module, { kiln: { memory: memory.memory, table, ask, failed } });
    this.#exports = exports as unknown as DriverExports;
  }

  /** Which launch of the last run was the last to begin. */
  get step(): number {
    return this.#first + this.#exports.step.value;
  }

  /** Makes kernels known to the workers, for launches that they will take part in. */
  share(launches: readonly BoundLaunch[]): void {
    const { pool } = this;
    if (!pool) return;
    for (const { kernel, isParallel } of launches) {
      if (!isParallel || this.#inPool.has(kernel)) continue;
      this.#inPool.add(kernel);
      pool.add(kernel.slot, kernel.module);
    }
    pool.send();
  }

  /** A kernel is gone. */
  forget(kernel: LoadedKernel): void {
    if (this.#inPool.delete(kernel)) this.pool?.add(kernel.slot, undefined);
  }

  /**
   * Runs the launches of a binding from `first` to before `end`.
   * @throws whatever a kernel failed with, when no thread runs it any more
   */
  run(launches: readonly BoundLaunch[], first: number, end: number): void {
    if (first >= end) return;
    this.#launches = launches;
    this.#first = first;
    try {
      this.#exports.run(launches[first].address, end - first);
    } catch (error) {
      this.#exports.abandon?.();
      throw error;
    }
  }

  #launchAsked(address: number): void {
    const launch = this.#launches[this.step];
    const { kernel, isParallel, record, tiles, work } = launch;
    if (isParallel) this.pool?.start();
    if (isParallel ? kernel.isVeryNew : kernel.isNew) {
      if (isParallel) kernel.timed(() => this.#exports.launch(address));
      else kernel.runInCalls(record, tiles, work);
      return;
    }
    this.#settle(launch);
    if (isParallel) this.#exports.launch(address);
    else kernel.run(record, 0, tiles);
  }

  /** From now on the driver launches it without asking. */
  #settle({ address, isParallel, phases }: BoundLaunch): void {
    const { words } = this.#memory;
    words[(address + launchLayout.mode) / 4] = isParallel ? launchModes.parallel : launchModes.whole;
    phases.forEach(({ grain }, i) => {
      words[(address + launchLayout.phases) / 4 + 2 * i + 1] = grain;
    });
  }
}
