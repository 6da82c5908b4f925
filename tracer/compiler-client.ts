/**
 * Reaches the compiler. It is big (Binaryen), so it is loaded on the first miss and never on import. Whoever can wait
 * gets it inline, by dynamic import. Whoever must have a program now, before it is loaded, gets it from a worker
 * thread that is waited for with `Atomics.wait` (Node); where the thread may not block, that is an error. Where a
 * loader such as tsx rewrites every module of this thread, which takes seconds for Binaryen, all use the worker.
 *
 *     const result = await compileInBackground(() => request);
 */
import { KilnError } from '../base/error.ts';
import type * as Compiler from './compiler.ts';
import type { CompileRequest, CompileResult } from './compiler.ts';
import { CompilerThread, type NodeProcess } from './compiler-thread.ts';

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
 * Compiles without blocking on the compiler's load. It lets the current task finish first: a script that reads its
 * results synchronously has them by then, and needs no second compiler.
 * @param request what to compile, asked for at the last moment; `undefined` when it is done by then
 */
export async function compileInBackground(
  request: () => CompileRequest | undefined,
): Promise<CompileResult | undefined> {
  if (!inline) await new Promise((resolve) => setTimeout(resolve, 0));
  const first = request();
  if (!first) return undefined;
  const thread = !inline && isRewritten() ? compilerThread() : undefined;
  if (thread) return thread.compile(first);
  const compiler = inline ?? (await loadCompiler());
  const wanted = request();
  return wanted && compiler.compile(wanted);
}

/**
 * Compiles before it returns.
 * @throws KilnError `blocking_read` where the thread may not wait; whatever the compiler says
 */
export function compileNow(request: CompileRequest): CompileResult {
  if (inline) return inline.compile(request);
  const thread = compilerThread();
  if (thread) return thread.compileNow(request);
  throw new KilnError('blocking_read', 'a value is read synchronously before its program is compiled', {
    expected: 'a compiled program: this thread may not wait for the compiler',
    hint: 'await x.data() or x.ready() instead, or await compiled.warmup(...) beforehand',
  });
}

let thread: CompilerThread | undefined;

/** The worker thread, started when it is first needed; `undefined` where there are none that can be waited for. */
function compilerThread(): CompilerThread | undefined {
  if (thread && !thread.failure) return thread;
  const process = nodeProcess();
  const threads = process?.getBuiltinModule?.('node:worker_threads');
  thread = process && threads && new CompilerThread(threads, process);
  return thread;
}

/** Ends the worker, if there is one, after what it was asked; the next compile that needs one starts another. */
export function endWorker(): void {
  thread?.end();
  thread = undefined;
}

const nodeProcess = (): NodeProcess | undefined => (globalThis as { process?: NodeProcess }).process;

const loaderOption = /^(--import|--require|-r|--loader|--experimental-loader)(=|$)/;

/**
 * Whether this process was started with modules that may rewrite what it loads, and Binaryen is not among them: then
 * it was loaded before.
 */
function isRewritten(): boolean {
  const process = nodeProcess();
  const options = [...(process?.execArgv ?? []), ...(process?.env.NODE_OPTIONS?.split(/\s+/) ?? [])];
  const preloads = options.some((option) => /binaryen|scripts\/preload\.mjs/.test(option));
  return !preloads && options.some((option) => loaderOption.test(option));
}
