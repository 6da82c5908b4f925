/**
 * The life of one buffer handle, the same on every device: pending until its launch has run, then ready or failed; in
 * the end disposed, or donated to a program. A device says what `Storage` is; handles that alias share one.
 *
 *     pending ──resolve──▶ ready ──dispose / donate──▶ disposed / donated
 *        └──────fail─────▶ failed ──dispose──▶ disposed
 *
 * Queued launches and reads pin the buffers they use, so that disposing or collecting one meanwhile only takes effect
 * for its owner: the storage goes with the last pin.
 */
import { byteSize, type DType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import type { ArraySpec, BufferHandle, BufferState, Device, Disposal } from './device.ts';

/** What a buffer asks of its device. */
export interface BufferOwner<Storage> extends Device {
  /** Takes one reference off a storage. */
  releaseStorage(storage: Storage): void;
  /** One buffer more or less that its owner may use. */
  countBuffers(change: 1 | -1): void;
}

/** What is kept only as long as a buffer is. */
export interface Dependant {
  /** The buffer was disposed or donated. */
  sourceEnded(): void;
}

export class DeviceBuffer<Storage> implements BufferHandle {
  readonly device: BufferOwner<Storage>;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** The bytes, while there are any. */
  storage: Storage | undefined;
  error: KilnError | undefined = undefined;
  #disposal: Disposal | undefined = undefined;
  /** The queued launch that it is promised to. */
  #promisedTo: object | undefined = undefined;
  /** What its owner did after promising it; it counts if the launch never takes it. */
  #disposalAfterPromise: Disposal | undefined = undefined;
  #isTaken = false;
  #pins = 0;
  /** What follows from its bytes, and goes with it. */
  #dependants: Set<Dependant> | undefined = undefined;

  /** @param storage a storage whose reference this buffer takes over; without one, the buffer is pending */
  constructor(
    device: BufferOwner<Storage>,
    dtype: DType,
    shape: readonly number[],
    bytes: number,
    storage: Storage | undefined,
  ) {
    this.device = device;
    this.dtype = dtype;
    this.shape = shape;
    this.bytes = bytes;
    this.storage = storage;
    device.countBuffers(1);
  }

  get state(): BufferState {
    if (this.#disposal) return this.#disposal.by === 'donation' ? 'donated' : 'disposed';
    if (this.device.end) return 'disposed';
    if (this.error) return 'failed';
    return this.storage === undefined ? 'pending' : 'ready';
  }

  assertUsable(): void {
    if (this.#disposal) throw useAfterDispose(this, this.#disposal);
    if (this.device.end) throw this.device.end;
  }

  /** The bytes are there; takes over the reference. */
  resolve(storage: Storage): void {
    this.storage = storage;
    this.#releaseIfUnused();
  }

  /** The bytes never will be there. */
  fail(error: KilnError): void {
    this.error ??= error;
  }

  dispose(disposal: Disposal = { by: 'dispose' }): void {
    if (this.#disposal) {
      if (this.#promisedTo) this.#disposalAfterPromise ??= disposal;
      return;
    }
    this.#end(disposal);
  }

  /** Ends the owner's use in favour of a launch that waits in the queue, and may still give it back. */
  promise(program: string, launch: object): void {
    if (this.#disposal) return;
    this.#promisedTo = launch;
    this.#end({ by: 'donation', program });
  }

  /** Gives it back to its owner, if it was promised to this launch and not taken. */
  revoke(launch: object): void {
    if (this.#promisedTo !== launch || this.#isTaken) return;
    this.#promisedTo = undefined;
    this.#disposal = undefined;
    this.device.countBuffers(1);
    if (this.#disposalAfterPromise) this.#end(this.#disposalAfterPromise);
  }

  /** A launch begins that may overwrite it: from now on nobody else may read it. */
  take(program: string): void {
    this.#isTaken = true;
    if (!this.#disposal) this.#end({ by: 'donation', program });
  }

  /** For queued work whose turn has come. @throws KilnError `use_after_dispose` if a launch before it took the bytes */
  assertNotTaken(): void {
    if (this.#isTaken) throw useAfterDispose(this, { by: 'donation', program: 'a program that ran before' });
  }

  /** Lets something know when its owner's use ends. */
  addDependant(dependant: Dependant): void {
    this.#dependants ??= new Set();
    this.#dependants.add(dependant);
  }

  removeDependant(dependant: Dependant): void {
    this.#dependants?.delete(dependant);
  }

  /** Keeps the storage for queued work. */
  pin(): void {
    this.#pins += 1;
  }

  unpin(): void {
    this.#pins -= 1;
    this.#releaseIfUnused();
  }

  #end(disposal: Disposal): void {
    this.#disposal = disposal;
    this.device.countBuffers(-1);
    if (this.#dependants) for (const dependant of this.#dependants) dependant.sourceEnded();
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (!this.#disposal || this.#pins > 0 || this.storage === undefined) return;
    this.device.releaseStorage(this.storage);
    this.storage = undefined;
  }
}

/** Bytes of a dense array. */
export function denseBytes(dtype: DType, shape: readonly number[]): number {
  let bytes = byteSize(dtype);
  for (let axis = 0; axis < shape.length; axis++) bytes *= shape[axis];
  return bytes;
}

/** Bytes of arrays whose sizes are known. */
export const bytesOfAll = (arrays: readonly ArraySpec[]): number[] =>
  arrays.map(({ dtype, shape }) => denseBytes(dtype, shape));

export const shutDownError = (device: string): KilnError =>
  new KilnError('shut_down', `the ${device} device was shut down, and its arrays are gone with it`, {
    hint: 'call init() to start again, and make the arrays anew',
  });

/** How it was released, and what to do about it. */
function storyOf({ by, program, location }: Disposal): readonly [what: string, advice: string] {
  if (by === 'donation') {
    const advice = 'use the result that replaces it, or do not donate this argument';
    return [`it was donated to ${program}`, advice];
  }
  if (by === 'tidy') return ['its tidy() scope released it', 'return it from the function given to tidy() to keep it'];
  const further = location
    ? 'a variable declared with `using` is disposed at the end of its block'
    : 'KILN_DEBUG=runtime names the line';
  return ['dispose() released it', `dispose it after its last use; ${further}`];
}

function useAfterDispose({ dtype, shape }: BufferHandle, disposal: Disposal): KilnError {
  const [what, advice] = storyOf(disposal);
  const where = disposal.location?.toString();
  return new KilnError('use_after_dispose', `this array has no bytes any more: ${what}`, {
    given: `${dtype}[${shape}]${where ? `, released at ${where}` : ''}`,
    expected: 'an array that has not been released',
    hint: advice,
  });
}
