/**
 * Functions of the library itself: operations, compiled and transformed functions. Their sources are not searched for
 * truth tests; what a user handed to them is checked when it is traced.
 */
const trusted = new WeakSet<object>();

export const markTrusted = <F extends object>(fn: F): F => {
  trusted.add(fn);
  return fn;
};

export const isTrusted = (fn: object): boolean => trusted.has(fn);
