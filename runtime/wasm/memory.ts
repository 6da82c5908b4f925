/**
 * The linear memory of the wasm device: one `WebAssembly.Memory` that grows as needed, up to the engine's limit, and
 * the allocator over it. Blocks are 64-byte aligned and followed by 16 bytes that loads may touch. The views are new
 * objects after each growth; take them from here each time, and never keep them over an allocation. A shared memory
 * begins with the control block of its threads.
 *
 *     const block = memory.allocate(24, 'tensor');      // references: 1
 *     memory.bytes.set(data, block.address);
 *     memory.release(block);                            // gone with its last reference
 */
import { KilnError } from '../../base/error.ts';
import { formatBytes } from '../format-bytes.ts';
import { outOfMemory } from '../out-of-memory.ts';
import { Allocator, type Block, unitBytes } from './allocator.ts';
import { engine, type LinearMemory } from './engine.ts';

const pageBytes = 65536;
/** The end of a 32-bit address space; engines allow this much or less. */
const maximumPages = 65536;
const initialPages = 16;
/** Kernels may load this many bytes past the end of a buffer. */
const readableSlack = 16;

/** What a block is for: memory that tensors hold, or memory that compiled programs hold. */
export type Purpose = 'tensor' | 'program';

export interface MemoryOptions {
  /** The most bytes the memory may grow to; the engine's limit of 4 GiB unless given. */
  readonly limitBytes?: number;
  /** Whether several threads see it, and how many bytes at its beginning belong to no tensor then. */
  readonly shared?: { readonly headBytes: number } | undefined;
  /** Told when it has grown. */
  readonly onGrowth?: () => void;
}

export class WasmMemory {
  /** What kernels import. */
  readonly memory: LinearMemory;
  /** Bytes that tensors hold. */
  tensorBytes = 0;
  /** Bytes that programs hold. */
  programBytes = 0;
  peakBytes = 0;
  #bytes: Uint8Array;
  #words: Uint32Array;
  readonly #allocator = new Allocator();
  /** Asked once before an allocation fails; true when it released something. */
  readonly #relieve: () => boolean;
  readonly #onGrowth: () => void;
  /** What the memory may grow to at most, and what was asked for. */
  readonly #limitPages: number;
  readonly #wantedPages: number;
  /** Errors of requests that would not fit in an empty memory either. */
  readonly #hopeless = new WeakSet<object>();

  /**
   * @param relieve releases what is held only for speed, before an allocation fails
   * @throws KilnError `out_of_memory` where the engine has no room for a small memory either
   */
  constructor(
    relieve: () => boolean = () => false,
    { limitBytes = maximumPages * pageBytes, shared, onGrowth = () => {} }: MemoryOptions = {},
  ) {
    this.#onGrowth = onGrowth;
    this.#wantedPages = Math.min(maximumPages, Math.floor(limitBytes / pageBytes));
    const initial = Math.min(initialPages, this.#wantedPages);
    [this.memory, this.#limitPages] = reserve(initial, this.#wantedPages, shared !== undefined);
    this.#relieve = relieve;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
    this.#allocator.extend((initial * pageBytes) / unitBytes);
    // Address 0 belongs to nobody, so that a pointer that was never set points at no tensor.
    this.#allocator.allocate((shared?.headBytes ?? unitBytes) / unitBytes);
  }

  /** All bytes. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** All bytes as 32-bit words; addresses in records are unsigned. */
  get words(): Uint32Array {
    return this.#words;
  }

  get reservedBytes(): number {
    return this.#bytes.length;
  }

  /** Blocks, used and free, in the order of addresses. */
  blocks(): Iterable<Block> {
    return this.#allocator.blocks();
  }

  /**
   * A block with one reference. Its contents are undefined.
   * @throws KilnError `out_of_memory`; nothing is lost
   */
  allocate(bytes: number, purpose: Purpose): Block {
    // More than this would not fit in the arithmetic of units either.
    if (!(bytes <= this.#limitPages * pageBytes)) {
      const error = this.#outOfMemory(bytes);
      this.#hopeless.add(error);
      throw error;
    }
    const units = Math.ceil((bytes + readableSlack) / unitBytes);
    const block = this.#allocator.allocate(units) ?? this.#allocateByGrowing(units, bytes);
    block.references = 1;
    block.bytes = bytes;
    block.isProgram = purpose === 'program';
    if (block.isProgram) this.programBytes += bytes;
    else this.tensorBytes += bytes;
    const held = this.tensorBytes + this.programBytes;
    if (held > this.peakBytes) this.peakBytes = held;
    return block;
  }

  /** Whether an `out_of_memory` error is one that no release of memory helps. */
  isHopeless(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#hopeless.has(error);
  }

  /** Takes one reference off; the last one gives the block back. */
  release(block: Block): void {
    block.references -= 1;
    if (block.references > 0) return;
    if (block.isProgram) this.programBytes -= block.bytes;
    else this.tensorBytes -= block.bytes;
    this.#allocator.release(block);
  }

  #allocateByGrowing(units: number, bytes: number): Block {
    if (!this.#grow(units)) {
      if (!this.#relieve()) throw this.#outOfMemory(bytes);
      const block = this.#allocator.allocate(units);
      if (block) return block;
      if (!this.#grow(units)) throw this.#outOfMemory(bytes);
    }
    const block = this.#allocator.allocate(units);
    if (!block) throw this.#outOfMemory(bytes);
    return block;
  }

  /** Grows by half, or by what is needed where that is more or half is too much. */
  #grow(units: number): boolean {
    const pages = this.#bytes.length / pageBytes;
    const needed = Math.ceil(((units - this.#allocator.freeAtEnd) * unitBytes) / pageBytes);
    const left = this.#limitPages - pages;
    if (needed > left) return false;
    const generous = Math.min(left, Math.max(needed, pages >> 1));
    return this.#growBy(generous) || (generous > needed && this.#growBy(needed));
  }

  #growBy(pages: number): boolean {
    try {
      this.memory.grow(pages);
    } catch {
      // A RangeError: the engine has no more.
      return false;
    }
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Uint32Array(this.memory.buffer);
    this.#allocator.extend((pages * pageBytes) / unitBytes);
    this.#onGrowth();
    return true;
  }

  #outOfMemory(bytes: number): KilnError {
    return outOfMemory(
      'wasm',
      bytes,
      this,
      `, ${formatBytes(this.#bytes.length)} of linear memory`,
      `at most ${formatBytes(this.#limitPages * pageBytes)} of linear memory` +
        (this.#limitPages < this.#wantedPages ? ', as much as this engine reserves for memory that threads share' : ''),
    );
  }
}

/**
 * A memory and what it may grow to. The engine reserves addresses for all that a shared memory may grow to when it is
 * made; where it refuses so many, it gets a smaller maximum.
 */
function reserve(initial: number, maximum: number, shared: boolean): [LinearMemory, number] {
  for (let pages = maximum; ; pages = Math.max(initial, pages >> 1)) {
    try {
      return [new (engine().Memory)({ initial, maximum: pages, ...(shared && { shared }) }), pages];
    } catch (cause) {
      if (pages > initial) continue;
      throw new KilnError('out_of_memory', 'the engine has no room for the memory of the wasm device', {
        given: `${formatBytes(initial * pageBytes)} wanted: ${String(cause)}`,
        cause,
      });
    }
  }
}
