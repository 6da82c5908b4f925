/**
 * Every operation against NumPy and JAX: values and gradients on ordinary, special, empty, broadcast and negative-axis
 * arguments, as `record.py` recorded them. Here the traced graph runs through the reference evaluator in double
 * precision.
 */
import { describe, expect, test } from 'vitest';
import type { Literal } from '../../ir/types.ts';
import * as operations from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';
import { difference, type Tolerance } from '../support/close.ts';
import { evaluateAll, gradients } from '../support/oracle.ts';
import { decodeArguments, decodeArray, type RecordedCase, recordedCases } from '../support/recorded.ts';

type AnyOperation = (...args: readonly unknown[]) => Tensor | readonly Tensor[];

/** Recorded numbers have twelve digits; `expm1` and the like are not the same bits in two libraries. */
const tolerance: Tolerance = { relative: 1e-9, absolute: 1e-12 };

/** Operations whose tensors are not the first arguments one by one. */
const calls: Readonly<Record<string, (op: AnyOperation, inputs: readonly Tensor[], args: readonly unknown[]) => unknown>> = {
  concat: (op, inputs, args) => op(inputs, ...args),
  stack: (op, inputs, args) => op(inputs, ...args),
  einsum: (op, inputs, [formula]) => op(formula, inputs),
};

function asFunction({ op, args }: RecordedCase): (...inputs: Tensor[]) => Tensor | readonly Tensor[] {
  const operation = (operations as unknown as Record<string, AnyOperation>)[op];
  const rest = decodeArguments(args);
  const call = calls[op] ?? ((f, inputs, more) => f(...inputs, ...more));
  return (...inputs) => call(operation, inputs, rest) as Tensor | readonly Tensor[];
}

const byOperation = new Map<string, RecordedCase[]>();
for (const entry of recordedCases()) byOperation.set(entry.op, [...(byOperation.get(entry.op) ?? []), entry]);

function differences(given: readonly Literal[], expected: readonly Literal[]): string[] {
  if (given.length !== expected.length) return [`${given.length} results instead of ${expected.length}`];
  return given.map((array, i) => difference(array, expected[i], tolerance)).filter((text) => text !== undefined);
}

const text = (entry: RecordedCase): string =>
  `${entry.op}(${entry.inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(', ')}; ${JSON.stringify(entry.args)})`;

describe.each([...byOperation])('%s', (_, cases) => {
  test('gives what NumPy and JAX give', () => {
    const wrong = cases.flatMap((entry) => {
      const inputs = entry.inputs.map(decodeArray);
      const given = evaluateAll(asFunction(entry), inputs);
      return differences(given, entry.expected.map(decodeArray)).map((what) => `${text(entry)}: ${what}`);
    });
    expect(wrong).toEqual([]);
  });

  const differentiated = cases.filter((entry) => entry.gradients);
  if (differentiated.length === 0) return; // Not differentiable, or recorded for its values alone.
  test('has the gradient that JAX has', () => {
    const wrong = differentiated.flatMap((entry) => {
      const given = gradients(asFunction(entry), entry.inputs.map(decodeArray));
      return differences(given, (entry.gradients ?? []).map(decodeArray)).map((what) => `${text(entry)}: ${what}`);
    });
    expect(wrong).toEqual([]);
  });
});
