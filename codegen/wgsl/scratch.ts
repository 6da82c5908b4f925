/**
 * Scratch memory of a launch: words handed out one behind the other, in global memory, where it is too much for
 * registers and workgroup memory.
 */
import { addDims, type Dim, equalDims, mulDims } from '../../base/dim.ts';
import { computeDType, type DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
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

/** An array in the scratch memory of the launch, and the word at which it begins. */
export interface LaunchArray {
  readonly dtype: DType;
  readonly start: Dim;
}

/**
 * Arrays that hand results from one stage to the next, by name. What they hold for each iteration of the outer loops
 * is a part of them: indices are those of a buffer.
 */
export class LaunchArrays {
  readonly #plan: ScratchPlan;
  readonly #arrays = new Map<string, LaunchArray>();

  constructor(plan: ScratchPlan) {
    this.#plan = plan;
  }

  /** A new array of so many elements. Its name. */
  allocate(wanted: string, dtype: DType, elements: Dim): string {
    return this.alias(wanted, dtype, this.#plan.allocate(elements));
  }

  /** A new name for words that an array has no more use for. */
  alias(wanted: string, dtype: DType, start: Dim): string {
    const name = `${wanted}@${this.#arrays.size}`;
    this.#arrays.set(name, { dtype, start });
    return name;
  }

  get(name: string): LaunchArray {
    const array = this.#arrays.get(name);
    if (!array) throw internalError(`${name} is no array of the launch`);
    return array;
  }

  /** The arrays as code reads and writes them. */
  *accesses(shader: Shader): Generator<readonly [string, ScratchAccess]> {
    for (const [name, { dtype, start }] of this.#arrays) yield [name, launchAccess(shader, dtype, start)];
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
  return {
    dtype: computeDType(dtype),
    load: (index) => fromWord(dtype, `${shader.scratch()}[${place(index)}]`),
    store: (index, value) => `${shader.scratch()}[${place(index)}] = ${wordOf(dtype, value)};`,
  };
}

const launchAccess = (shader: Shader, dtype: DType, start: Dim): ScratchAccess =>
  globalScratch(shader, dtype, (index) => (equalDims(start, 0) ? index : `${shader.size(start)} + ${index}`));

/** An array that is a variable of the code, of the function or of the workgroup. */
export const variableScratch = (dtype: DType, name: string): ScratchAccess => ({
  dtype: computeDType(dtype),
  load: (index) => `${name}[${index}]`,
  store: (index, value) => `${name}[${index}] = ${value};`,
});
