/**
 * Scopes behind `tidy`: every array made while a scope is open is released when it closes, but for those the caller
 * keeps. Scopes nest; what an inner scope keeps belongs to the outer one.
 *
 *     const y = scoped(() => f(x), (result) => [result]);       // temporaries of f are gone, y stays
 *
 * A scope is open while its body runs, and no longer: what a body starts and leaves running (a promise) would make its
 * arrays later, in whatever scope is open then. So a body that returns a promise is an error, and nothing it made is
 * released.
 */
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import type { DeviceArray } from './array.ts';

interface Scope {
  readonly outer: Scope | undefined;
  readonly arrays: Set<DeviceArray>;
}

let current: Scope | undefined;

/** Puts a new array into the open scope, if there is one. */
export function trackInScope(array: DeviceArray): void {
  current?.arrays.add(array);
}

/**
 * Runs `body` in a scope of its own and releases what it made.
 * @param kept the arrays of the result, which stay and move to the outer scope
 * @throws KilnError `async_function` when the body returns a promise; whatever the body throws, after releasing what
 * it had made
 */
export function scoped<T>(body: () => T, kept: (result: T) => Iterable<DeviceArray>): T {
  const location = SourceLocation.capture();
  const scope: Scope = { outer: current, arrays: new Set() };
  current = scope;
  try {
    const result = body();
    if (isPromise(result)) throw asyncBody(result, scope, location);
    for (const array of kept(result)) {
      if (scope.arrays.delete(array)) scope.outer?.arrays.add(array);
    }
    return result;
  } finally {
    current = scope.outer;
    for (const array of scope.arrays) array.release({ by: 'tidy', location });
  }
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';

function asyncBody(result: PromiseLike<unknown>, scope: Scope, location: SourceLocation): KilnError {
  // The promise is the caller's no longer; its own failure must not surface as an unhandled rejection.
  result.then(undefined, () => undefined);
  for (const array of scope.arrays) scope.outer?.arrays.add(array);
  scope.arrays.clear();
  return new KilnError('async_function', 'tidy: the function returned a promise', {
    given: 'an async function, or one that returns a promise',
    expected: 'a function that has made all its arrays when it returns',
    hint: 'call tidy inside the async function, around the parts between awaits, or declare arrays with `using`',
    location,
  });
}
