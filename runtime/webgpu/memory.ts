/**
 * Memory of the webgpu device. Each block is a GPUBuffer of its own, from its first byte on, as large as its size class;
 * a released one waits for the next allocation of its class. How much waits is bounded, and all of it goes when memory
 * is short.
 *
 *     const block = memory.allocate(1000, 'tensor');     // a GPUBuffer of 1024 bytes, references: 1
 *     memory.write(block, data);
 *     memory.release(block);                             // waits for the next 769 to 1024 bytes
 */
import { KilnError } from '../../base/error.ts';
import { formatBytes } from '../format-bytes.ts';
import { outOfMemory } from '../out-of-memory.ts';
import type { Commands } from './commands.ts';
import { bindingAlignment, bufferUsage, copyBytes } from './constants.ts';
import type { MutableCounters } from './counters.ts';
import type { Faults } from './faults.ts';

/** A GPUBuffer and who holds it. */
export interface GpuBlock {
  readonly buffer: GPUBuffer;
  /** Bytes of the GPUBuffer. */
  readonly size: number;
  /** Bytes asked for. */
  bytes: number;
  references: number;
  isProgram: boolean;
  lastRun: number;
  /** The last batch of commands that uses it, and the last that writes it. */
  usedIn: number;
  writtenIn: number;
  /** The device had no room for it after all. */
  fault: KilnError | undefined;
}

/** What a block is for: memory that tensors hold, or memory that compiled programs hold. */
export type Purpose = 'tensor' | 'program';

export interface GpuMemoryOptions {
  /** The most bytes of GPUBuffers at a time; what the device has unless given. */
  readonly limitBytes?: number;
  /** Releases what is held only for speed, before an allocation fails; whether it did. */
  readonly relieve: () => boolean;
}

/** Bytes that may always wait for their next use; beyond, as many as are in use. */
const leastWaiting = 2 ** 26;

const storageUsage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;

/** Eight classes between a power of two and the next. */
function sizeClass(bytes: number): number {
  const step = Math.max(bindingAlignment, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.max(1, Math.ceil(bytes / step)) * step;
}

/** The same bytes where no other thread sees them: Dawn for Node ends the process when it is given shared ones. */
const unshared = (data: Uint8Array): Uint8Array<ArrayBuffer> =>
  Object.prototype.toString.call(data.buffer) === '[object SharedArrayBuffer]'
    ? new Uint8Array(data)
    : (data as Uint8Array<ArrayBuffer>);

export class GpuMemory {
  /** Bytes that tensors hold. */
  tensorBytes = 0;
  /** Bytes that programs hold. */
  programBytes = 0;
  peakBytes = 0;
  /** Bytes of all GPUBuffers, those that wait among them. */
  reservedBytes = 0;
  /** The most bytes of one tensor: a kernel binds it whole. */
  readonly mostBytes: number;
  readonly #device: GPUDevice;
  readonly #commands: Commands;
  readonly #faults: Faults;
  readonly #counters: MutableCounters;
  readonly #limitBytes: number;
  readonly #relieve: () => boolean;
  /** By size; in the map, the class whose blocks have waited longest comes first. */
  readonly #waiting = new Map<number, GpuBlock[]>();
  #waitingBytes = 0;
  readonly #hopeless = new WeakSet<object>();
  #checks: Promise<void> = Promise.resolve();

  constructor(
    device: GPUDevice,
    { commands, faults, counters }: { commands: Commands; faults: Faults; counters: MutableCounters },
    { limitBytes = Number.POSITIVE_INFINITY, relieve }: GpuMemoryOptions,
  ) {
    this.#device = device;
    this.#commands = commands;
    this.#faults = faults;
    this.#counters = counters;
    this.#limitBytes = limitBytes;
    this.#relieve = relieve;
    this.mostBytes = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  }

  /** Resolves when it is known of all buffers so far whether the device had room. */
  get checked(): Promise<void> {
    return this.#checks;
  }

  /**
   * A block with one reference. Its contents are undefined.
   * @param most the most bytes that it may have
   * @throws KilnError `out_of_memory`; nothing is lost. Where the device itself has no room, that is known only later
   */
  allocate(bytes: number, purpose: Purpose, most = this.mostBytes): GpuBlock {
    const wanted = Math.max(16, Math.ceil(bytes / 16) * 16);
    if (!(wanted <= most)) throw this.#tooLarge(bytes, most);
    const size = Math.min(sizeClass(wanted), Math.floor(most / 16) * 16);
    const block = this.#takeWaiting(size) ?? this.#create(size, bytes);
    block.bytes = bytes;
    block.references = 1;
    block.isProgram = purpose === 'program';
    block.writtenIn = 0;
    if (block.isProgram) this.programBytes += bytes;
    else this.tensorBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.tensorBytes + this.programBytes);
    return block;
  }

  /** @throws KilnError `out_of_memory` for more bytes than a launch can bind as one buffer */
  assertBindable(bytes: number): void {
    if (!(bytes <= this.mostBytes)) throw this.#tooLarge(bytes, this.mostBytes);
  }

  /** Takes one reference off; the last one gives the block back. */
  release(block: GpuBlock): void {
    block.references -= 1;
    if (block.references > 0) return;
    if (block.isProgram) this.programBytes -= block.bytes;
    else this.tensorBytes -= block.bytes;
    if (block.fault) {
      this.reservedBytes -= block.size;
      return;
    }
    const list = this.#waiting.get(block.size);
    if (list) list.push(block);
    else this.#waiting.set(block.size, [block]);
    this.#waitingBytes += block.size;
    const inUse = this.reservedBytes - this.#waitingBytes;
    if (this.#waitingBytes > Math.max(leastWaiting, inUse)) this.#trimTo(Math.max(leastWaiting, inUse) / 2);
  }

  /** Fills a block from its first byte; commands that were recorded before still see what was there. */
  write(block: GpuBlock, data: Uint8Array): void {
    if (data.length === 0) return;
    if (block.usedIn === this.#commands.batch) this.#commands.flush();
    const { queue } = this.#device;
    // Not by bits: lengths may be beyond an int32.
    const whole = data.length - (data.length % 4);
    const source = unshared(data);
    if (whole > 0) queue.writeBuffer(block.buffer, 0, source, 0, whole);
    if (whole === data.length) return;
    const rest = new Uint8Array(4);
    rest.set(source.subarray(whole));
    queue.writeBuffer(block.buffer, whole, rest);
  }

  /** Copies the elements of a block, in the order of commands. */
  copy(from: GpuBlock, to: GpuBlock): void {
    this.#commands.copy(from.buffer, to.buffer, copyBytes(from.bytes));
    const { batch } = this.#commands;
    from.usedIn = batch;
    to.usedIn = batch;
    to.writtenIn = Math.max(from.writtenIn, batch);
  }

  /** A buffer for the uniform blocks of a program. */
  uniforms(data: Int32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#device.createBuffer({
      label: 'uniforms',
      size: data.byteLength,
      usage: bufferUsage.uniform | bufferUsage.copyTarget,
    });
    this.#counters.buffers += 1;
    this.#device.queue.writeBuffer(buffer, 0, data);
    this.#countUniforms(data.byteLength);
    return buffer;
  }

  #countUniforms(bytes: number): void {
    this.programBytes += bytes;
    this.peakBytes = Math.max(this.peakBytes, this.tensorBytes + this.programBytes);
    this.reservedBytes += bytes;
  }

  destroyUniforms(buffer: GPUBuffer): void {
    this.#commands.flush();
    this.#countUniforms(-buffer.size);
    buffer.destroy();
  }

  /** Destroys what waits. Whether there was anything. */
  trim(): boolean {
    const isAny = this.#waitingBytes > 0;
    this.#trimTo(0);
    return isAny;
  }

  /** Whether an `out_of_memory` error is one that no release of memory helps. */
  isHopeless(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#hopeless.has(error);
  }

  #takeWaiting(size: number): GpuBlock | undefined {
    const list = this.#waiting.get(size);
    if (!list) return undefined;
    // One that the open batch does not use can be written at once.
    const { batch } = this.#commands;
    const idle = list.findLastIndex(({ usedIn }) => usedIn !== batch);
    const [block] = list.splice(idle, 1);
    if (list.length === 0) this.#waiting.delete(size);
    this.#waitingBytes -= size;
    return block;
  }

  #trimTo(bytes: number): void {
    for (const [size, list] of this.#waiting) {
      for (let block = list.shift(); block; block = list.shift()) {
        // What is recorded must be submitted before it.
        if (block.usedIn === this.#commands.batch) this.#commands.flush();
        block.buffer.destroy();
        this.#waitingBytes -= size;
        this.reservedBytes -= size;
        if (this.#waitingBytes <= bytes) break;
      }
      if (list.length === 0) this.#waiting.delete(size);
      if (this.#waitingBytes <= bytes) return;
    }
  }

  #create(size: number, bytes: number): GpuBlock {
    if (this.reservedBytes + size > this.#limitBytes) this.trim();
    if (this.reservedBytes + size > this.#limitBytes) {
      if (this.#relieve()) this.trim();
      if (this.reservedBytes + size > this.#limitBytes) throw this.#outOfMemory(bytes);
    }
    this.#device.pushErrorScope('out-of-memory');
    const buffer = this.#device.createBuffer({ label: `${size} bytes`, size, usage: storageUsage });
    this.reservedBytes += size;
    this.#counters.buffers += 1;
    const block: GpuBlock = {
      buffer,
      size,
      bytes,
      references: 0,
      isProgram: false,
      lastRun: 0,
      usedIn: 0,
      writtenIn: 0,
      fault: undefined,
    };
    const { batch } = this.#commands;
    const before = this.#checks;
    this.#checks = this.#device.popErrorScope().then(
      (error) => {
        if (error) this.#refused(block, batch, error.message);
        return before;
      },
      () => undefined, // The device is lost, which whoever waits here finds out by itself.
    );
    return block;
  }

  /** The device had no room after all: what uses the block is spoilt, and what waits makes room for what comes. */
  #refused(block: GpuBlock, batch: number, message: string): void {
    block.fault = this.#outOfMemory(block.bytes, message);
    this.#faults.record(batch, block.fault);
    this.trim();
  }

  #tooLarge(bytes: number, most: number): KilnError {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits;
    const error = new KilnError('out_of_memory', `the webgpu device has no buffers of ${formatBytes(bytes)}`, {
      given: `${formatBytes(bytes)} wanted`,
      expected:
        `at most ${formatBytes(most)} in one tensor or temporary: maxBufferSize is ${maxBufferSize}, ` +
        `maxStorageBufferBindingSize ${maxStorageBufferBindingSize} on this adapter`,
      hint: 'split the tensor, or use a dtype of fewer bytes',
    });
    this.#hopeless.add(error);
    return error;
  }

  #outOfMemory(bytes: number, message?: string): KilnError {
    const expected = Number.isFinite(this.#limitBytes)
      ? `at most ${formatBytes(this.#limitBytes)} together`
      : undefined;
    const error = outOfMemory('webgpu', bytes, this, message ? `: ${message}` : '', expected);
    if (bytes > this.#limitBytes) this.#hopeless.add(error);
    return error;
  }
}
