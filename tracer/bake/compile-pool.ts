/**
 * Compiles many requests at once: on worker threads in Node, one after the other where there are none. Results come in
 * the order of the requests, and each is the same whatever was compiled beside it.
 *
 *     const results = await compileAll(requests, { onDone: (done) => bar.update(done) });
 */
import { KilnError } from '../../base/error.ts';
import type { CompileRequest, CompileResult } from '../compiler.ts';
import { compileInBackground } from '../compiler-client.ts';
import { CompilerThread, type NodeProcess, type NodeThreads } from '../compiler-thread.ts';

export interface CompileAllOptions {
  /** Most threads; as many as there are processors, unless given. With 1, none is started for the bake alone. */
  readonly threads?: number;
  /** Told after each compile. @param index which request it was */
  readonly onDone?: (done: number, index: number) => void;
}

export type Compiled = { readonly result: CompileResult } | { readonly failure: KilnError };

/** Each thread holds a compiler of its own, some 100 MB of it. */
const mostThreads = 8;

interface Compiling {
  compile(request: CompileRequest): Promise<CompileResult>;
  end(): void;
}

/** Failures are results like others: none stops the rest. */
export async function compileAll(
  requests: readonly CompileRequest[],
  { threads = processors(), onDone }: CompileAllOptions = {},
): Promise<readonly Compiled[]> {
  const compiled: Compiled[] = Array.from({ length: requests.length });
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    if (next >= requests.length) return;
    const compiler = newCompiler(threads > 1);
    try {
      for (let at = next++; at < requests.length; at = next++) {
        compiled[at] = await outcome(compiler.compile(requests[at]));
        done++;
        onDone?.(done, at);
      }
    } finally {
      compiler.end();
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(threads, mostThreads, requests.length)) }, work));
  return compiled;
}

const outcome = (compiling: Promise<CompileResult>): Promise<Compiled> =>
  compiling.then(
    (result) => ({ result }),
    (error: unknown) => {
      if (error instanceof KilnError) return { failure: error };
      throw error;
    },
  );

/** @param isAside whether on a thread of its own; else wherever a compile in the background runs */
function newCompiler(isAside: boolean): Compiling {
  const { process } = globalThis as { process?: NodeProcess };
  const threads: NodeThreads | undefined = process?.getBuiltinModule?.('node:worker_threads');
  if (isAside && process && threads) return new CompilerThread(threads, process);
  return { compile: async (request) => (await compileInBackground(() => request))!, end: () => undefined };
}

function processors(): number {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: 'node:os'): { availableParallelism(): number } | undefined };
  };
  return process?.getBuiltinModule?.('node:os')?.availableParallelism() ?? 1;
}
