/**
 * Expectations recorded from NumPy and JAX by `test/operations/record.py`, one case a line:
 *
 *     {"op": "sum", "inputs": [{"dtype": "float32", "shape": [2], "data": [1, "nan"]}], "args": [0], "expected": [...]}
 */
import { readFileSync } from 'node:fs';
import type { DType } from '../../base/dtype.ts';
import { literal } from '../../ir/literal.ts';
import type { Literal } from '../../ir/types.ts';

interface RecordedArray {
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
      ? Object.fromEntries(Object.entries(arg).map(([name, value]) => [name, name === 'ord' ? decodeNumber(value) : value]))
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
