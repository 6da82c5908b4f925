/**
 * `this` of a compiled method as an implicit first argument. Its fields, and those of the arrays and objects it holds,
 * are visited in place: tensors are inputs that are read anew on each call, everything else is part of the key. While
 * the method is traced, traced tensors stand in the fields; afterwards every field is as it was, and what the method
 * has assigned is known as a list of effects, which are applied to the real object after each run.
 *
 *     class Counter { total = tensor(0); @compile add(x: Tensor) { this.total = this.total.add(x); } }
 *       slots   [{ holder: this, path: [], key: 'total' }]
 *       effects [{ path: [], key: 'total', value: output 0 }]
 *
 * Private `#fields` can not be visited; the source check refuses methods that read them.
 */
import { KilnError } from '../base/error.ts';
import { type Identify, identity, isPlainObject, sortedKeys, staticKey } from '../base/static-key.ts';
import { rebuild, type TreeStructure, tree } from './pytree.ts';
import { Tensor } from './tensor.ts';

type Holder = Record<string, unknown>;

/** A field that holds a tensor. */
interface Slot {
  readonly holder: Holder;
  readonly key: string;
  readonly path: string;
  readonly tensor: Tensor;
}

/** A receiver as a cache sees it. */
export interface SignedReceiver {
  readonly key: string;
  readonly slots: readonly Slot[];
  /** Every object visited, with how to get there from the receiver. */
  readonly holders: ReadonlyMap<object, readonly string[]>;
}

/** An assignment that a method makes. */
export interface Effect {
  /** Keys that lead from the receiver to the object that is assigned to. */
  readonly holder: readonly string[];
  readonly key: string;
  readonly structure: TreeStructure;
  /** Leaves in order: an output of the program by position, or a value that the guards fix. */
  readonly leaves: readonly ({ readonly output: number } | { readonly value: unknown })[];
}

/** Whether an object's fields are visited; others (maps, dates, functions) are known by identity. */
const isVisited = (value: object): boolean =>
  Array.isArray(value) || Object.prototype.toString.call(value) === '[object Object]';

/** How a key tells what is known by identity. */
interface ReceiverNames {
  readonly identify: Identify;
  /** Of an object that is neither plain nor an array, the class; of a class, the class itself. */
  readonly classOf: (holder: object) => string;
}

const namesHere: ReceiverNames = {
  identify: identity,
  classOf: (holder) => `${identity(typeof holder === 'function' ? holder : (Object.getPrototypeOf(holder) as object))}`,
};

/**
 * Visits the fields of a receiver. Objects with the same fields are told apart by their classes, whose methods the
 * traced one may call.
 * @param names other names for what is known by identity
 */
export function signReceiver(receiver: object, { identify, classOf } = namesHere): SignedReceiver {
  const slots: Slot[] = [];
  const holders = new Map<object, readonly string[]>();
  let key = '';
  const visit = (holder: Holder, path: readonly string[]): void => {
    holders.set(holder, path);
    if (!Array.isArray(holder) && !isPlainObject(holder)) key += `@${classOf(holder)}`;
    key += '{';
    for (const name of sortedKeys(holder)) {
      const value = holder[name];
      key += `${name.length}:${name}=`;
      if (value instanceof Tensor) {
        key += value.signature;
        slots.push({ holder, key: name, path: ['this', ...path, name].join('.'), tensor: value });
      } else if (typeof value !== 'object' || value === null || !isVisited(value)) {
        key += `${staticKey(value, identify)},`;
      } else {
        const before = holders.get(value);
        if (before) key += `^${before.join('.')},`;
        else visit(value as Holder, [...path, name]);
      }
    }
    key += '}';
  };
  visit(receiver as Holder, []);
  return { key, slots, holders };
}

/** Calls `visit` with each field that is known by its value, and its path, such as `this.layers.0.rate`. */
export function visitStaticFields(signed: SignedReceiver, visit: (value: unknown, path: string) => void): void {
  for (const [holder, path] of signed.holders) {
    for (const key of sortedKeys(holder)) {
      const value = (holder as Holder)[key];
      const isInput = value instanceof Tensor || (typeof value === 'object' && value !== null && isVisited(value));
      if (!isInput) visit(value, ['this', ...path, key].join('.'));
    }
  }
}

/**
 * Runs `body` with `replacements` in the slots, one for each.
 * @returns what `body` returned and the assignments it has made; every field is as before, whatever happens
 */
export function withReplacedFields<T>(
  signed: SignedReceiver,
  replacements: readonly Tensor[],
  body: () => T,
): { readonly result: T; readonly assigned: readonly Assignment[] } {
  const originals = new Map<object, Holder>();
  for (const holder of signed.holders.keys()) originals.set(holder, { ...(holder as Holder) });
  try {
    signed.slots.forEach(({ holder, key, path }, i) => {
      if (!Reflect.set(holder, key, replacements[i])) {
        throw new KilnError('invalid_argument', `the field ${path} can not be assigned to`, {
          hint: 'a compiled method puts traced tensors into the fields of `this` while it is traced',
        });
      }
    });
    const placed = new Map<object, Holder>();
    for (const holder of signed.holders.keys()) placed.set(holder, { ...(holder as Holder) });
    const result = body();
    return { result, assigned: assignments(signed, placed) };
  } finally {
    for (const [holder, fields] of originals) restore(holder as Holder, fields);
  }
}

/** A field that holds something else than before. */
export interface Assignment {
  readonly holder: readonly string[];
  readonly key: string;
  readonly value: unknown;
}

function assignments(signed: SignedReceiver, placed: ReadonlyMap<object, Holder>): Assignment[] {
  const found: Assignment[] = [];
  for (const [holder, path] of signed.holders) {
    const before = placed.get(holder)!;
    for (const key of sortedKeys(holder)) {
      const value = (holder as Holder)[key];
      if (!Object.hasOwn(before, key) || !Object.is(before[key], value)) found.push({ holder: path, key, value });
    }
  }
  return found;
}

function restore(holder: Holder, fields: Holder): void {
  if (Array.isArray(holder)) holder.length = Object.keys(fields).length;
  for (const key of Object.keys(holder)) if (!Object.hasOwn(fields, key)) delete holder[key];
  for (const key of Object.keys(fields)) if (!Object.is(holder[key], fields[key])) holder[key] = fields[key];
}

/**
 * Assignments as effects.
 * @param outputs takes the tensors that must become outputs of the program, in order
 * @throws KilnError `unregistered_class` for an assigned object that is no pytree
 */
export function effectsOf(assigned: readonly Assignment[], outputs: Tensor[]): Effect[] {
  return assigned.map(({ holder, key, value }): Effect => {
    const { leaves, structure } = tree.flatten(value);
    return {
      holder,
      key,
      structure,
      leaves: (leaves as readonly unknown[]).map((leaf) => {
        if (!(leaf instanceof Tensor)) return { value: leaf };
        outputs.push(leaf);
        return { output: outputs.length - 1 };
      }),
    };
  });
}

/** Makes the assignments on a receiver, with the outputs of a run. */
export function applyEffects(effects: readonly Effect[], receiver: object, outputs: readonly Tensor[]): void {
  for (const { holder, key, structure, leaves } of effects) {
    const target = holder.reduce<Holder>((object, step) => object[step] as Holder, receiver as Holder);
    let at = 0;
    target[key] = rebuild(structure, () => {
      const leaf = leaves[at++];
      return 'output' in leaf ? outputs[leaf.output] : leaf.value;
    });
  }
}
