/** What a runtime gives to be measured, wherever it runs: in a process of its own, or beside others in a page. */
import type { Absent, Hello } from './protocol.ts';
import type { Work } from './rows.ts';
import type { Elements, NamedArray } from './work.ts';

/** Something that is ready to be timed. */
export interface Prepare {
  /** Calls it so many times, and waits for the last result at the least. */
  run(calls: number): Promise<void> | void;
  /** Calls it once and gives its results' elements. */
  outputs(): Promise<readonly Elements[]>;
  release?(): void;
  /** Most bytes of tensors at once while `outputs` ran. */
  peakBytes?(): number | undefined;
}

/** One runtime, ready to build what it is asked for. */
export interface Adapter extends Hello {
  prepare(work: Work, inputs: readonly NamedArray[], mode: string): Promise<Prepare | Absent>;
}
