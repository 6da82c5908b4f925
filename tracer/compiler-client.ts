/**
 * Reaches the compiler. It is big (Binaryen, for WASM), so it is loaded on the first miss and never on import. Whoever can wait
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

type Target = CompileRequest['tier']['target'];

let inline: InlineCompiler | undefined;
const loading = new Map<Target, Promise<InlineCompiler>>();

/** Loads the compiler for a target into this thread. Afterwards nothing of that target needs a worker. */
export function loadCompiler(target: Target = 'wasm'): Promise<InlineCompiler> {
  let load = loading.get(target);
  if (!load) {
    load = import('./compiler.ts').then(async (compiler) => {
      await compiler.ready(target);
      inline = compiler;
      if (target === 'wasm') endWorker();
      return compiler;
    });
    loading.set(target, load);
  }
  return load;
}

/** Whether a compile for a target can run in this thread at once. */
export const isCompilerLoaded = (target: Target = 'wasm'): boolean => loadedFor(target) !== undefined;

/** The compiler of this thread, if it can compile for a target. */
const loadedFor = (target: Target): InlineCompiler | undefined => (inline?.isReady(target) ? inline : undefined);

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
  const { target } = first.tier;
  const loaded = loadedFor(target);
  const thread = !loaded && target === 'wasm' && isRewritten() ? compilerThread() : undefined;
  if (thread) return thread.compile(first);
  const compiler = loaded ?? (await loadCompiler(target));
  const wanted = request();
  return wanted && compiler.compileAside(wanted);
}

/**
 * Compiles before it returns.
 * @throws KilnError `blocking_read` where the thread may not wait; whatever the compiler says
 */
export function compileNow(request: CompileRequest): CompileResult {
  const loaded = loadedFor(request.tier.target);
  if (loaded) return loaded.compile(request);
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
