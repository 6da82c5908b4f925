/**
 * Reaches the compiler. It is big (Binaryen), so it is loaded on the first miss and never on import. Whoever can wait
 * gets it inline, by dynamic import. Whoever must have a program now, before it is loaded, gets it from a worker
 * thread that is waited for with `Atomics.wait` (Node); where the thread may not block, that is an error.
 *
 *     const result = await compileInBackground(() => request);
 */
import { type ErrorCode, type ErrorDetails, KilnError } from '../base/error.ts';
import { type SourceFrame, SourceLocation } from '../base/location.ts';
import { printModule } from '../ir/printer.ts';
import type * as Compiler from './compiler.ts';
import type { CompileRequest, CompileResult } from './compiler.ts';

type InlineCompiler = typeof Compiler;

let inline: InlineCompiler | undefined;
let loading: Promise<InlineCompiler> | undefined;

/** Loads the compiler into this thread. Afterwards nothing needs a worker. */
export function loadCompiler(): Promise<InlineCompiler> {
  loading ??= import('./compiler.ts').then(async (compiler) => {
    await compiler.ready();
    inline = compiler;
    endWorker();
    return compiler;
  });
  return loading;
}

/** Whether a compile can run in this thread at once. */
export const isCompilerLoaded = (): boolean => inline !== undefined;

/**
 * Compiles in this thread when the compiler is loaded, which it waits for. It lets the current task finish first: a
 * script that reads its results synchronously has them by then, and needs no second compiler.
 * @param request what to compile, asked for at the last moment; `undefined` when it is done by then
 */
export async function compileInBackground(
  request: () => CompileRequest | undefined,
): Promise<CompileResult | undefined> {
  if (!inline) await new Promise((resolve) => setTimeout(resolve, 0));
  if (!request()) return undefined;
  const compiler = inline ?? (await loadCompiler());
  const wanted = request();
  return wanted && compiler.compile(wanted);
}

/**
 * Compiles before it returns.
 * @throws KilnError `blocking_read` where the thread may not wait; whatever the compiler says
 */
export const compileNow = (request: CompileRequest): CompileResult =>
  inline ? inline.compile(request) : compileInWorker(request);

/** A request as it travels to the worker: the module as text. */
export type WorkerRequest = Omit<CompileRequest, 'module'> & { readonly text: string };

/** What the worker answers. */
export type WorkerAnswer = { readonly result: CompileResult } | { readonly failure: WorkerFailure };

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
  readonly port: import('node:worker_threads').MessagePort;
  readonly state: Int32Array<SharedArrayBuffer>;
}

interface CompilerWorker {
  readonly port: import('node:worker_threads').MessagePort;
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly receive: typeof import('node:worker_threads').receiveMessageOnPort;
  readonly terminate: () => void;
}

let worker: CompilerWorker | undefined;

/** Ends the worker, if there is one; the next synchronous compile starts another. */
export function endWorker(): void {
  worker?.terminate();
  worker = undefined;
}

/** Milliseconds after which a worker that says nothing is given up. */
const patience = { start: 30_000, compile: 600_000 };

function compileInWorker(request: CompileRequest): CompileResult {
  worker ??= startWorker();
  const { port, state, receive } = worker;
  const before = Atomics.load(state, 0);
  const { module, ...options } = request;
  port.postMessage({ ...options, text: printModule(module, { locations: true }) } satisfies WorkerRequest);
  Atomics.wait(state, 0, before, patience.compile);
  const answer = receive(port) as { readonly message: WorkerAnswer } | undefined;
  if (!answer) {
    endWorker();
    throw new KilnError('compile_failed', 'the compile worker gave no answer');
  }
  const { message } = answer;
  if ('result' in message) return message.result;
  const { code, summary, details, frame, stack } = message.failure;
  const location = frame && SourceLocation.of(frame.file, frame.line, frame.column);
  throw new KilnError(code, summary, { ...details, ...(location && { location }), cause: stack });
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:worker_threads'): NodeThreads | undefined;
  readonly features: { readonly typescript?: unknown };
}

type NodeThreads = typeof import('node:worker_threads');

function startWorker(): CompilerWorker {
  const { process } = globalThis as { process?: NodeProcess };
  const threads = process?.getBuiltinModule?.('node:worker_threads');
  if (!process || !threads) {
    throw new KilnError('blocking_read', 'a value is read synchronously before its program is compiled', {
      expected: 'a compiled program: this thread may not wait for the compiler',
      hint: 'await x.data() or x.ready() instead, or await compiled.warmup(...) beforehand',
    });
  }
  const state = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new threads.MessageChannel();
  const thread = newThread(threads, process, { workerData: { port: port2, state }, transferList: [port2] });
  thread.unref();
  port1.unref();
  if (Atomics.wait(state, 0, 0, patience.start) === 'timed-out') {
    void thread.terminate();
    throw new KilnError('compile_failed', `the compile worker did not start within ${patience.start} ms`, {
      hint: 'await compiled.warmup(...) or x.data(), which compile in this thread',
    });
  }
  return { port: port1, state, receive: threads.receiveMessageOnPort, terminate: () => void thread.terminate() };
}

/**
 * A thread that runs the file beside this one. From the sources (.ts) an engine that does not strip types needs tsx,
 * whose hooks a worker does not inherit.
 */
function newThread(threads: NodeThreads, process: NodeProcess, options: object): import('node:worker_threads').Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new threads.Worker(new URL('./compiler-worker.js', import.meta.url), options);
  }
  const source = new URL('./compiler-worker.ts', import.meta.url);
  if (process.features.typescript) return new threads.Worker(source, options);
  // Binaryen first: the hooks would rewrite its 15 MB, which takes seconds.
  const [binaryen, hooks] = ['binaryen', 'tsx/esm/api'].map((name) => JSON.stringify(import.meta.resolve(name)));
  const code = `import(${binaryen}).then(() => import(${hooks})).then(({ register }) => {
    register();
    return import(${JSON.stringify(source)});
  });`;
  return new threads.Worker(code, { ...options, eval: true, execArgv: [] });
}
