/**
 * Trees of arguments and results as records: arrays by their place, everything else by its key.
 *
 *     recordTree({ w: f32[4,2], rate: 0.1 })   // dict { rate: static n0.1, w: array }
 */
import { KilnError } from '../../base/error.ts';
import { isPlainObject, sortedKeys, staticKey } from '../../base/static-key.ts';
import type { TreeRecord } from '../../runtime/artefact/records.ts';
import { type ArrayLeaf, isArrayLeaf } from '../array-leaf.ts';
import { describe } from '../outputs.ts';
import { nodeKind, type TreeStructure } from '../pytree.ts';
import { recordStructure } from '../structure-record.ts';

/**
 * The record of an argument.
 * @param path for messages: `argument 2`
 * @param isStatic whether it is a value as a whole, with no arrays in it
 * @throws KilnError `bake_failed` for what only this process knows, such as functions; `unregistered_class`
 */
export function recordArgument(value: unknown, path: string, isStatic: boolean): TreeRecord {
  return isStatic ? recordStatic(value, path) : recordTree(value, path);
}

function recordTree(value: unknown, path: string): TreeRecord {
  switch (nodeKind(value)) {
    case 'leaf':
      return isArrayLeaf(value) ? { kind: 'array' } : recordStatic(value, path);
    case 'nothing':
      return recordStatic(value, path);
    case 'list':
      return {
        kind: 'list',
        children: (value as readonly unknown[]).map((child, i) => recordTree(child, `${path}[${i}]`)),
      };
    case 'dict': {
      const keys = sortedKeys(value as object);
      const fields = value as Readonly<Record<string, unknown>>;
      return { kind: 'dict', keys, children: keys.map((key) => recordTree(fields[key], `${path}.${key}`)) };
    }
    case 'instance':
      throw refused(
        `${path} is ${describe(value)}`,
        'lists and plain objects: a loader knows no classes of yours',
        'bake a function of the tensors that it holds: (fields, x) => Object.assign(new Model(), fields).forward(x)',
      );
  }
}

function recordStatic(value: unknown, path: string): TreeRecord {
  const culprit = identityIn(value, path);
  if (culprit) {
    throw refused(
      culprit,
      'numbers, strings, booleans, null, and lists and plain objects of them',
      'close over it instead: { fn: (x) => f(x, it), args: [spec(…)] }',
    );
  }
  return { kind: 'static', key: staticKey(value) };
}

/** What in a value can only be told by identity, in words. */
function identityIn(value: unknown, path: string): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `${path} is ${describe(value)}`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value) && !isPlainObject(value)) return `${path} is ${describe(value)}`;
  for (const [key, child] of Object.entries(value)) {
    const found = identityIn(child, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`);
    if (found) return found;
  }
  return undefined;
}

/** The record of a result. @throws KilnError `bake_failed` for instances of registered classes */
export function recordResult(structure: TreeStructure): TreeRecord {
  return recordStructure(structure, ({ of }) => {
    throw refused(
      `the result holds an instance of ${of.name}`,
      'lists and plain objects of tensors',
      'return its tensors in a plain object',
    );
  });
}

/**
 * The record of a tree of weights, and its tensors in order, with their paths.
 * @throws KilnError `bake_failed` for what is no tensor
 */
export function recordWeights(
  value: unknown,
  path: string,
  found: { readonly path: string; readonly tensor: ArrayLeaf }[],
): TreeRecord {
  const kind = nodeKind(value);
  if (kind === 'list' || kind === 'dict') {
    const keys = kind === 'dict' ? sortedKeys(value as object) : Object.keys(value as object);
    const fields = value as Readonly<Record<string, unknown>>;
    const children = keys.map((key) => recordWeights(fields[key], `${path}.${key}`, found));
    return kind === 'dict' ? { kind, keys, children } : { kind, children };
  }
  if (kind !== 'leaf' || !isArrayLeaf(value)) return recordTree(value, path);
  found.push({ path, tensor: value });
  return { kind: 'array' };
}

const refused = (given: string, expected: string, hint: string): KilnError =>
  new KilnError('bake_failed', 'what a file can not hold', { given, expected, hint });
