/** Hooks that tell of every module that is loaded; they run on Node's thread for hooks (`imported-files.ts`). */
import type { InitializeHook, LoadHook } from 'node:module';
import type { MessagePort } from 'node:worker_threads';

let port: MessagePort | undefined;

export const initialize: InitializeHook<{ readonly port: MessagePort }> = (data) => {
  ({ port } = data);
};

export const load: LoadHook = (url, context, next) => {
  port?.postMessage(url);
  return next(url, context);
};
