/**
 * What NumPy and JAX gave for every operation (`record.py`), against eager and compiled calls on the session's device:
 * values and gradients, in float32.
 */
import { describe, expect, test } from 'vitest';
import { isFloat } from '../../base/dtype.ts';
import { roundFloat } from '../../base/half.ts';
import { compile, grad, type Tensor, tensor } from '../../index.ts';
import { denseData } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';
import { difference, type Tolerance } from '../support/close.ts';
import {
  asFunction,
  casesByOperation,
  caseText,
  decodeArray,
  type RecordedArray,
  type RecordedCase,
} from '../support/recorded.ts';
import { caseCount } from '../support/runs.ts';

/** Some cases of an operation, spread over them. */
function some<T>(cases: readonly T[], count: number): T[] {
  const step = Math.max(1, cases.length / count);
  return cases.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
}

/** What was computed in double precision, as the dtype holds it: float32 overflows earlier. */
function inItsDtype(recorded: RecordedArray): Literal {
  const array = decodeArray(recorded);
  return isFloat(array.dtype)
    ? { ...array, data: Float64Array.from(array.data, (x) => roundFloat(array.dtype, Number(x))) }
    : array;
}

/** Roundings of a few ops in float32, of numbers as large as the greatest. */
function toleranceOf(arrays: readonly Literal[]): Tolerance {
  const sizes = arrays.flatMap(({ data }) => Array.from(data, (x) => Math.abs(Number(x))).filter(Number.isFinite));
  return { relative: 1e-4, absolute: 1e-6 * Math.max(1, ...sizes) };
}

const load = ({ dtype, shape, ...rest }: Literal): Tensor =>
  tensor(Array.from(denseData({ dtype, shape, ...rest }), Number), { dtype, shape });

async function read(results: Tensor | readonly Tensor[]): Promise<Literal[]> {
  return Promise.all(
    [results].flat().map(async (result) => {
      const { dtype, shape } = result as Tensor;
      return { dtype, shape, data: await (result as Tensor).data() } as unknown as Literal;
    }),
  );
}

function differences(entry: RecordedCase, given: readonly Literal[], expected: readonly Literal[]): string[] {
  if (given.length !== expected.length) return [`${caseText(entry)}: ${given.length} results`];
  const tolerance = toleranceOf([...entry.inputs.map(decodeArray), ...expected]);
  return given.flatMap((array, i) => {
    const what = difference(array, expected[i], tolerance);
    return what === undefined ? [] : [`${caseText(entry)}: ${what}`];
  });
}

describe.each([...casesByOperation()])('%s', (_, cases) => {
  test('gives what NumPy and JAX give', async () => {
    for (const entry of some(cases, caseCount(4, cases.length))) {
      const fn = asFunction(entry);
      const expected = entry.expected.map(inItsDtype);
      for (const way of [fn, compile(fn as (...inputs: Tensor[]) => Tensor)]) {
        const inputs = entry.inputs.map((input) => load(decodeArray(input)));
        expect(differences(entry, await read(way(...inputs)), expected)).toEqual([]);
      }
    }
  });

  const differentiated = cases.filter((entry) => entry.gradients);
  if (differentiated.length === 0) return; // Not differentiable, or recorded for its values alone.
  test('has the gradient that JAX has', async () => {
    for (const entry of some(differentiated, caseCount(2, differentiated.length))) {
      const fn = asFunction(entry);
      const argnums = entry.inputs.flatMap(({ dtype }, i) => (dtype === 'float32' ? [i] : []));
      const loss = (...inputs: Tensor[]): Tensor => [fn(...inputs)].flat()[0].sum() as Tensor;
      const inputs = entry.inputs.map((input) => load(decodeArray(input)));
      const given = grad(loss, { argnums }) as unknown as (...x: Tensor[]) => readonly Tensor[];
      const expected = (entry.gradients ?? []).map(inItsDtype);
      expect(differences(entry, await read(given(...inputs)), expected)).toEqual([]);
    }
  });
});
