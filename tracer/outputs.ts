/**
 * What a traced function returns: tensors in nested arrays, plain objects and registered classes. Nothing else can be
 * computed again on the next call, so nothing else may be returned.
 */
import { KilnError } from '../base/error.ts';
import { type TreeStructure, tree, visitLeaves } from './pytree.ts';
import { Tensor } from './tensor.ts';

/** The tensors a traced function gave, and how to put later ones together in the same way. */
export interface Outputs {
  readonly tensors: readonly Tensor[];
  readonly structure: TreeStructure;
}

/**
 * @param label what was traced, for messages
 * @throws KilnError `invalid_output`, `async_function`, `unregistered_class`
 */
export function flattenOutputs(result: unknown, label: string): Outputs {
  if (isThenable(result)) {
    result.then(undefined, () => undefined); // its failure is nobody's: it must not end the process
    throw new KilnError('async_function', `${label}: the function returned a promise`, {
      hint: 'trace a synchronous function; await its inputs before and its results after the call',
    });
  }
  visitLeaves(result, (leaf, path) => {
    if (leaf instanceof Tensor) return;
    throw new KilnError('invalid_output', `${label}: the function returned something that is no tensor`, {
      given: `${describe(leaf)} at result${path}`,
      expected: 'tensors in nested arrays and plain objects',
      hint: 'compute constants outside, or return them as tensors',
    });
  });
  const { leaves, structure } = tree.flatten(result);
  return { tensors: leaves as readonly Tensor[], structure };
}

/** @throws KilnError `invalid_output` when there is no tensor among the outputs. */
export function assertSomeOutput(count: number, result: unknown, label: string): void {
  if (count > 0) return;
  throw new KilnError('invalid_output', `${label}: the function returned no tensor`, {
    given: describe(result),
    expected: 'at least one tensor',
    hint: 'return what the function computes',
  });
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** A value in a few words. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return `the function ${value.name || '(anonymous)'}`;
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : `an array of ${value.length}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Tensor) return value.signature;
  const { name } = (value as { constructor?: { name?: string } }).constructor ?? {};
  return name && name !== 'Object' ? `an instance of ${name}` : 'an object';
}
