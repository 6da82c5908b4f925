/**
 * Expectations recorded from NumPy and JAX by `test/operations/record.py`, one case a line:
 *
 *     {"op": "sum", "inputs": [{"dtype": "float32", "shape": [2], "data": [1, "nan"]}], "args": [0], "expected": [...]}
 */
import { readFileSync } from 'node:fs';
import type { DType } from '../../base/dtype.ts';
import { literal } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';
import * as operations from '../../tracer/operations/index.ts';
import type { Tensor } from '../../tracer/tensor.ts';

export interface RecordedArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}

export interface RecordedCase {
  readonly op: string;
  readonly inputs: readonly RecordedArray[];
  /** Arguments after the inputs. */
  readonly args: readonly unknown[];
  readonly expected: readonly RecordedArray[];
  readonly gradients?: readonly RecordedArray[];
}

export interface RecordedStream {
  /** Name of a function of `random`. */
  readonly random: string;
  /** Arguments after the key `random.key(42)` (for `key` itself: all). */
  readonly args: readonly unknown[];
  readonly expected: RecordedArray;
}

const named: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  '-0': -0,
};

/** A recorded number; anything else as it is. */
export const decodeNumber = (value: unknown): unknown => (typeof value === 'string' ? (named[value] ?? value) : value);

export const decodeArray = ({ dtype, shape, data }: RecordedArray): Literal =>
  literal(dtype, shape, data.length === 0 ? [0] : Float64Array.from(data, (value) => Number(decodeNumber(value))));

/** Arguments with infinities in options decoded. */
export const decodeArguments = (args: readonly unknown[]): unknown[] =>
  args.map((arg) =>
    typeof arg === 'object' && arg !== null && !Array.isArray(arg)
      ? Object.fromEntries(
          Object.entries(arg).map(([name, value]) => [name, name === 'ord' ? decodeNumber(value) : value]),
        )
      : arg,
  );

const lines = (): unknown[] =>
  readFileSync(new URL('../operations/recorded.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

export const recordedCases = (): RecordedCase[] =>
  lines().filter((entry) => Object.hasOwn(entry as object, 'op')) as RecordedCase[];

export const recordedStreams = (): RecordedStream[] =>
  lines().filter((entry) => Object.hasOwn(entry as object, 'random')) as RecordedStream[];

type AnyOperation = (...args: readonly unknown[]) => Tensor | readonly Tensor[];
type Call = (op: AnyOperation, inputs: readonly Tensor[], args: readonly unknown[]) => Tensor | readonly Tensor[];

/** Operations whose tensors are not the first arguments one by one. */
const calls: Readonly<Record<string, Call>> = {
  concat: (op, inputs, args) => op(inputs, ...args),
  stack: (op, inputs, args) => op(inputs, ...args),
  einsum: (op, inputs, [formula]) => op(formula, inputs),
};

/** The operation of a case as a function of its inputs. */
export function asFunction({ op, args }: RecordedCase): (...inputs: Tensor[]) => Tensor | readonly Tensor[] {
  const operation = (operations as unknown as Readonly<Record<string, AnyOperation>>)[op];
  const rest = decodeArguments(args);
  const call: Call = calls[op] ?? ((f, inputs, more) => f(...inputs, ...more));
  return (...inputs) => call(operation, inputs, rest);
}

/** How a case is called, for messages. */
export const caseText = ({ op, inputs, args }: RecordedCase): string =>
  `${op}(${inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(', ')}; ${JSON.stringify(args)})`;

/** All cases by operation, in the order in which they were recorded. */
export function casesByOperation(): Map<string, RecordedCase[]> {
  const found = new Map<string, RecordedCase[]>();
  for (const entry of recordedCases()) found.set(entry.op, [...(found.get(entry.op) ?? []), entry]);
  return found;
}
