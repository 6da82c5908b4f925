/**
 * Values that are part of a signature, as keys: two values with one key are the same to every program. Baked functions
 * keep such keys as their guards, so their form is part of the artefact's format.
 *
 *     staticKey(0.1)                 // 'n0.1'
 *     staticKey({ mode: 'relu' })    // '{4:mode=s4:relu}'
 */

const identities = new WeakMap<object, number>();
const symbolIdentities = new Map<symbol, number>();
let identityCount = 0;

/** A number for an object, function or symbol; the same for the same one as long as it lives. */
export function identity(value: object | symbol): number {
  const known = typeof value === 'symbol' ? symbolIdentities.get(value) : identities.get(value);
  if (known !== undefined) return known;
  identityCount++;
  if (typeof value === 'symbol') symbolIdentities.set(value, identityCount);
  else identities.set(value, identityCount);
  return identityCount;
}

/** Tells what is known by identity by a number. */
export type Identify = (value: object | symbol) => number;

/**
 * The key of a static value: equal keys mean values that no program can tell apart. Numbers as by `Object.is`; arrays
 * and plain objects by content; functions and other objects by identity, which holds in this process only.
 */
export function staticKey(value: unknown, identify: Identify = identity): string {
  switch (typeof value) {
    case 'number':
      return Object.is(value, -0) ? 'n-0' : `n${value}`;
    case 'string':
      return `s${value.length}:${value}`;
    case 'boolean':
      return value ? 'b1' : 'b0';
    case 'bigint':
      return `i${value}`;
    case 'undefined':
      return 'U';
    case 'function':
    case 'symbol':
      return `#${identify(value)}`;
    case 'object':
      return value === null ? 'N' : objectKey(value, identify);
  }
}

function objectKey(value: object, identify: Identify): string {
  if (Array.isArray(value)) return `[${Array.from(value, (element) => staticKey(element, identify)).join(',')}]`;
  if (!isPlainObject(value)) return `#${identify(value)}`;
  return `{${sortedKeys(value)
    .map((key) => `${key.length}:${key}=${staticKey(value[key], identify)}`)
    .join(',')}}`;
}

/** Whether a value is an object whose class is `Object`, or that has none. */
export function isPlainObject(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || isForeignObjectPrototype(prototype as object);
}

/** `Object.prototype` of another realm (a worker, a vm context, an iframe). */
const isForeignObjectPrototype = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');

/** Own enumerable string keys, sorted; most objects have few, often sorted already. */
export function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  for (let i = 1; i < keys.length; i++) if (keys[i] < keys[i - 1]) return keys.sort();
  return keys;
}
