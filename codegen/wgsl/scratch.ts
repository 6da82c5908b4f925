/**
 * Scratch memory of a launch: words handed out one behind the other, in global memory, where it is too much for
 * registers and workgroup memory.
 */
import { addDims, type Dim, mulDims } from '../../base/dim.ts';
import { computeDType, type DType } from '../../base/dtype.ts';
import type { ScratchAccess } from './body.ts';
import type { Shader } from './shader.ts';
import { scalarType } from './storage.ts';

export class ScratchPlan {
  #words: Dim = 0;

  /** Bytes handed out. */
  get bytes(): Dim {
    return mulDims(this.#words, 4);
  }

  /** Where so many words begin. */
  allocate(words: Dim): Dim {
    const start = this.#words;
    this.#words = addDims(this.#words, words);
    return start;
  }
}

/** A value of the compute type of a dtype as a word, and back. */
export function wordOf(dtype: DType, value: string): string {
  const type = scalarType(dtype);
  return type === 'u32' ? value : type === 'bool' ? `select(0u, 1u, ${value})` : `bitcast<u32>(${value})`;
}

export function fromWord(dtype: DType, word: string): string {
  const type = scalarType(dtype);
  return type === 'u32' ? word : type === 'bool' ? `(${word} != 0u)` : `bitcast<${type}>(${word})`;
}

/** An array in the scratch memory of the launch; `place` gives the word of an element. */
export function globalScratch(shader: Shader, dtype: DType, place: (index: string) => string): ScratchAccess {
  const name = shader.scratch();
  return {
    dtype: computeDType(dtype),
    load: (index) => fromWord(dtype, `${name}[${place(index)}]`),
    store: (index, value) => `${name}[${place(index)}] = ${wordOf(dtype, value)};`,
  };
}

/** An array that is a variable of the code, of the function or of the workgroup. */
export const variableScratch = (dtype: DType, name: string): ScratchAccess => ({
  dtype: computeDType(dtype),
  load: (index) => `${name}[${index}]`,
  store: (index, value) => `${name}[${index}] = ${value};`,
});
