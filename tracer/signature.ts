/**
 * Arguments as a cache sees them: a key, and the tensors in order. The key says everything that a trace may depend on:
 * the structure, the type of each tensor, the value of everything else. Two calls with one key may share a program.
 *
 *     sign([{ w: f32[4,2] }, 0.1, 'relu'])      // key '{1:w=f32[4,2]}n0.1,s4:relu', tensors [w]
 *
 * It runs on every call, so it makes one string and one array.
 */
import { KilnError } from '../base/error.ts';
import { type Identify, sortedKeys, staticKey } from '../base/static-key.ts';
import { dtypeOfTypedArray } from '../runtime/typed-arrays.ts';
import type { ArrayLeaf } from './array-leaf.ts';
import { nodeKind, type Registered, registrationOf } from './pytree.ts';
import { TensorSpec } from './spec.ts';
import { Tensor } from './tensor.ts';

export interface Signed {
  readonly key: string;
  /** Tensors, specs and typed arrays, in the order of the key. */
  readonly arrays: readonly ArrayLeaf[];
}

/** How a key that other processes understand tells what this one knows by identity. */
export interface PortableNames {
  readonly identify: Identify;
  classOf(registered: Registered): string;
}

let key = '';
let arrays: ArrayLeaf[] = [];
let sizesCount = true;
let portable: PortableNames | undefined;

/**
 * @param isStatic arguments that are values as a whole, known by identity where they are objects
 * @param shapeless leaves sizes out of the key: dtypes and ranks remain
 * @throws KilnError `unregistered_class`, `unsupported_dtype`
 */
export function sign(args: readonly unknown[], isStatic?: (position: number) => boolean, shapeless = false): Signed {
  key = '';
  arrays = [];
  sizesCount = !shapeless;
  for (let i = 0; i < args.length; i++) {
    if (isStatic?.(i)) key += `${valueKey(args[i])},`;
    else add(args[i]);
  }
  return { key, arrays };
}

/** The key without sizes, and with other names for what is known by identity. */
export function portableKey(
  args: readonly unknown[],
  isStatic: (position: number) => boolean,
  names: PortableNames,
): string {
  portable = names;
  try {
    return sign(args, isStatic, true).key;
  } finally {
    portable = undefined;
  }
}

const valueKey = (value: unknown): string => (portable ? staticKey(value, portable.identify) : staticKey(value));

const typeKey = (array: Tensor | TensorSpec): string =>
  sizesCount ? array.signature : `${array.dtype}/${array.shape.length}`;

function add(value: unknown): void {
  if (value instanceof Tensor) {
    key += typeKey(value);
    arrays.push(value);
  } else if (typeof value !== 'object' || value === null) {
    key += `${valueKey(value)},`;
  } else if (Array.isArray(value)) {
    key += '[';
    for (let i = 0; i < value.length; i++) add(value[i]);
    key += ']';
  } else addObject(value);
}

function addObject(value: object): void {
  switch (nodeKind(value)) {
    case 'dict': {
      key += '{';
      for (const name of sortedKeys(value)) {
        key += `${name.length}:${name}=`;
        add((value as Record<string, unknown>)[name]);
      }
      key += '}';
      return;
    }
    case 'instance': {
      const registered = registrationOf(value)!;
      const [held, aux] = registered.parts.flatten(value);
      key += `@${portable ? portable.classOf(registered) : registered.id}(`;
      add(held);
      key += `;${valueKey(aux)})`;
      return;
    }
    default:
      addArray(value as TensorSpec | ArrayBufferView);
  }
}

function addArray(value: TensorSpec | ArrayBufferView): void {
  if (value instanceof TensorSpec) key += typeKey(value);
  else {
    const dtype = dtypeOfTypedArray(value);
    if (!dtype) {
      throw new KilnError('unsupported_dtype', 'a DataView is no array of elements', {
        given: String(value),
        expected: 'a typed array such as Float32Array',
      });
    }
    key += sizesCount ? `${dtype}(${(value as unknown as ArrayLike<unknown>).length})` : `${dtype}/1`;
  }
  arrays.push(value);
}
