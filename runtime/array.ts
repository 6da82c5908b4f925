/**
 * `DeviceArray`: an n-dimensional array whose bytes live on a device. It knows its shape and dtype, reads itself back,
 * prints itself and releases itself; operations are added above the runtime.
 *
 *     const x = new DeviceArray('float32', [2], device.upload('float32', [2], bytes));
 *     await x.data()        // Float32Array [1, 2]
 *     String(x)             // 'float32[2] [1, 2]'
 *     x.dispose();
 *
 * Tensors print as NumPy prints (`format.ts`), which takes more code than an array has that only carries results.
 *
 * An array without a handle stands for a value that is not computed here (a traced one); subclasses say what a read of
 * it means by overriding `requireHandle`.
 */
// For programs whose own `lib` does not know `Symbol.dispose`.
/// <reference lib="esnext.disposable" preserve="true" />
import type { DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { here, hereAtFirst } from '../base/here.ts';
import type { BufferHandle, Disposal } from './device.ts';
import { decodeElements, elementAt, type Nested, nestElements, type ScalarOf, type TypedArrayOf } from './elements.ts';
import { trackInScope } from './scope.ts';

const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** Releases buffers whose arrays were collected. Held values are handles, which never refer back to the array. */
const collected = new FinalizationRegistry<BufferHandle>((handle) => handle.dispose({ by: 'collector' }));

/** Elements that are printed. */
const mostShown = 12;

/** The number of the fewest digits, of five and more, that is the same in float32: 0.1 for 0.10000000149011612. */
function shortest(element: number): number {
  for (let digits = 5; digits < 9; digits++) {
    const short = Number(element.toPrecision(digits));
    if (Math.fround(short) === element) return short;
  }
  return element;
}

/** A disposal by the user. */
const disposedHere = (): Disposal => ({ by: 'dispose', location: hereAtFirst() });

export class DeviceArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  /** The device's buffer; `undefined` for a value that is not computed here. This array owns it. */
  readonly handle: BufferHandle | undefined;

  /** @param handle a buffer of this dtype and shape that no other array owns */
  constructor(dtype: D, shape: readonly number[], handle?: BufferHandle) {
    this.dtype = dtype;
    this.shape = shape;
    this.handle = handle;
    if (handle) {
      collected.register(this, handle);
      trackInScope(this);
    }
  }

  get ndim(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    let size = 1;
    for (const extent of this.shape) size *= extent;
    return size;
  }

  /** Name of the device, such as `'wasm'`. */
  get device(): string {
    return this.requireHandle('device').device.name;
  }

  /** Whether `dispose()`, a scope or a donation has taken the bytes. */
  get isDisposed(): boolean {
    const state = this.handle?.state;
    return state === 'disposed' || state === 'donated';
  }

  /**
   * The buffer, for the operation that is named.
   * @throws KilnError whatever makes a read of this array impossible
   */
  protected requireHandle(operation: string): BufferHandle {
    if (!this.handle) throw internalError(`${operation}: this array has no buffer`);
    return this.handle;
  }

  /**
   * The elements in row-major order. float16 and bfloat16 come as Float32Array, int64 as BigInt64Array, bool as
   * Uint8Array of 0 and 1.
   * @throws KilnError (as a rejection) `use_after_dispose`, or the first cause of what failed before
   */
  async data(): Promise<TypedArrayOf<D>> {
    const handle = this.usableHandle('data');
    return decodeElements(this.dtype, await handle.device.read(handle));
  }

  /**
   * As `data()`, now.
   * @throws KilnError also `blocking_read` where the thread may not wait for a compile, and on a device that gives bytes
   *   only later (webgpu)
   */
  dataSync(): TypedArrayOf<D> {
    const handle = this.usableHandle('dataSync');
    return decodeElements(this.dtype, handle.device.readSync(handle));
  }

  /** The raw little-endian bytes. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const handle = this.usableHandle('bytes');
    return handle.device.read(handle);
  }

  /** The raw little-endian bytes, now. */
  bytesSync(): Uint8Array<ArrayBuffer> {
    const handle = this.usableHandle('bytesSync');
    return handle.device.readSync(handle);
  }

  /** The elements as arrays in arrays; the bare element for shape []. */
  async array(): Promise<Nested<ScalarOf<D>>> {
    return nestElements(this.dtype, this.shape, await this.data());
  }

  /** As `array()`, now. */
  arraySync(): Nested<ScalarOf<D>> {
    return nestElements(this.dtype, this.shape, this.dataSync());
  }

  /** The only element: a number, a boolean for bool, a bigint for int64. @throws KilnError `invalid_argument` */
  async item(): Promise<ScalarOf<D>> {
    this.requireOneElement('item');
    return elementAt(this.dtype, await this.data(), 0);
  }

  /** As `item()`, now. */
  itemSync(): ScalarOf<D> {
    this.requireOneElement('itemSync');
    return elementAt(this.dtype, this.dataSync(), 0);
  }

  /** Resolves when the bytes are there. Rejects with the first cause where they never will be. */
  async ready(): Promise<void> {
    const handle = this.usableHandle('ready');
    if (handle.state === 'pending' || handle.device.runsAside) await handle.device.synchronize();
    if (handle.error) throw handle.error;
  }

  /** Releases the bytes now; again is no error. Work that was queued before still sees them. */
  dispose(): void {
    this.release(disposedHere());
  }

  [Symbol.dispose](): void {
    this.release(disposedHere());
  }

  /** Releases the bytes and remembers who did it. */
  release(disposal: Disposal): void {
    this.handle?.dispose(disposal);
  }

  /** The type and the first elements. Never throws: says so where there is nothing to print. */
  toString(): string {
    return this.text((elements) => {
      const rest = this.size > mostShown ? ', …' : '';
      const shown = elements.slice(0, mostShown);
      const numbers = shown instanceof Float32Array ? Array.from(shown, shortest) : shown;
      return `${this.typeText} [${numbers.join(', ')}${rest}]`;
    });
  }

  [inspect](): string {
    return this.toString();
  }

  /** What stands for this array where there are no elements to print, such as `<disposed float32[2,3]>`. */
  protected placeholder(state: string, reason?: string): string {
    return `<${state} ${this.typeText}${reason ? `: ${reason}` : ''}>`;
  }

  /** The buffer for a read; what forbids it points at the user's line. */
  private usableHandle(operation: string): BufferHandle {
    const handle = this.requireHandle(operation);
    try {
      handle.assertUsable();
    } catch (error) {
      throw error instanceof KilnError ? error.at(here()) : error;
    }
    return handle;
  }

  private requireOneElement(operation: string): void {
    if (this.size === 1) return;
    throw new KilnError('invalid_argument', `${operation}: the array has ${this.size} elements`, {
      given: this.typeText,
      expected: 'exactly one element',
      hint: 'use data() or array() for all of them, or reduce first, such as x.sum()',
      location: here(),
    });
  }

  private get typeText(): string {
    return `${this.dtype}[${this.shape}]`;
  }

  /** What `format` makes of the elements, or what there is instead of them. */
  protected text(format: (elements: TypedArrayOf<D>) => string): string {
    if (!this.handle) return this.placeholder('traced');
    if (this.isDisposed) return this.placeholder(this.handle.state);
    try {
      return format(this.dataSync());
    } catch (error) {
      if (error instanceof KilnError && error.code === 'blocking_read') {
        const { state, device } = this.handle;
        return state === 'ready'
          ? this.placeholder(device.name, 'await data() to see it')
          : this.placeholder('pending');
      }
      const reason = error instanceof KilnError ? `[${error.code}] ${error.summary}` : String(error);
      return this.placeholder('failed', reason);
    }
  }
}
