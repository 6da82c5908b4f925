/**
 * Names in WGSL: those of buffers and axes as they are where they can not be mistaken for anything, else with a prefix.
 */

/** Names that passes give: a letter, a number, suffixes of split axes. No word of WGSL looks so. */
const plain = /^[a-z]\d*(_[a-z])*$/;
/** Names of values and of the state of reductions. */
const taken = /^[vr]\d/;

export const safeName = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, '_');

export const nameOfBuffer = (name: string): string =>
  plain.test(name) && !taken.test(name) ? name : `b_${safeName(name)}`;
export const nameOfAxis = (name: string): string => (plain.test(name) ? `${name}_` : `a_${safeName(name)}`);
export const nameOfScratch = (name: string): string => `row_${safeName(name)}`;
