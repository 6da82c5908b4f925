/**
 * The worker threads of a device: `worker_threads` in Node, Web Workers in a browser. They start at the first launch
 * that is worth it and then share tiles through the driver alone, with no message a launch; messages bring new kernels.
 * A launch never waits for a worker that is not there yet, and a process with idle workers ends by itself.
 *
 *     const pool = new Pool(memory, driverModule, 3);      // nothing has started
 *     pool.add(slot, module);                              // a kernel that workers will need
 *     pool.start();
 */

import { control, longestFailure } from './control-block.ts';
import type { KernelModule, LinearMemory } from './engine.ts';
import { type KernelMessage, type PoolStart, runPoolWorker } from './pool-worker.ts';

/** What the pool uses of a worker of either kind. */
interface PoolWorker {
  post(message: KernelMessage): void;
  end(): void;
}

/** Told when a worker could not start or has ended by itself. */
type Lost = (reason: string) => void;

interface NodeProcess {
  getBuiltinModule?(name: 'node:worker_threads'): typeof import('node:worker_threads') | undefined;
  readonly features?: { readonly typescript?: unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Milliseconds that `settle` waits for workers at most. */
const patience = 2000;

export class Pool {
  /** Workers, the caller not among them. */
  readonly size: number;
  readonly #memory: LinearMemory;
  readonly #driver: KernelModule;
  /** The control block; a growth of the memory leaves it where it is. */
  readonly #words: Int32Array;
  readonly #workers: PoolWorker[] = [];
  /** Kernels that have not been sent. */
  #waiting: { slot: number; module: KernelModule | undefined }[] = [];
  #hasStarted = false;
  #hasEnded = false;
  #lost = 0;

  constructor(memory: LinearMemory, driver: KernelModule, size: number) {
    this.#memory = memory;
    this.#driver = driver;
    this.size = size;
    this.#words = new Int32Array(memory.buffer);
    this.#words[control.gate / 4] = -(2 ** 31);
    this.#words[control.mayWait / 4] = mayWait() ? 1 : 0;
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** A kernel that launches on all threads will call, or, without a module, one that is gone. */
  add(slot: number, module: KernelModule | undefined): void {
    this.#waiting.push({ slot, module });
  }

  /** Sends the kernels that were added since. */
  send(): void {
    if (this.#hasStarted && this.#waiting.length > 0) this.#post();
  }

  /**
   * Has every worker come back to JavaScript before it takes part again: where memory has grown, an engine that checks
   * bounds in code lets other threads know of it only between calls.
   */
  renew(): void {
    if (this.#hasStarted) this.#post();
  }

  #post(): void {
    const message = this.#waiting;
    this.#waiting = [];
    for (const worker of this.#workers) worker.post(message);
    Atomics.add(this.#words, control.mail / 4, 1);
    Atomics.add(this.#words, control.epoch / 4, 1);
    Atomics.notify(this.#words, control.epoch / 4);
  }

  /** Starts the workers, once. */
  start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    for (let index = 1; index <= this.size; index++) {
      const start: PoolStart = {
        kiln: 'pool',
        memory: this.#memory,
        driver: this.#driver,
        index,
        addresses: { ...control, longestFailure },
      };
      let isLost = false;
      const lost = (reason: string): void => {
        if (!isLost) this.#report(reason);
        isLost = true;
      };
      try {
        this.#workers.push(newWorker(start, lost));
      } catch (error) {
        lost(String(error));
      }
    }
    this.#post();
  }

  /** Resolves when the workers have started and know all kernels, or have had time enough. */
  async settle(): Promise<void> {
    const words = this.#words;
    const end = Date.now() + patience;
    const isBehind = (): boolean =>
      !this.#hasEnded && Atomics.load(words, control.received / 4) < words[control.mail / 4] * (this.size - this.#lost);
    while (isBehind() && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Ends the workers. No launch may be running. */
  end(): void {
    this.#hasStarted = true;
    this.#hasEnded = true;
    this.#waiting = [];
    for (const worker of this.#workers.splice(0)) worker.end();
  }

  /** What a worker's kernel failed with. */
  failure(): string {
    const { buffer } = this.#memory;
    const length = this.#words[control.failureBytes / 4];
    return new TextDecoder().decode(new Uint8Array(buffer, control.failureText, length).slice());
  }

  #report(reason: string): void {
    this.#lost += 1;
    console.warn(
      `[kiln] worker thread ${this.#lost} of ${this.size} could not start or has ended (${reason}); ` +
        'its work is done by the other threads',
    );
  }
}

/** Whether this thread may sleep: all but the main thread of a page. */
function mayWait(): boolean {
  const { process, document } = globalThis as { process?: NodeProcess; document?: unknown };
  return process?.getBuiltinModule !== undefined || document === undefined;
}

function newWorker(start: PoolStart, lost: Lost): PoolWorker {
  const { process } = globalThis as { process?: NodeProcess };
  const threads = process?.getBuiltinModule?.('node:worker_threads');
  return process && threads ? newNodeWorker(threads, process, start, lost) : newWebWorker(start, lost);
}

function newNodeWorker(
  threads: typeof import('node:worker_threads'),
  process: NodeProcess,
  start: PoolStart,
  lost: Lost,
): PoolWorker {
  // Without options that register loaders, which take longer to start than the worker.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const options = { workerData: start, execArgv: [], env, name: 'kiln-pool' };
  // A variable: bundlers take `new URL('…', import.meta.url)` for a file to carry along, and pages have no use for this.
  const here: string = import.meta.url;
  const isSource = here.endsWith('.ts');
  const worker =
    isSource && !process.features?.typescript
      ? new threads.Worker(workerText(), { ...options, eval: true })
      : new threads.Worker(new URL(`./pool-worker.${isSource ? 'ts' : 'js'}`, here), options);
  let isEnding = false;
  worker.unref();
  worker.on('error', (error: unknown) => lost(String(error)));
  worker.on('exit', (code) => {
    if (!isEnding) lost(`exit code ${code}`);
  });
  return {
    post: (message) => worker.postMessage(message),
    end: () => {
      isEnding = true;
      void worker.terminate();
    },
  };
}

/** The worker as a script, for an engine that runs the sources but strips no types in a worker. */
function workerText(): string {
  return `
    // Compilers of single files name functions through this helper.
    const __name = (f) => f;
    const { parentPort, workerData } = require('node:worker_threads');
    (${runPoolWorker})(workerData, (receive) => parentPort.on('message', receive));
  `;
}

interface WebWorker {
  postMessage(message: unknown): void;
  terminate(): void;
  onerror: ((event: { readonly message?: string }) => void) | null;
}

interface WebScope {
  readonly location: { readonly origin: string };
  readonly URL: typeof URL & { createObjectURL(blob: unknown): string };
  readonly Blob: new (parts: readonly string[], options: { type: string }) => unknown;
}

declare const Worker: new (url: URL | string, options: { type: 'module'; name: string }) => WebWorker;

function newWebWorker(start: PoolStart, lost: Lost): PoolWorker {
  const worker = isSameOrigin()
    ? // Bundlers look for this very expression.
      new Worker(new URL('./pool-worker.js', import.meta.url), { type: 'module', name: 'kiln-pool' })
    : new Worker(blobUrl(), { type: 'module', name: 'kiln-pool' });
  worker.onerror = ({ message }) => lost(message ?? 'its script could not be loaded');
  worker.postMessage(start);
  return {
    post: (message) => worker.postMessage(message),
    end: () => worker.terminate(),
  };
}

const isSameOrigin = (): boolean => new URL(import.meta.url).origin === webScope().location.origin;

const webScope = (): WebScope => globalThis as unknown as WebScope;

/** A script of this page's own origin that imports the worker from where Kiln was loaded. */
function blobUrl(): string {
  const { URL: urls, Blob } = webScope();
  const script = new URL('./pool-worker.js', import.meta.url).href;
  return urls.createObjectURL(new Blob([`import ${JSON.stringify(script)};`], { type: 'text/javascript' }));
}
