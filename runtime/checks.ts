/**
 * Checks of untrusted values by tables: what stands in the table is looked at, in order, and the first thing that is wrong
 * fails with the way to it, such as `kernels[3].phases`. Values are only looked at, so that a check takes no longer than
 * the value is large, and reads no name that the table does not have.
 *
 *     const { fields, list, text } = makeChecks((path, what) => { throw new Error(`${placeOf(path)} ${what}`); });
 *     fields({ name: text(), tags: list(text()) })(value);
 */

/** Names of fields, and places in lists. */
export type Path = readonly (string | number)[];

/** Looks at a value, and fails where it is not what it should be. */
export type Check = (value: unknown) => void;

export type Fields = { readonly [name: string]: unknown };

/** A path as text: `steps[2].buffers`. */
export const placeOf = (path: Path): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .slice(1) || 'it';

export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

export interface Checks {
  /** Fails at the value that is looked at. */
  wrong(what: string, value: unknown): never;
  be(what: string, holds: (value: unknown) => boolean): Check;
  fields(table: { readonly [field: string]: Check }): Check;
  list(check: Check, most?: number, least?: number): Check;
  oneOf(...values: readonly unknown[]): Check;
  text(pattern?: RegExp): Check;
  /** A whole number from `begin` to before `end`. */
  count(end?: number, begin?: number): Check;
}

/** @param fail throws the error for a value at a path */
export function makeChecks(fail: (path: Path, what: string, value: unknown) => never): Checks {
  const path: (string | number)[] = [];
  const within = (key: string | number, check: Check, value: unknown): void => {
    path.push(key);
    check(value);
    path.pop();
  };
  const wrong = (what: string, value: unknown): never => fail(path, `is ${what}`, value);
  const be =
    (what: string, holds: (value: unknown) => boolean): Check =>
    (value) => {
      if (!holds(value)) wrong(what, value);
    };
  return {
    wrong,
    be,
    fields: (table) => (value) => {
      if (!isObject(value) || Array.isArray(value)) return wrong('no record', value);
      for (const field in table) within(field, table[field], value[field]);
    },
    list:
      (check, most = Number.POSITIVE_INFINITY, least = 0) =>
      (value) => {
        if (!Array.isArray(value)) return wrong('no list', value);
        if (value.length > most || value.length < least) wrong('too long or too short', value.length);
        for (let i = 0; i < value.length; i++) within(i, check, value[i]);
      },
    oneOf: (...values) => be(`none of ${values}`, (value) => values.includes(value)),
    text: (pattern = /^/) => be('no such text', (value) => typeof value === 'string' && pattern.test(value)),
    count: (end = Number.MAX_SAFE_INTEGER, begin = 0) =>
      be('out of range', (value) => Number.isSafeInteger(value) && Number(value) >= begin && Number(value) < end),
  };
}
