/**
 * A worker of the pool: it makes kernels callable that it is sent, and otherwise lives in the driver's `work`, which
 * runs tiles and sleeps. It leaves `work` only for messages, so that each message is followed by the epoch going up
 * (`pool.ts`).
 *
 * The file stands for itself: it imports nothing, so that it starts at once and bundlers can copy it as it is, and
 * `runPoolWorker` uses nothing outside itself, so that its text runs as a script too.
 */
import type { KernelModule, LinearMemory } from './engine.ts';

/** What a worker starts with. */
export interface PoolStart {
  /** Tells workers of the pool from others that load this file. */
  readonly kiln: 'pool';
  readonly memory: LinearMemory;
  readonly driver: KernelModule;
  /** Number of the worker, from 1. */
  readonly index: number;
  /** Addresses in the control block. */
  readonly addresses: {
    readonly mail: number;
    readonly received: number;
    readonly failureBytes: number;
    readonly failureText: number;
    readonly longestFailure: number;
  };
}

/** Kernels and their places in the function table; a kernel that is gone has no module. */
export type KernelMessage = readonly { readonly slot: number; readonly module: KernelModule | undefined }[];

interface Scope {
  readonly WebAssembly: {
    readonly Table: new (
      descriptor: object,
    ) => { length: number; grow(by: number): number; set(at: number, f: unknown): void };
    readonly Instance: new (module: KernelModule, imports: object) => { readonly exports: Record<string, never> };
  };
  readonly TextEncoder: new () => { encode(text: string): Uint8Array };
}

interface DriverExports {
  work(received: number, index: number): void;
  fail(): void;
}

/**
 * Runs until the thread is ended.
 * @param listen calls a function with each message
 */
export function runPoolWorker(start: PoolStart, listen: (receive: (message: KernelMessage) => void) => void): void {
  const { memory, driver, index, addresses } = start;
  const { WebAssembly, TextEncoder } = globalThis as unknown as Scope;
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 256 });
  const nothing = (): void => {};
  const driverImports = { kiln: { memory, table, ask: nothing, failed: nothing } };
  const { work, fail } = new WebAssembly.Instance(driver, driverImports).exports as unknown as DriverExports;
  const words = new Int32Array(memory.buffer);
  let received = 0;

  const tell = (error: unknown): void => {
    const text = new TextEncoder().encode(error instanceof Error ? error.message : String(error));
    const shown = text.subarray(0, addresses.longestFailure);
    new Uint8Array(memory.buffer).set(shown, addresses.failureText);
    words[addresses.failureBytes / 4] = shown.length;
  };
  const add = (slot: number, module: KernelModule | undefined): void => {
    try {
      const run = module ? new WebAssembly.Instance(module, { kiln: { memory } }).exports.run : null;
      if (slot >= table.length) table.grow(Math.max(slot + 1 - table.length, table.length));
      table.set(slot, run);
    } catch {
      // The caller has the kernel already. Where this thread has no room for it, the others do the work.
    }
  };
  const workOn = (): void => {
    while (Atomics.load(words, addresses.mail / 4) === received) {
      try {
        work(received, index);
      } catch (error) {
        tell(error);
        fail();
      }
    }
  };

  listen((message) => {
    for (const { slot, module } of message) add(slot, module);
    received += 1;
    Atomics.add(words, addresses.received / 4, 1);
    workOn();
  });
}

interface NodeWorkerThreads {
  readonly workerData: Partial<PoolStart> | null;
  readonly parentPort: { on(event: 'message', listener: (message: KernelMessage) => void): void } | null;
}

interface WebWorkerScope {
  readonly name?: string;
  onmessage: ((event: { readonly data: PoolStart | KernelMessage }) => void) | null;
}

/** Starts where this file is the script of a worker of the pool. */
function startHere(): void {
  const { process, self } = globalThis as {
    process?: { getBuiltinModule?(name: 'node:worker_threads'): NodeWorkerThreads | undefined };
    self?: WebWorkerScope;
  };
  const node = process?.getBuiltinModule?.('node:worker_threads');
  if (node) {
    const { workerData, parentPort } = node;
    if (workerData?.kiln !== 'pool') return;
    runPoolWorker(workerData as PoolStart, (receive) => parentPort?.on('message', receive));
  } else if (self?.name === 'kiln-pool') {
    // The first message is the start.
    self.onmessage = ({ data: start }) => {
      runPoolWorker(start as PoolStart, (receive) => {
        self.onmessage = ({ data }) => receive(data as KernelMessage);
      });
    };
  }
}

startHere();
