/**
 * Arguments and results of loaded functions as trees: the arrays of an argument in order, where it is as the record
 * says, and results put together again.
 *
 *     gatherArrays({ w: x }, { kind: 'dict', keys: ['w'], children: [{ kind: 'array' }] }, arrays)     // true; arrays is [x]
 */
import { isPlainObject, sortedKeys, staticKey } from '../../base/static-key.ts';
import { DeviceArray } from '../array.ts';
import type { TreeRecord } from '../artefact/records.ts';
import { valueOfKey } from '../artefact/static-values.ts';
import type { ArraySpec } from '../device.ts';
import { dtypeOfTypedArray } from '../typed-arrays.ts';

/** What counts as an array among arguments. */
export type ArrayArgument = DeviceArray | ArrayBufferView;

/** Whether a value is an array that a function can take. */
export const isArrayArgument = (value: unknown): value is ArrayArgument =>
  value instanceof DeviceArray || dtypeOfTypedArray(value) !== undefined;

/** Element type and sizes of an argument. A typed array has one axis. */
export const specOfArray = (array: ArrayArgument): ArraySpec =>
  array instanceof DeviceArray
    ? array
    : { dtype: dtypeOfTypedArray(array)!, shape: [(array as unknown as ArrayLike<unknown>).length] };

/** Whether a value is as the tree says; collects its arrays, in order. It runs at every call. */
export function gatherArrays(value: unknown, tree: TreeRecord, arrays: ArrayArgument[]): boolean {
  switch (tree.kind) {
    case 'array':
      if (!isArrayArgument(value)) return false;
      arrays.push(value);
      return true;
    case 'static':
      return staticKey(value) === tree.key;
    case 'list': {
      const { children } = tree;
      if (!Array.isArray(value) || value.length !== children.length) return false;
      for (let i = 0; i < children.length; i++) if (!gatherArrays(value[i], children[i], arrays)) return false;
      return true;
    }
    case 'dict': {
      if (typeof value !== 'object' || value === null || !isPlainObject(value)) return false;
      const { keys, children } = tree;
      const given = sortedKeys(value);
      if (given.length !== keys.length) return false;
      for (let i = 0; i < keys.length; i++) {
        if (given[i] !== keys[i] || !gatherArrays(value[keys[i]], children[i], arrays)) return false;
      }
      return true;
    }
  }
}

/** The value of a tree; `next` gives its arrays in order. */
export function rebuildTree(tree: TreeRecord, next: () => unknown): unknown {
  switch (tree.kind) {
    case 'array':
      return next();
    case 'static':
      return valueOfKey(tree.key);
    case 'list':
      return tree.children.map((child) => rebuildTree(child, next));
    case 'dict': {
      const value: Record<string, unknown> = {};
      tree.keys.forEach((key, i) => {
        defineField(value, key, rebuildTree(tree.children[i], next));
      });
      return value;
    }
  }
}

/** Assignment that treats `__proto__` as any other name. */
export function defineField(target: object, name: string, value: unknown): void {
  if (name !== '__proto__') (target as Record<string, unknown>)[name] = value;
  else Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}
