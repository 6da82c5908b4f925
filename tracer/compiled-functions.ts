/** Which functions are compiled ones, and what stands behind each: for transforms that are handed one. */
import type { Compilation } from './compilation.ts';

export const compilations = new WeakMap<object, Compilation>();
