/**
 * What an expression in a user's function may be, as far as a truth test on it is concerned. Where the arguments of
 * the call at hand say it exactly (`p.useBias` is `true`), the possible values are kept; otherwise only a level:
 *
 *     none        no tensor: numbers, strings, shapes, options
 *     container   an object or array that may hold tensors; itself no tensor
 *     tensor      may be a traced tensor
 */
import { isArrayLeaf } from './array-leaf.ts';

export type Level = 0 | 1 | 2;
export const none: Level = 0;
export const container: Level = 1;
export const tensor: Level = 2;

export interface Possible {
  readonly level: Level;
  /** All values it may have, where known. */
  readonly values?: readonly unknown[];
}

export const nothing: Possible = { level: none };
export const maybeTensor: Possible = { level: tensor };
export const maybeContainer: Possible = { level: container };

/** More possible values than this are not kept apart. */
const mostValues = 64;

/** Something whose value is known. */
export const known = (...values: readonly unknown[]): Possible => {
  const level = values.reduce<Level>((highest, value) => Math.max(highest, levelOf(value)) as Level, none);
  return values.length > mostValues ? { level } : { level, values };
};

/** Something that is one or the other. */
export function either(a: Possible, b: Possible): Possible {
  const level = Math.max(a.level, b.level) as Level;
  if (!a.values || !b.values) return { level };
  const values = [...new Set([...a.values, ...b.values])];
  return values.length > mostValues ? { level } : { level, values };
}

/** Something inside: an element or a field that is not known. */
export function inside(whole: Possible): Possible {
  if (whole.level === none) return nothing;
  if (!whole.values) return maybeTensor;
  const held = whole.values.flatMap((value) => (isHolder(value) ? Object.values(value) : []));
  return whole.values.some(isArrayLeaf) ? maybeTensor : held.length > 0 ? known(...held) : maybeTensor;
}

/** The field of that name. */
export function field(whole: Possible, name: string): Possible {
  if (whole.values?.every(isHolder)) {
    return known(...whole.values.map((value) => (value as Record<string, unknown>)[name]));
  }
  return whole.level === none ? nothing : maybeTensor;
}

/** Something that holds these. */
export const holding = (parts: readonly Possible[]): Possible =>
  parts.some(({ level }) => level !== none) ? maybeContainer : nothing;

const isHolder = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !isArrayLeaf(value);

const levels = new WeakMap<object, Level>();

/** The level of an actual argument: its leaves decide. */
function levelOf(value: unknown): Level {
  if (isArrayLeaf(value)) return tensor;
  if (!isHolder(value)) return none;
  const before = levels.get(value);
  if (before !== undefined) return before;
  levels.set(value, none); // a cycle adds nothing
  const level = Object.values(value).some((held) => levelOf(held) !== none) ? container : none;
  levels.delete(value);
  return level;
}
