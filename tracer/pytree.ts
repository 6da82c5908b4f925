/**
 * Pytrees: values inside nested arrays, plain objects and instances of registered classes. Everything else is a leaf;
 * `null` and `undefined` belong to the structure and hold no leaf. The keys of objects are visited in sorted order,
 * so `{ w, b }` and `{ b, w }` have the same structure.
 *
 *     tree.leaves({ w: a, layers: [b, c] })                    // [b, c, a]
 *     tree.map((p, g) => p.sub(g.mul(0.1)), params, gradients)
 *     tree.structure({ w: a, b: [c, null] }).toString()        // '{b:[*,null],w:*}'
 */
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { isPlainObject, sortedKeys, staticKey } from '../base/static-key.ts';
import { hintForCopies, markCopy } from './copies.ts';
import { Tensor } from './tensor.ts';

/** How instances of a registered class come apart and together again. */
export interface ClassRegistration<T, C = unknown, A = unknown> {
  /** What an instance holds (any pytree), and what belongs to the structure: compared, never traced. */
  readonly flatten: (instance: T) => readonly [children: C, aux?: A];
  /** The instance that holds `children`, a tree of the structure that `flatten` gave. */
  readonly unflatten: (children: C, aux: A) => T;
}

type Constructor<T> = abstract new (...args: never[]) => T;

export interface Registered {
  readonly name: string;
  /** Tells classes of one name apart. */
  readonly id: number;
  readonly parts: ClassRegistration<object>;
}

const registry = new Map<object, Registered>();

/** The shape of a tree: containers, and where its leaves are. Two of them are equal when their `toString()` is. */
export type TreeStructure =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'nothing'; readonly value: null | undefined }
  | { readonly kind: 'list'; readonly children: readonly TreeStructure[] }
  | { readonly kind: 'dict'; readonly keys: readonly string[]; readonly children: readonly TreeStructure[] }
  | {
      readonly kind: 'instance';
      readonly of: Registered;
      readonly aux: unknown;
      readonly children: readonly [TreeStructure];
    };

/** Text of a structure; equal texts mean equal structures. */
function formatStructure(structure: TreeStructure): string {
  switch (structure.kind) {
    case 'leaf':
      return '*';
    case 'nothing':
      return String(structure.value);
    case 'list':
      return `[${structure.children.map(formatStructure).join(',')}]`;
    case 'dict':
      return `{${structure.keys.map((key, i) => `${formatKey(key)}:${formatStructure(structure.children[i])}`).join(',')}}`;
    case 'instance': {
      const { of, aux, children } = structure;
      return `${of.name}#${of.id}(${formatStructure(children[0])}${aux === undefined ? '' : `;${staticKey(aux)}`})`;
    }
  }
}

const formatKey = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key));

/** The registration of an instance's class. */
export const registrationOf = (value: object): Registered | undefined =>
  registry.get(Object.getPrototypeOf(value) as object);

/** The registered class of a name, where there is exactly one. */
export function registeredClass(name: string): Registered | undefined {
  const found = [...registry.values()].filter((registered) => registered.name === name);
  return found.length === 1 ? found[0] : undefined;
}

/** Other objects that are leaves: specs and the like mark themselves so. */
const leafClasses = new Set<object>();

/** Makes instances of a class of ours leaves of every tree. */
export const declareLeafClass = (leafClass: { readonly prototype: object }): void => {
  leafClasses.add(leafClass.prototype);
  markCopy(leafClass);
};

/** How a value takes part in trees. @throws KilnError `unregistered_class` */
export function nodeKind(value: unknown): 'leaf' | 'nothing' | 'list' | 'dict' | 'instance' {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value !== 'object' || value instanceof Tensor) return 'leaf';
  if (Array.isArray(value)) return 'list';
  if (isPlainObject(value)) return 'dict';
  if (registry.has(Object.getPrototypeOf(value) as object)) return 'instance';
  if (ArrayBuffer.isView(value) || leafClasses.has(Object.getPrototypeOf(value) as object)) return 'leaf';
  throw new KilnError('unregistered_class', `an instance of ${className(value)} is not a pytree`, {
    given: `an object of class ${className(value)}`,
    expected: 'tensors in nested arrays, plain objects and instances of registered classes',
    hint:
      hintForCopies(value) ??
      `tree.register(${className(value)}, { flatten, unflatten }), or pass its tensors in a plain object`,
    location: SourceLocation.capture(),
  });
}

const className = (value: object): string =>
  (value as { readonly constructor?: { readonly name?: string } }).constructor?.name || 'an anonymous class';

/** The trees directly inside a list or plain object, in order. */
const childrenOf = (value: object, kind: 'list' | 'dict'): readonly unknown[] =>
  kind === 'list'
    ? (value as readonly unknown[])
    : sortedKeys(value).map((key) => (value as Record<string, unknown>)[key]);

function flattenInto(value: unknown, leaves: unknown[]): TreeStructure {
  const kind = nodeKind(value);
  if (kind === 'leaf') {
    leaves.push(value);
    return { kind };
  }
  if (kind === 'nothing') return { kind, value: value as null | undefined };
  const container = value as object;
  if (kind === 'instance') {
    const of = registrationOf(container)!;
    const [held, aux] = of.parts.flatten(container);
    return { kind, of, aux, children: [flattenInto(held, leaves)] };
  }
  const children = childrenOf(container, kind).map((child) => flattenInto(child, leaves));
  return kind === 'list' ? { kind, children } : { kind, keys: sortedKeys(container), children };
}

/** Rebuilds a tree; `next` gives the leaves in order. */
export function rebuild(structure: TreeStructure, next: () => unknown): unknown {
  switch (structure.kind) {
    case 'leaf':
      return next();
    case 'nothing':
      return structure.value;
    case 'list':
      return structure.children.map((child) => rebuild(child, next));
    case 'dict': {
      const result: Record<string, unknown> = {};
      for (let i = 0; i < structure.keys.length; i++) {
        define(result, structure.keys[i], rebuild(structure.children[i], next));
      }
      return result;
    }
    case 'instance': {
      const children = rebuild(structure.children[0], next);
      return structure.of.parts.unflatten(children, structure.aux);
    }
  }
}

/** Assignment that treats `__proto__` as any other key. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Calls `visit` with each leaf and its path, such as `.layers[0].w`. */
export function visitLeaves(value: unknown, visit: (leaf: unknown, path: string) => void, path = ''): void {
  const kind = nodeKind(value);
  if (kind === 'leaf') visit(value, path);
  else if (kind === 'list')
    for (const [i, child] of (value as readonly unknown[]).entries()) visitLeaves(child, visit, `${path}[${i}]`);
  else if (kind === 'dict') {
    for (const key of sortedKeys(value as object)) {
      const step = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
      visitLeaves((value as Record<string, unknown>)[key], visit, path + step);
    }
  } else if (kind === 'instance') {
    visitLeaves(registrationOf(value as object)!.parts.flatten(value as object)[0], visit, path);
  }
}

/** A tree of the same structure with `change` applied to each leaf. */
export function mapLeaves(value: unknown, change: (leaf: unknown) => unknown): unknown {
  const leaves: unknown[] = [];
  const structure = flattenInto(value, leaves);
  let at = 0;
  return rebuild(structure, () => change(leaves[at++]));
}

/** The type of a tree's leaves. */
export type Leaf<T> = T extends Tensor
  ? T
  : T extends null | undefined
    ? never
    : T extends readonly (infer E)[]
      ? Leaf<E>
      : T extends (...args: never[]) => unknown
        ? T
        : T extends object
          ? Leaf<T[keyof T]>
          : T;

/** A tree like `T` whose leaves are `R`. */
export type Mapped<T, R> = T extends Tensor
  ? R
  : T extends null | undefined
    ? T
    : T extends (...args: never[]) => unknown
      ? R
      : T extends object
        ? { [K in keyof T]: Mapped<T[K], R> }
        : R;

/**
 * Applies `change` to each leaf, together with the leaves at the same place of `rest`.
 * @returns a tree of the structure of `first`
 * @throws KilnError `tree_mismatch` when a tree of `rest` has another structure, `unregistered_class`
 */
function map<T>(change: (leaf: Tensor, ...rest: Tensor[]) => Tensor, first: T, ...rest: readonly NoInfer<T>[]): T;
function map<T, R>(
  change: (leaf: Leaf<T>, ...rest: Leaf<T>[]) => R,
  first: T,
  ...rest: readonly NoInfer<T>[]
): Mapped<T, R>;
function map(change: (...leaves: never[]) => unknown, first: unknown, ...rest: readonly unknown[]): unknown {
  const leaves: unknown[] = [];
  const structure = flattenInto(first, leaves);
  const others = rest.map((other, i) => {
    const found: unknown[] = [];
    assertSameStructure('tree.map', structure, flattenInto(other, found), `tree ${i + 2}`);
    return found;
  });
  let at = 0;
  const call = change as (...leaves: readonly unknown[]) => unknown;
  return rebuild(structure, () => {
    const i = at++;
    return call(leaves[i], ...others.map((found) => found[i]));
  });
}

/** @throws KilnError `tree_mismatch` */
export function assertSameStructure(what: string, expected: TreeStructure, given: TreeStructure, name: string): void {
  const [want, have] = [formatStructure(expected), formatStructure(given)];
  if (want === have) return;
  throw new KilnError('tree_mismatch', `${what}: ${name} has another structure`, {
    given: have,
    expected: want,
    hint: '* stands for a leaf; give every tree the same keys, lengths and nulls',
    location: SourceLocation.capture(),
  });
}

/** The leaves of a tree, in order. @throws KilnError `unregistered_class` */
function leaves<T>(value: T): Leaf<T>[] {
  const found: unknown[] = [];
  flattenInto(value, found);
  return found as Leaf<T>[];
}

/** A tree as its leaves and its structure. @throws KilnError `unregistered_class` */
function flatten<T>(value: T): { leaves: Leaf<T>[]; structure: TreeStructure } {
  const found: unknown[] = [];
  const structure = flattenInto(value, found);
  return { leaves: found as Leaf<T>[], structure };
}

/**
 * The tree of a structure with the given leaves.
 * @throws KilnError `tree_mismatch` when there are too many or too few
 */
function unflatten(structure: TreeStructure, values: readonly unknown[]): unknown {
  const count = countLeaves(structure);
  if (count !== values.length) {
    throw new KilnError('tree_mismatch', 'tree.unflatten: wrong number of leaves', {
      given: `${values.length} leaves`,
      expected: `${count} for ${formatStructure(structure)}`,
      location: SourceLocation.capture(),
    });
  }
  let at = 0;
  return rebuild(structure, () => values[at++]);
}

/** How many leaves a tree of the structure has. */
export const countLeaves = (structure: TreeStructure): number => {
  if (structure.kind === 'leaf') return 1;
  return structure.kind === 'nothing' ? 0 : structure.children.reduce((sum, child) => sum + countLeaves(child), 0);
};

/** The structure of a tree, with a readable `toString()`. */
function structure(value: unknown): TreeStructure {
  const found = flattenInto(value, []);
  return Object.defineProperty(found, 'toString', { value: () => formatStructure(found), enumerable: false });
}

let registrations = 0;

/**
 * Makes instances of a class pytrees.
 * @param parts how they come apart; by default into their own enumerable fields, and back without the constructor
 * @throws KilnError `invalid_argument` for something that is no class
 */
function register<T extends object, C = unknown, A = unknown>(
  registered: Constructor<T>,
  parts?: ClassRegistration<T, C, A>,
): void {
  if (typeof registered !== 'function' || typeof registered.prototype !== 'object') {
    throw new KilnError('invalid_argument', 'tree.register: the first argument must be a class', {
      given: String(registered),
      location: SourceLocation.capture(),
    });
  }
  const prototype = registered.prototype as object;
  registry.set(prototype, {
    name: registered.name,
    id: ++registrations,
    parts: (parts as ClassRegistration<object> | undefined) ?? fieldsOf(prototype),
  });
}

const fieldsOf = (prototype: object): ClassRegistration<object> => ({
  flatten: (instance) => [{ ...instance }],
  unflatten: (children) => Object.assign(Object.create(prototype) as object, children),
});

/** The function with the user's line added to its errors: a deep tree hides it from where they are thrown. */
const located = <F extends (...args: never[]) => unknown>(fn: F): F =>
  ((...args: never[]) => {
    try {
      return fn(...args);
    } catch (error) {
      throw error instanceof KilnError ? error.at(SourceLocation.capture()) : error;
    }
  }) as F;

/** Functions over pytrees: nested arrays, plain objects and instances of registered classes. */
export const tree = {
  map: located(map),
  leaves: located(leaves),
  flatten: located(flatten),
  unflatten: located(unflatten),
  structure: located(structure),
  register,
} as const;
