/**
 * Holds results against what is right before anything is timed. One wrong result ends a run: a figure beside it would
 * mean nothing.
 */
import type { Reference } from './reference.ts';

/** A result that is not what it should be. */
export class WrongResult extends Error {
  override readonly name = 'WrongResult';
}

export interface Candidate {
  /** Who computed it, such as `onnxruntime-web, 1 thread`. */
  readonly name: string;
  /** Each result's elements. */
  readonly outputs: readonly ArrayLike<number>[];
}

const largest = (values: ArrayLike<number>): number => {
  let most = Number.MIN_VALUE;
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i])) most = Math.max(most, Math.abs(values[i]));
  return most;
};

/**
 * That a result has the reference's values where it has some, within `tolerance` of the largest magnitude.
 * @throws WrongResult
 */
export function assertRight(row: string, candidate: Candidate, reference: Reference, tolerance: number): void {
  const [result] = candidate.outputs;
  const limit = tolerance * largest(reference.values);
  for (let i = 0; i < reference.at.length; i++) {
    const [at, expected] = [reference.at[i], reference.values[i]];
    if (result.length > at && Math.abs(result[at] - expected) <= limit) continue;
    throw wrong(row, candidate.name, `element ${at} is ${result[at]}, in double precision ${expected}`, limit);
  }
}

/**
 * That two runtimes have the same results, all elements of all of them, within `tolerance` of the largest magnitude.
 * @throws WrongResult
 */
export function assertAgree(row: string, candidate: Candidate, first: Candidate, tolerance: number): void {
  if (candidate.outputs.length !== first.outputs.length) {
    throw wrong(row, candidate.name, `${candidate.outputs.length} results, ${first.name} ${first.outputs.length}`, 0);
  }
  for (const [output, expected] of first.outputs.entries()) {
    const actual = candidate.outputs[output];
    if (actual.length !== expected.length) {
      const given = `result ${output} has ${actual.length} elements, that of ${first.name} ${expected.length}`;
      throw wrong(row, candidate.name, given, 0);
    }
    const limit = 2 * tolerance * largest(expected);
    for (let i = 0; i < expected.length; i++) {
      if (Object.is(actual[i], expected[i]) || Math.abs(actual[i] - expected[i]) <= limit) continue;
      const given = `result ${output}, element ${i} is ${actual[i]}, of ${first.name} ${expected[i]}`;
      throw wrong(row, candidate.name, given, limit);
    }
  }
}

const wrong = (row: string, name: string, given: string, limit: number): WrongResult =>
  new WrongResult(`${row}: ${name} is wrong: ${given}; a difference of ${limit.toPrecision(3)} is allowed`);
