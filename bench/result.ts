/** What a benchmark hands to `bench/run.ts`: rows for the table, the target each row answers to. */

export interface BenchRow {
  readonly work: string;
  /** What was measured and compared, such as `7.1 ms against 30.2 ms`. */
  readonly measured: string;
  /** The figure the target speaks of, such as `4.2x`. */
  readonly figure: string;
  /** The target, such as `at least 4x`; absent where the row only informs. */
  readonly target?: string;
  /** Whether the target is met; absent where there is none, or the rival is not installed. */
  readonly met?: boolean;
}

/** Figures in columns of their own. */
export interface BenchTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly note?: string;
}

export interface BenchResult {
  readonly title: string;
  /** `fast` or `strict`; rows that name none of the two hold for both. */
  readonly mode: 'fast' | 'strict' | 'fast and strict';
  readonly rows: readonly BenchRow[];
  /** Tables that answer to no target. */
  readonly tables?: readonly BenchTable[];
  /** What the reader should know about the numbers. */
  readonly notes?: readonly string[];
  /** A picture of them, beside the page. */
  readonly picture?: { readonly file: string; readonly shows: string };
}

/** A row whose target is a ratio that should be at least `atLeast`. */
export function ratioRow(work: string, measured: string, ratio: number, atLeast: number): BenchRow {
  return { work, measured, figure: `${ratio.toFixed(2)}x`, target: `at least ${atLeast}x`, met: ratio >= atLeast };
}

/** A row whose target is a figure that should be at most `limit`. */
export function limitRow(work: string, measured: string, value: number, limit: number, unit: string): BenchRow {
  return {
    work,
    measured,
    figure: `${value.toPrecision(3)}${unit}`,
    target: `at most ${limit}${unit}`,
    met: value <= limit,
  };
}
