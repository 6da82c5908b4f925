/**
 * The compiler on a thread of its own (`compiler-thread.ts` is its other end): each request that arrives on the port
 * is answered on the port, then the shared counter goes up by one and a caller that blocks wakes.
 */
import { workerData } from 'node:worker_threads';
import { KilnError } from '../base/error.ts';
import { parseModule } from '../ir/parser.ts';
import { configureCache } from '../runtime/cache/current.ts';
import { relayNotice } from '../runtime/cache/damage-notice.ts';
import type { WorkerAnswer, WorkerRequest, WorkerStart } from './compiler-thread.ts';

const { port, state } = workerData as WorkerStart;

/** What the main thread is to print with the next answer. */
let notice: string | undefined;
relayNotice((text) => {
  notice = text;
});

const wake = (): void => {
  Atomics.add(state, 0, 1);
  Atomics.notify(state, 0);
};

const describeFailure = (id: number, error: unknown): WorkerAnswer => {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  if (!(error instanceof KilnError)) {
    return { id, failure: { code: 'compile_failed', summary: String(error), details: {}, frame: undefined, stack } };
  }
  const { code, summary, given, expected, hint, location } = error;
  const details = { ...(given && { given }), ...(expected && { expected }), ...(hint && { hint }) };
  return { id, failure: { code, summary, details, frame: location?.frames[0], stack } };
};

const compiler = import('./compiler.ts');
// Every answer reports it; unhandled, it would end the thread while somebody blocks on it.
compiler.catch(() => undefined);

async function answer({ id, text, ...options }: WorkerRequest): Promise<void> {
  let message: WorkerAnswer;
  try {
    const { compile, ready } = await compiler;
    await ready(options.tier.target);
    configureCache(options.cache ?? false);
    const { originOf, ...result } = compile({ ...options, module: parseModule(text) });
    message = { id, result: { ...result, origins: result.program.steps.map((_, step) => originOf(step)) } };
  } catch (error) {
    message = describeFailure(id, error);
  }
  port.postMessage(notice === undefined ? message : { ...message, notice });
  notice = undefined;
  wake();
}

port.on('message', (request: WorkerRequest) => void answer(request));
wake();
