/**
 * Binaryen, loaded when the first kernel must be compiled: it is 15 MB of JavaScript and takes half a second, which a
 * cache hit or a baked program never pays.
 */
import type { Binaryen } from './math/emitter.ts';

let loading: Promise<Binaryen> | undefined;

/** The library, once. A failed import may be tried again. */
export function loadBinaryen(): Promise<Binaryen> {
  loading ??= import('binaryen').then(
    (namespace) => namespace.default,
    (cause: unknown) => {
      loading = undefined;
      throw cause;
    },
  );
  return loading;
}
