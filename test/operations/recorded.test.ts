/**
 * Every operation against NumPy and JAX: values and gradients on ordinary, special, empty, broadcast and negative-axis
 * arguments, as `record.py` recorded them. Here the traced graph runs through the reference evaluator in double
 * precision.
 */
import { describe, expect, test } from 'vitest';
import type { Literal } from '../../ir/types.ts';
import { difference, type Tolerance } from '../support/close.ts';
import { evaluateAll, gradients } from '../support/oracle.ts';
import { asFunction, casesByOperation, caseText, decodeArray } from '../support/recorded.ts';

/** Recorded numbers have twelve digits; `expm1` and the like are not the same bits in two libraries. */
const tolerance: Tolerance = { relative: 1e-9, absolute: 1e-12 };

function differences(given: readonly Literal[], expected: readonly Literal[]): string[] {
  if (given.length !== expected.length) return [`${given.length} results instead of ${expected.length}`];
  return given.map((array, i) => difference(array, expected[i], tolerance)).filter((text) => text !== undefined);
}

describe.each([...casesByOperation()])('%s', (_, cases) => {
  test('gives what NumPy and JAX give', () => {
    const wrong = cases.flatMap((entry) => {
      const inputs = entry.inputs.map(decodeArray);
      const given = evaluateAll(asFunction(entry), inputs);
      return differences(given, entry.expected.map(decodeArray)).map((what) => `${caseText(entry)}: ${what}`);
    });
    expect(wrong).toEqual([]);
  });

  const differentiated = cases.filter((entry) => entry.gradients);
  if (differentiated.length === 0) return; // Not differentiable, or recorded for its values alone.
  test('has the gradient that JAX has', () => {
    const wrong = differentiated.flatMap((entry) => {
      const given = gradients(asFunction(entry), entry.inputs.map(decodeArray));
      return differences(given, (entry.gradients ?? []).map(decodeArray)).map((what) => `${caseText(entry)}: ${what}`);
    });
    expect(wrong).toEqual([]);
  });
});
