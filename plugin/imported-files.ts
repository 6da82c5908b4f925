/**
 * Which files the modules of this process come from, so that the plugin can watch them. Only modules that are loaded
 * after `recordImports()` are seen.
 */
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** What newer releases of Node have: hooks on the thread that loads the modules. */
type Load<T> = (url: string, context: object, next: (url: string, context: object) => T) => T;
const { registerHooks } = nodeModule as { registerHooks?: (hooks: { readonly load: Load<unknown> }) => void };

export interface ImportRecord {
  /** The files until now, those of packages and of Kiln among them. */
  files(): Promise<readonly string[]>;
}

/** Begins to record. */
export function recordImports(): ImportRecord {
  const urls = new Set<string>();
  const settle = registerHooks ? recordHere(urls, registerHooks) : recordOnThread(urls);
  return {
    files: async () => {
      await settle();
      const paths = [...urls]
        .filter((url) => url.startsWith('file:'))
        .map((url) => fileURLToPath(url.replace(/[?#].*$/s, '')));
      // What CommonJS modules require passes no hook in every release of Node.
      paths.push(...Object.keys(nodeModule.createRequire(import.meta.url).cache));
      return paths;
    },
  };
}

function recordHere(urls: Set<string>, register: NonNullable<typeof registerHooks>): () => Promise<void> {
  register({
    load(url, context, next) {
      urls.add(url);
      return next(url, context);
    },
  });
  return async () => {};
}

/** Releases of Node without `registerHooks` run hooks on a thread of their own, which reports here. */
function recordOnThread(urls: Set<string>): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  port1.on('message', (url: string) => urls.add(url));
  port1.unref();
  const hooks = import.meta.url.endsWith('.ts') ? './import-hooks.ts' : './import-hooks.js';
  nodeModule.register(new URL(hooks, import.meta.url), { data: { port: port2 }, transferList: [port2] });
  // Messages arrive in order: once a module of our own has been reported, all before it have.
  return async () => {
    const last = 'data:text/javascript,/* kiln */';
    const arrived = untilReported(port1, last);
    await import(last);
    await arrived;
  };
}

function untilReported(port: MessagePort, url: string): Promise<void> {
  return new Promise((resolve) => {
    port.on('message', (reported: string) => {
      if (reported === url) resolve();
    });
  });
}
