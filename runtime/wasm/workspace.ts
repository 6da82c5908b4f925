/**
 * Memory for what lives only during a run: temporaries and scratch. All programs of a device share one workspace, as
 * large as the largest of them needs, since one program runs at a time.
 */
import type { Block } from './allocator.ts';
import type { WasmMemory } from './memory.ts';

export class Workspace {
  readonly #memory: WasmMemory;
  #block: Block | undefined;

  constructor(memory: WasmMemory) {
    this.#memory = memory;
  }

  /** Where it begins; 0 while there is none. Changes whenever it grows. */
  get address(): number {
    return this.#block?.address ?? 0;
  }

  /** Makes sure of a size. What was in it is lost. @throws KilnError `out_of_memory`; it is as it was, or gone */
  reserve(bytes: number): void {
    if (bytes <= (this.#block?.bytes ?? 0)) return;
    this.release();
    this.#block = this.#memory.allocate(bytes, 'program');
  }

  /** Gives the memory back. Whether there was any. */
  release(): boolean {
    if (!this.#block) return false;
    this.#memory.release(this.#block);
    this.#block = undefined;
    return true;
  }
}
