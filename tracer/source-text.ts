/**
 * What the text of a function shows without a parser. A process that finds its programs in the cache has nothing to do
 * but trace, and reading even one function with a parser that has not run yet takes longer than that. Each answer here
 * is either certain or absent; `source-parse.ts` gives the others.
 *
 *     (p, x) => relu(x.matmul(p.w))          parameters p and x, no test, no `this`
 *     ({ w }, x) => (x ? w : x)              parameters unknown, perhaps a test
 */
type AnyFunction = (...args: never[]) => unknown;

/** A function's own text; `undefined` for a bound or native one. */
export function sourceOf(fn: AnyFunction): string | undefined {
  const source = Function.prototype.toString.call(fn);
  return /\{\s*\[native code\]\s*\}\s*$/.test(source) ? undefined : source;
}

/**
 * What every truth test and every private field has in its text, whatever else has it too. A class is more than a
 * function, and a name may be written in escapes.
 */
const tests = /[?!#\\]|&&|\|\||==|\b(?:if|while|for|switch|Boolean|__privateGet|class)\b/;

/** Whether a text may hold a truth test or read a private field. */
export const mayTest = (source: string): boolean => tests.test(source);

/** Whether a text may use `this`. */
export const mayUseThis = (source: string): boolean => /\b(?:this|super|class)\b|\\/.test(source);

/** `(a, ...b) =>`, `function name(a, b) {` or `name(a, b) {`, and `a =>`. */
const parameterList = /^(?:function\s+)?[\w$]*\s*\(((?:[\w$\s,]|\.{3})*)\)\s*(?:=>|\{)/;
const oneParameter = /^([\w$]+)\s*=>/;

/** Names of the parameters, where none is more than a name; `undefined` for that of the rest, which names no argument. */
export function plainParameters(source: string): (string | undefined)[] | undefined {
  const list = (parameterList.exec(source) ?? oneParameter.exec(source))?.[1];
  const names = list?.split(',').map((name) => name.trim());
  return names?.filter((name) => name !== '').map((name) => (name.startsWith('...') ? undefined : name));
}
