/**
 * Bytes from the GPU. A read is a copy into a staging buffer, at its place among the commands; the staging buffer is
 * mapped when the GPU has come so far. Any number of reads are in flight, and nothing waits for them but who asked.
 */
import { KilnError } from '../../base/error.ts';
import type { Commands } from './commands.ts';
import { bufferUsage, copyBytes, mapModeRead } from './constants.ts';
import type { MutableCounters } from './counters.ts';
import type { Faults } from './faults.ts';
import type { GpuBlock, GpuMemory } from './memory.ts';

/** Bytes of staging buffers that wait for the next read. */
const mostWaiting = 2 ** 26;
const leastSize = 256;

export interface ReadbackContext {
  readonly gpu: GPUDevice;
  readonly commands: Commands;
  readonly memory: GpuMemory;
  readonly faults: Faults;
  readonly counters: MutableCounters;
  /** What a read failed with: mostly, that the device is gone. */
  whyFailed(cause: unknown): Promise<KilnError>;
}

export class Readback {
  readonly #context: ReadbackContext;
  readonly #waiting = new Map<number, GPUBuffer[]>();
  #waitingBytes = 0;

  constructor(context: ReadbackContext) {
    this.#context = context;
  }

  /** The first bytes of a block as they are at this point of the commands. */
  async read(block: GpuBlock, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    if (bytes === 0) return new Uint8Array(0);
    const { commands, memory, faults, counters } = this.#context;
    const copied = copyBytes(bytes);
    const staging = this.#take(copied);
    const { writtenIn } = block;
    commands.copy(block.buffer, staging, copied);
    block.usedIn = commands.batch;
    counters.reads += 1;
    try {
      await this.#mapped(staging, copied);
      await memory.checked;
      await commands.checked;
      const fault = block.fault ?? faults.of(writtenIn);
      if (fault) throw fault;
      const result = new Uint8Array(staging.getMappedRange(0, copied)).slice(0, bytes);
      this.#giveBack(staging);
      return result;
    } catch (cause) {
      staging.destroy();
      // The device may have ended at any of these waits.
      throw cause instanceof KilnError ? cause : await this.#context.whyFailed(cause);
    }
  }

  /** Resolves when the buffer is mapped, which may be asked for only after the copy into it is submitted. */
  #mapped(staging: GPUBuffer, bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#context.commands.afterSubmit(() => {
        staging.mapAsync(mapModeRead, 0, bytes).then(resolve, reject);
      });
    });
  }

  #take(bytes: number): GPUBuffer {
    const { gpu } = this.#context;
    // Small ones in powers of two, so that reads of many sizes share them.
    const size = bytes > mostWaiting ? bytes : Math.max(leastSize, 2 ** Math.ceil(Math.log2(bytes)));
    const list = this.#waiting.get(size);
    const known = list?.pop();
    if (known) {
      this.#waitingBytes -= size;
      return known;
    }
    this.#context.counters.buffers += 1;
    return gpu.createBuffer({ label: 'staging', size, usage: bufferUsage.mapRead | bufferUsage.copyTarget });
  }

  #giveBack(staging: GPUBuffer): void {
    staging.unmap();
    if (this.#waitingBytes + staging.size > mostWaiting) {
      staging.destroy();
      return;
    }
    const list = this.#waiting.get(staging.size);
    if (list) list.push(staging);
    else this.#waiting.set(staging.size, [staging]);
    this.#waitingBytes += staging.size;
  }
}
