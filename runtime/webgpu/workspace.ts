/**
 * Memory for what lives only during a run: arenas of temporaries, and scratch. All programs of a device share them, each
 * as large as the largest program needs, since one program runs at a time.
 */
import type { ArenasPlan } from './arenas.ts';
import type { GpuBlock, GpuMemory } from './memory.ts';

export class Workspace {
  readonly #memory: GpuMemory;
  readonly #mostBytes: number;
  #arenas: GpuBlock[] = [];
  #scratch: GpuBlock | undefined;
  #isReserving = false;

  /** @param mostBytes the most bytes of one GPUBuffer */
  constructor(memory: GpuMemory, mostBytes: number) {
    this.#memory = memory;
    this.#mostBytes = mostBytes;
  }

  get arenas(): readonly GpuBlock[] {
    return this.#arenas;
  }

  get scratch(): GpuBlock | undefined {
    return this.#scratch;
  }

  /** Makes sure of the sizes of a plan. What was in what grows is lost. @throws KilnError `out_of_memory` */
  reserve({ arenas, scratch }: ArenasPlan): void {
    this.#isReserving = true;
    try {
      for (let at = 0; at < arenas.length; at++) {
        if (arenas[at] > (this.#arenas[at]?.bytes ?? -1)) this.#arenas[at] = this.#grown(this.#arenas[at], arenas[at]);
      }
      if (scratch > (this.#scratch?.bytes ?? 0)) this.#scratch = this.#grown(this.#scratch, scratch);
    } finally {
      this.#isReserving = false;
    }
  }

  /** Marks everything as used and written by a batch. */
  touch(batch: number): void {
    for (const block of this.#arenas) block.usedIn = batch;
    if (this.#scratch) this.#scratch.usedIn = batch;
  }

  /** Gives the memory back. Whether there was any. */
  release(): boolean {
    if (this.#isReserving) return false;
    const isAny = this.#arenas.length > 0 || this.#scratch !== undefined;
    for (const block of this.#arenas) this.#memory.release(block);
    if (this.#scratch) this.#memory.release(this.#scratch);
    this.#arenas = [];
    this.#scratch = undefined;
    return isAny;
  }

  /** The new block first, so that a failure leaves everything as it was. */
  #grown(before: GpuBlock | undefined, bytes: number): GpuBlock {
    const block = this.#memory.allocate(bytes, 'program', this.#mostBytes);
    if (before) this.#memory.release(before);
    return block;
  }
}
