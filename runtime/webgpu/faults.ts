/**
 * What went wrong on the GPU's side, which is only known after the commands were handed over. A fault spoils all that
 * was written from the batch that failed up to the one that was open when it became known, since any of it may follow
 * from it. Reads of such bytes give the fault; what is uploaded or computed later is sound.
 */
import { KilnError } from '../../base/error.ts';
import { partIfLoaded } from '../parts.ts';

interface Fault {
  readonly first: number;
  readonly last: number;
  readonly error: KilnError;
}

/** Faults that are remembered; a buffer older than that is read as if it were sound. */
const mostFaults = 64;

export class Faults {
  #faults: Fault[] = [];
  readonly #lastBatch: () => number;

  /** @param lastBatch the last batch that has commands */
  constructor(lastBatch: () => number) {
    this.#lastBatch = lastBatch;
  }

  /** What is wrong with the bytes of a block. */
  ofBlock({
    fault,
    writtenIn,
  }: {
    readonly fault: KilnError | undefined;
    readonly writtenIn: number;
  }): KilnError | undefined {
    return fault ?? this.of(writtenIn);
  }

  /** The first fault that a batch suffers from. */
  of(batch: number): KilnError | undefined {
    for (const { first, last, error } of this.#faults) if (first <= batch && batch <= last) return error;
    return undefined;
  }

  /** The device has refused a batch. */
  refused(batch: number, programs: readonly string[], message: string): void {
    const ran = programs.length > 0 ? programs.join(', ') : 'a copy';
    this.record(
      batch,
      new KilnError('launch_failed', `the webgpu device refused ${ran}`, {
        given: message,
        hint: 'this is a fault of the compiled code; please report it together with the output of KILN_DUMP=dir',
      }),
    );
  }

  record(batch: number, error: KilnError): void {
    partIfLoaded('debugging')?.printFault(error);
    if (this.#faults.length >= mostFaults) this.#faults.shift();
    this.#faults.push({ first: batch, last: Math.max(batch, this.#lastBatch()), error });
  }
}
