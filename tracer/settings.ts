/**
 * What `init` sets for the whole session, with the defaults that hold without it.
 */

/** `fast` may reassociate and contract within a stated bound; `strict` gives the same bits eager and compiled. */
export type Precision = 'fast' | 'strict';

let precision: Precision = 'fast';
/** What holds in its place for a while. */
let meanwhile: Precision | undefined;

/** The precision of eager operations, and of `compile` without the option. */
export const defaultPrecision = (): Precision => meanwhile ?? precision;

export const setDefaultPrecision = (wanted: Precision): void => {
  precision = wanted;
};

/** Runs `body` with another default; what `init` sets meanwhile holds afterwards. */
export async function withDefaultPrecision<T>(wanted: Precision, body: () => Promise<T>): Promise<T> {
  const before = meanwhile;
  meanwhile = wanted;
  try {
    return await body();
  } finally {
    meanwhile = before;
  }
}
