/**
 * What a kernel finds in its record: an array of 32-bit words, first the address of each buffer, then the sizes the
 * code asked for, then the address of the scratch memory of the thread that runs it, then that of the scratch memory
 * that all calls of the launch share.
 *
 *     kernel softmax(read x: f32[B*N], write y: f32[B*N])      words: x, y, B, N, scratch, shared
 *
 * A kernel whose packed factors are kept from launch to launch has them in a further buffer, in the place of memory
 * that the calls of one launch share.
 */
import { addDims, type Dim, floorDivDims, isStatic, mulDims } from '../../base/dim.ts';
import { byteSize, type DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type { Kernel } from '../../ir/kernel.ts';

/** An array in scratch memory: in that of the thread, or in that of the launch. */
interface ScratchArray {
  readonly offset: Dim;
  readonly dtype: DType;
  readonly isShared: boolean;
}

export class RecordLayout {
  readonly sizes: Dim[] = [];
  /** Words in front of the sizes. */
  readonly #bufferWords: number;
  /** Where the address of shared memory stands, if that is a buffer. */
  readonly #packedWord: number | undefined;
  readonly #buffers = new Map<string, { word: number; dtype: DType }>();
  readonly #scratch = new Map<string, ScratchArray>();
  /** Bytes of each thread. */
  scratchBytes: Dim = 0;
  /** Bytes of the launch. */
  sharedBytes: Dim = 0;
  /** Whether functions name their locals, for the text form. */
  readonly named: boolean;
  /** Whether code may fuse multiplications with additions (`mayFuse` of the options). */
  readonly mayFuse: boolean;

  /** Whether code is for `fast` precision. */
  readonly isFast: boolean;

  constructor(
    kernel: Kernel,
    options: { readonly named?: boolean; readonly isFast?: boolean; readonly mayFuse?: boolean } = {},
  ) {
    this.named = options.named ?? false;
    this.isFast = options.isFast ?? false;
    this.mayFuse = options.mayFuse ?? false;
    const { length } = kernel.buffers;
    this.#packedWord = kernel.packed && length;
    this.#bufferWords = kernel.packed ? length + 1 : length;
    kernel.buffers.forEach(({ name, dtype }, word) => {
      this.#buffers.set(name, { word, dtype });
    });
    for (const { name, dtype, size } of kernel.scratch) this.addScratch(name, dtype, size);
  }

  /**
   * Reserves scratch memory of the thread, aligned to 16 bytes and with 16 bytes behind it that loads may touch. What a
   * call leaves there, no other call finds.
   */
  addScratch(name: string, dtype: DType, elements: Dim): void {
    this.#scratch.set(name, { offset: this.scratchBytes, dtype, isShared: false });
    this.scratchBytes = addDims(this.scratchBytes, scratchSize(dtype, elements));
  }

  /** The same in memory that all calls of a launch share: what one phase writes there, later phases read. */
  addShared(name: string, dtype: DType, elements: Dim): void {
    this.#scratch.set(name, { offset: this.sharedBytes, dtype, isShared: true });
    this.sharedBytes = addDims(this.sharedBytes, scratchSize(dtype, elements));
  }

  /** The storage type of a buffer or scratch array. */
  dtypeOf(memory: string): DType {
    const found = this.#buffers.get(memory) ?? this.#scratch.get(memory);
    if (!found) throw internalError(`kernel names memory '${memory}' that it does not bind`);
    return found.dtype;
  }

  /** Bytes from the start of its scratch memory, or undefined for a buffer. */
  scratchOffset(memory: string): Dim | undefined {
    return this.#scratch.get(memory)?.offset;
  }

  /** Asks for a size; the same size twice is one word. */
  sizeIndex(size: Dim): number {
    const text = String(size);
    const at = this.sizes.findIndex((known) => String(known) === text);
    return at >= 0 ? at : this.sizes.push(size) - 1;
  }

  sizeWord(size: Dim): number {
    return this.#bufferWords + this.sizeIndex(size);
  }

  addressWord(memory: string): number {
    const scratch = this.#bufferWords + this.sizes.length;
    const shared = this.#packedWord ?? scratch + 1;
    return this.#buffers.get(memory)?.word ?? (this.#scratch.get(memory)?.isShared ? shared : scratch);
  }
}

function scratchSize(dtype: DType, elements: Dim): Dim {
  const bytes = addDims(mulDims(elements, byteSize(dtype)), 16);
  return isStatic(bytes) ? 16 * Math.ceil(bytes / 16) : mulDims(floorDivDims(addDims(bytes, 15), 16), 16);
}
