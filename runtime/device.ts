/**
 * What every device offers, and what the rest of the runtime may ask of it. A device holds dense row-major buffers
 * behind handles and runs programs over them in the order of the calls:
 *
 *     const x = device.upload('float32', [3], bytes);                                    // state 'ready'
 *     const [y] = device.run(source, [x], [{ dtype: 'float32', shape: [3] }]);           // 'ready' or 'pending'
 *     await device.read(y);                                                              // Uint8Array, little-endian
 *
 * `run` gives handles at once. Where the program must still be compiled, the launch waits in the device's queue, and
 * with it every later launch and read; nothing overtakes. What fails there poisons the outputs: they are 'failed',
 * and reads and dependants get the first cause.
 */
import type { DimBindings } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';
import type { KilnError } from '../base/error.ts';
import type { SourceLocation } from '../base/location.ts';
import type { Program, Tier } from './program.ts';
import type { Trial } from './trial.ts';

/** Element type and concrete shape of a buffer. */
export interface ArraySpec {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * - `pending`: its launch waits in the queue.
 * - `ready`: the bytes are there, or will be before anything that asks for them from now on.
 * - `failed`: its launch or compile failed; `error` says why.
 * - `donated`: handed to a program that may overwrite it.
 * - `disposed`: released.
 */
export type BufferState = 'pending' | 'ready' | 'failed' | 'donated' | 'disposed';

/** Who released a buffer, for the message of a later use. */
export interface Disposal {
  readonly by: 'dispose' | 'tidy' | 'collector' | 'donation' | 'shutdown';
  /** Name of the program that took it, for a donation. */
  readonly program?: string;
  /** The user's line, where known. */
  readonly location?: SourceLocation | undefined;
}

/**
 * One buffer as its owner sees it. Handles that alias share bytes, which are released with the last of them. A handle
 * belongs to one `DeviceArray`, which disposes it at the latest when it is collected; `Device.alias` makes another.
 */
export interface BufferHandle extends ArraySpec {
  readonly device: Device;
  /** Bytes of the elements. */
  readonly bytes: number;
  readonly state: BufferState;
  /** Why a `failed` buffer has no bytes. */
  readonly error: KilnError | undefined;
  /** @throws KilnError `use_after_dispose` (disposed or donated), `shut_down` or `device_lost` */
  assertUsable(): void;
  /** Releases it; again is no error. Launches and reads that were queued before still see the bytes. */
  dispose(disposal?: Disposal): void;
}

/** A program that is compiled, or will be when it is first needed. */
export interface ProgramSource {
  /** For messages and profiles. */
  readonly name: string;
  readonly program: Program | undefined;
  /** Which inputs the caller gives up; without it, the program tells once it is there. */
  readonly donated?: readonly boolean[];
  /** Compiles in the background. May be called more than once; the work is done once. */
  prepare(): Promise<Program>;
  /** Compiles now. @throws KilnError `blocking_read` where the thread may not block, or what the compiler says */
  prepareSync(): Program;
  /** What a step of the program computes, with the user's lines, where that is known or can be found out. */
  origin?(step: number): string | undefined | Promise<string | undefined>;
}

export interface MemoryStatistics {
  /** Buffers that are neither disposed nor donated, pending ones included. */
  readonly tensors: number;
  /** Bytes that buffers hold; shared bytes count once. */
  readonly bytes: number;
  /** Most bytes held at one time by buffers and programs together, since the start or `resetPeak`. */
  readonly peakBytes: number;
  /** Bytes that compiled programs hold: constants, launch records, temporaries. */
  readonly programBytes: number;
  /** Bytes the device has taken from the engine. */
  readonly reservedBytes: number;
}

export interface Device {
  readonly name: string;
  /** What the code of its programs may use; decided when the device is made. */
  readonly tier: Tier;
  /** Threads that run kernels, the caller's among them. */
  readonly threads: number;
  /** Why the device and all its buffers are gone (`shut_down`, `device_lost`); `undefined` while they are not. */
  readonly end: KilnError | undefined;
  /** Whether launches run beside this thread, so that a buffer that is `ready` may still be computed. */
  readonly runsAside: boolean;
  /**
   * A buffer with a copy of `data`.
   * @param data dense little-endian elements, as many as `shape` says
   * @throws KilnError `out_of_memory`, `unsupported_dtype`, `invalid_argument` for elements that the device can not
   *   hold, `shut_down`, `device_lost`
   */
  upload(dtype: DType, shape: readonly number[], data: Uint8Array): BufferHandle;
  /**
   * The same of bytes that are still on their way, such as those of another device. The handle is pending until they
   * are there, and what comes later waits behind it. @throws KilnError `shut_down`, `device_lost`
   */
  uploadLater(dtype: DType, shape: readonly number[], data: Promise<Uint8Array>): BufferHandle;
  /** Another handle to the same bytes, under another shape of the same size. */
  alias(handle: BufferHandle, shape?: readonly number[]): BufferHandle;
  /**
   * Runs a program, at once where it is compiled and nothing waits, else in its turn.
   * @param outputs what each output is, for the concrete sizes of this call
   * @throws KilnError `use_after_dispose`, `device_mismatch`, `out_of_memory`, `invalid_argument`, `shut_down`; then
   * nothing has happened and every input is as it was
   */
  run(source: ProgramSource, inputs: readonly BufferHandle[], outputs: readonly ArraySpec[]): BufferHandle[];
  /** Makes the kernels of a compiled program ready, off this thread where the engine can. */
  loadAside(program: Program): Promise<void>;
  /** Makes everything of a compiled program that does not depend on inputs, so that its first run is fast. */
  warmup(program: Program): Promise<void>;
  /**
   * Runs programs with the same inputs out of turn, to see how long they take. Devices whose programs have no choice of
   * schedules do without.
   * @param sizes values of symbolic sizes
   * @throws KilnError `out_of_memory`, `compile_failed`, `shut_down`; nothing is kept then
   */
  trial?(programs: readonly Program[], sizes: DimBindings): Trial;
  /**
   * A copy of the bytes as they are at this point of the queue. Rejects with the first cause of a failure. Under memory
   * pressure it resolves in a later task, so that buffers whose owners are garbage can be released.
   */
  read(handle: BufferHandle): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The same now.
   * @throws KilnError `blocking_read` where what it waits for can not be compiled synchronously, or bytes come from the
   *   device only later
   */
  readSync(handle: BufferHandle): Uint8Array<ArrayBuffer>;
  /** Resolves when everything queued so far has run, whether it failed or not. */
  synchronize(): Promise<void>;
  memory(): MemoryStatistics;
  /** Starts a new measurement of `peakBytes`. */
  resetPeak(): void;
  /** Releases everything. Later use of the device or its buffers throws `shut_down`; again is no error. */
  shutdown(): void;
}
