/**
 * The compiler on a worker thread (Node), which serves two kinds of callers: one that blocks until its program is
 * there, and one that goes on and is told. Requests are answered in order; each answer goes on the port, then a shared
 * counter goes up by one and wakes who blocks.
 *
 *     const thread = new CompilerThread(threads, process);
 *     thread.compileNow(request)      // blocks
 *     await thread.compile(request)   // does not
 *
 * The thread starts without the loader hooks of the main thread (tsx and the like): they would rewrite the 15 MB of
 * Binaryen, which takes seconds. An idle thread does not keep the process alive; a compile that is waited for does.
 */
import type { MessagePort, Worker } from 'node:worker_threads';
import { type ErrorCode, type ErrorDetails, KilnError } from '../base/error.ts';
import { type SourceFrame, SourceLocation } from '../base/location.ts';
import { printModule } from '../ir/printer.ts';
import { noticeDamage } from '../runtime/cache/damage-notice.ts';
import type { CompileRequest, CompileResult } from './compiler.ts';

/** A request as it travels to the worker: the module as text. */
export type WorkerRequest = Omit<CompileRequest, 'module'> & { readonly id: number; readonly text: string };

/** What the worker answers. */
export type WorkerAnswer = { readonly id: number; readonly notice?: string } & (
  | { readonly result: TravelledResult }
  | { readonly failure: WorkerFailure }
);

/** A result as it travels, with what each step computes as text. */
export type TravelledResult = Omit<CompileResult, 'originOf'> & { readonly origins: readonly (string | undefined)[] };

/** An error as it travels. */
export interface WorkerFailure {
  readonly code: ErrorCode;
  readonly summary: string;
  readonly details: Omit<ErrorDetails, 'location' | 'cause'>;
  /** The user's line. */
  readonly frame: SourceFrame | undefined;
  readonly stack: string;
}

/** What the worker is started with. `state[0]`: 0 starting, 1 ready, then 1 more for each answer. */
export interface WorkerStart {
  readonly port: MessagePort;
  readonly state: Int32Array<SharedArrayBuffer>;
}

/** What is used of Node's `process`. */
export interface NodeProcess {
  getBuiltinModule?(name: 'node:worker_threads'): NodeThreads | undefined;
  readonly features: { readonly typescript?: unknown };
  readonly execArgv?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type NodeThreads = typeof import('node:worker_threads');

interface Waiter {
  readonly resolve: (result: CompileResult) => void;
  readonly reject: (error: KilnError) => void;
}

/** Milliseconds after which a worker that says nothing is given up. */
const patience = { start: 30_000, compile: 600_000 };

export class CompilerThread {
  readonly #thread: Worker;
  readonly #port: MessagePort;
  readonly #state: Int32Array<SharedArrayBuffer>;
  readonly #receive: NodeThreads['receiveMessageOnPort'];
  readonly #waiters = new Map<number, Waiter>();
  #nextId = 0;
  #ending = false;
  /** Set when the thread has died; then nothing can be asked of it. */
  failure: KilnError | undefined;

  constructor(threads: NodeThreads, process: NodeProcess) {
    const { port1, port2 } = new threads.MessageChannel();
    this.#port = port1;
    this.#receive = threads.receiveMessageOnPort;
    this.#state = new Int32Array(new SharedArrayBuffer(4));
    this.#thread = newThread(threads, process, { port: port2, state: this.#state });
    this.#thread.unref();
    this.#thread.on('error', (cause: unknown) => this.#fail(cause));
    this.#thread.on('exit', () => this.#fail(undefined));
    port1.on('message', (answer: WorkerAnswer) => this.#settle(answer));
    port1.unref();
  }

  /** Compiles while this thread goes on. */
  compile(request: CompileRequest): Promise<CompileResult> {
    return new Promise((resolve, reject) => {
      if (this.failure) throw this.failure;
      this.#waiters.set(this.#send(request), { resolve, reject });
      this.#port.ref();
    });
  }

  /** Compiles while this thread blocks. */
  compileNow(request: CompileRequest): CompileResult {
    const state = this.#state;
    if (Atomics.wait(state, 0, 0, patience.start) === 'timed-out') {
      this.#fail(undefined);
      this.end();
      throw new KilnError('compile_failed', `the compile worker did not start within ${patience.start} ms`, {
        hint: 'await compiled.warmup(...) or x.data(), which do not block this thread',
      });
    }
    const id = this.#send(request);
    for (;;) {
      const seen = Atomics.load(state, 0);
      const received = this.#receive(this.#port) as { readonly message: WorkerAnswer } | undefined;
      if (received?.message.id === id) return resultOf(received.message);
      if (received) this.#settle(received.message);
      else if (Atomics.wait(state, 0, seen, patience.compile) === 'timed-out') break;
    }
    this.#fail(undefined);
    this.end();
    throw new KilnError('compile_failed', 'the compile worker gave no answer');
  }

  /** Ends the thread when it has answered what is waited for. */
  end(): void {
    this.#ending = true;
    if (this.#waiters.size === 0) void this.#thread.terminate();
  }

  #send({ module, ...options }: CompileRequest): number {
    const id = this.#nextId++;
    const text = printModule(module, { locations: true });
    this.#port.postMessage({ ...options, id, text } satisfies WorkerRequest);
    return id;
  }

  #settle(answer: WorkerAnswer): void {
    const waiter = this.#waiters.get(answer.id);
    this.#waiters.delete(answer.id);
    try {
      const result = resultOf(answer);
      waiter?.resolve(result);
    } catch (error) {
      waiter?.reject(error as KilnError);
    }
    if (this.#waiters.size > 0) return;
    this.#port.unref();
    if (this.#ending) void this.#thread.terminate();
  }

  #fail(cause: unknown): void {
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    this.failure ??= new KilnError('compile_failed', `the compile worker has ended${reason}`, { cause });
    for (const { reject } of this.#waiters.values()) reject(this.failure);
    this.#waiters.clear();
    this.#port.unref();
  }
}

function resultOf(answer: WorkerAnswer): CompileResult {
  if (answer.notice !== undefined) noticeDamage(answer.notice);
  if ('result' in answer) {
    const { origins, ...result } = answer.result;
    return { ...result, originOf: (step) => origins[step] };
  }
  const { code, summary, details, frame, stack } = answer.failure;
  const location = frame && SourceLocation.of(frame.file, frame.line, frame.column);
  throw new KilnError(code, summary, { ...details, ...(location && { location }), cause: stack });
}

/**
 * A thread that runs the worker beside this file, without options that register loaders. From the sources (.ts) an
 * engine that does not strip types needs tsx; Binaryen is loaded before its hooks are there.
 */
function newThread(threads: NodeThreads, process: NodeProcess, start: WorkerStart): Worker {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const options = { workerData: start, transferList: [start.port], execArgv: [], env };
  if (!import.meta.url.endsWith('.ts')) {
    return new threads.Worker(new URL('./compiler-worker.js', import.meta.url), options);
  }
  const source = new URL('./compiler-worker.ts', import.meta.url);
  if (process.features.typescript) return new threads.Worker(source, options);
  const [binaryen, hooks] = ['binaryen', 'tsx/esm/api'].map((name) => JSON.stringify(import.meta.resolve(name)));
  const code = `import(${binaryen}).then(() => import(${hooks})).then(({ register }) => {
    register();
    return import(${JSON.stringify(source)});
  });`;
  return new threads.Worker(code, { ...options, eval: true });
}
