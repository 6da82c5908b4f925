/**
 * What `init` sets for the whole session, with the defaults that hold without it.
 */

/** `fast` may reassociate and contract within a stated bound; `strict` gives the same bits eager and compiled. */
export type Precision = 'fast' | 'strict';

let precision: Precision = 'fast';

/** The precision of eager operations, and of `compile` without the option. */
export const defaultPrecision = (): Precision => precision;

export const setDefaultPrecision = (wanted: Precision): void => {
  precision = wanted;
};
