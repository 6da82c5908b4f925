/**
 * What a program holds on a device. A finaliser releases it when the program is gone, so nothing here leads back to the
 * program.
 */
import type { PreparedArrays } from './prepared.ts';

/** A device's memory as programs use it. */
export interface ProgramMemory<Block> {
  /** @throws KilnError `out_of_memory` */
  allocate(bytes: number, purpose: 'program'): Block;
  /** Takes one reference off. */
  release(block: Block): void;
}

export class ProgramResources<Block> {
  readonly #memory: ProgramMemory<Block>;
  readonly #blocks = new Set<Block>();
  readonly #prepared = new Set<PreparedArrays<Block>>();
  readonly #preparedOfDevice: Set<PreparedArrays<Block>>;

  /** @param prepared what all programs of the device keep from run to run */
  constructor(memory: ProgramMemory<Block>, prepared: Set<PreparedArrays<Block>>) {
    this.#memory = memory;
    this.#preparedOfDevice = prepared;
  }

  allocate(bytes: number): Block {
    const block = this.#memory.allocate(bytes, 'program');
    this.#blocks.add(block);
    return block;
  }

  release(block: Block): void {
    if (this.#blocks.delete(block)) this.#memory.release(block);
  }

  /** Arrays that stay from run to run, in blocks of this program. */
  keep(arrays: PreparedArrays<Block>): void {
    this.#prepared.add(arrays);
    this.#preparedOfDevice.add(arrays);
  }

  drop(arrays: PreparedArrays<Block>): void {
    this.#prepared.delete(arrays);
    this.#preparedOfDevice.delete(arrays);
  }

  releaseAll(): void {
    for (const arrays of this.#prepared) arrays.release();
    for (const block of this.#blocks) this.release(block);
  }
}
