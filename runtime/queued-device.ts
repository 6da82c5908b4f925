/**
 * What devices have in common: handles, the queue, and the order of launches and reads. A device says where bytes are
 * and how a program runs; a launch whose program is ready runs inside `run`, unless something waits in the queue; then
 * it waits behind it.
 */
import type { DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { DeviceBuffer, denseBytes } from './buffer.ts';
import { MemoryPressure, provokeCollection } from './collector.ts';
import type { ArraySpec, BufferHandle, MemoryStatistics, ProgramSource } from './device.ts';
import { part } from './parts.ts';
import type { Program, Tier } from './program.ts';
import type { QueuedTask, TaskQueue } from './queue.ts';
import type { TaskDevice } from './tasks.ts';

/** A device's memory as all devices count it. */
export interface DeviceMemory<Storage> {
  /** Bytes that tensors hold, that programs hold, and that the device has taken for both. */
  readonly tensorBytes: number;
  readonly programBytes: number;
  readonly reservedBytes: number;
  peakBytes: number;
  /** Takes one reference off. */
  release(storage: Storage): void;
  /** Whether an `out_of_memory` error is one that no release of memory helps. */
  isHopeless(error: unknown): boolean;
}

/** What gives memory back that can be taken again. Whether there was any. */
interface Releasable {
  release(): boolean;
}

/** What a device has until its end. */
export interface DeviceResources<Storage> {
  readonly memory: DeviceMemory<Storage>;
  readonly workspace: Releasable;
  /** What all programs keep from run to run and can make again. */
  readonly prepared: ReadonlySet<Releasable>;
}

export abstract class QueuedDevice<Storage extends { references: number }> implements TaskDevice<Storage> {
  abstract readonly name: string;
  abstract readonly tier: Tier;
  abstract readonly threads: number;
  abstract readonly runsAside: boolean;
  /** Buffers that are neither disposed nor donated. */
  #tensors = 0;
  protected readonly pressure = new MemoryPressure(() => this.memory());
  /** What waits; made when something does for the first time. */
  protected queue: TaskQueue | undefined;

  abstract get end(): KilnError | undefined;
  /** A storage with a copy of dense bytes. @throws KilnError as `upload` */
  protected abstract store(dtype: DType, data: Uint8Array): Storage;
  /** Absent after its end. */
  protected abstract get resources(): DeviceResources<Storage> | undefined;
  /** Runs a program over inputs that have not failed, as `execute` does. */
  protected abstract runLoaded(
    program: Program,
    inputs: readonly DeviceBuffer<Storage>[],
    outputs: readonly ArraySpec[],
  ): readonly Storage[] | KilnError;
  /** Resolves when what has been handed over has run. */
  protected abstract settle(): Promise<void>;
  abstract isLoaded(program: Program): boolean;
  abstract load(program: Program): void;
  abstract loadAside(program: Program, source?: ProgramSource): Promise<void>;
  abstract copyOut(buffer: DeviceBuffer<Storage>): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  abstract readSync(handle: BufferHandle): Uint8Array<ArrayBuffer>;
  abstract warmup(program: Program): Promise<void>;
  abstract shutdown(): void;

  upload(dtype: DType, shape: readonly number[], data: Uint8Array): DeviceBuffer<Storage> {
    this.assertOpen();
    const bytes = denseBytes(dtype, shape);
    if (data.length !== bytes) {
      throw internalError(`upload of ${data.length} bytes as ${dtype}[${shape}], which takes ${bytes}`);
    }
    return new DeviceBuffer(this, dtype, shape, bytes, this.store(dtype, data));
  }

  uploadLater(dtype: DType, shape: readonly number[], data: Promise<Uint8Array>): BufferHandle {
    this.assertOpen();
    const buffer = this.#newBuffer({ dtype, shape }, undefined);
    this.#enqueue(new (part('queue').QueuedUpload)(buffer, data, (bytes) => this.store(dtype, bytes)));
    return buffer;
  }

  alias(handle: BufferHandle, shape: readonly number[] = handle.shape): BufferHandle {
    this.assertOpen();
    const buffer = this.own(handle);
    if (denseBytes(buffer.dtype, shape) !== buffer.bytes) {
      throw internalError(`alias of ${buffer.dtype}[${buffer.shape}] as [${shape}]`);
    }
    const alias = new DeviceBuffer<Storage>(this, buffer.dtype, shape, buffer.bytes, undefined);
    const { storage, error } = buffer;
    if (storage !== undefined) alias.resolve(this.shareStorage(storage));
    else if (error) alias.fail(error);
    else this.#enqueue(new (part('queue').QueuedAlias)(this, buffer, alias));
    return alias;
  }

  run(source: ProgramSource, inputs: readonly BufferHandle[], outputs: readonly ArraySpec[]): BufferHandle[] {
    this.assertOpen();
    const buffers: DeviceBuffer<Storage>[] = [];
    for (let i = 0; i < inputs.length; i++) buffers.push(this.own(inputs[i]));
    const { program } = source;
    if (program === undefined || this.#isWaiting || !this.runsAtOnce(program)) {
      const results = outputs.map((output) => this.#newBuffer(output, undefined));
      this.#enqueue(new (part('queue').QueuedLaunch)(this, source, buffers, results));
      return results;
    }
    const result = this.execute(program, buffers, outputs);
    const results: DeviceBuffer<Storage>[] = [];
    for (let i = 0; i < outputs.length; i++) {
      const isFailure = result instanceof KilnError;
      const buffer = this.#newBuffer(outputs[i], isFailure ? undefined : result[i]);
      if (isFailure) buffer.fail(result);
      results.push(buffer);
    }
    return results;
  }

  async read(handle: BufferHandle): Promise<Uint8Array<ArrayBuffer>> {
    this.assertOpen();
    const buffer = this.own(handle);
    const bytes = await (buffer.state === 'pending' ? this.#readInTurn(buffer) : this.copyOut(buffer));
    if (this.pressure.isHigh) await this.pressure.relieve();
    return bytes;
  }

  async synchronize(): Promise<void> {
    if (this.#isWaiting) {
      await new Promise<void>((resolve) => this.#enqueue(new (part('queue').QueuedSignal)(resolve)));
    }
    await this.settle();
  }

  execute(
    program: Program,
    inputs: readonly DeviceBuffer<Storage>[],
    outputs: readonly ArraySpec[],
  ): readonly Storage[] | KilnError {
    for (let i = 0; i < inputs.length; i++) {
      const { error } = inputs[i];
      if (error) return error;
    }
    return this.runLoaded(program, inputs, outputs);
  }

  memory(): MemoryStatistics {
    const { memory } = this.resources ?? {};
    if (!memory) return { tensors: 0, bytes: 0, peakBytes: 0, programBytes: 0, reservedBytes: 0 };
    const { tensorBytes, programBytes, peakBytes, reservedBytes } = memory;
    return { tensors: this.#tensors, bytes: tensorBytes, peakBytes, programBytes, reservedBytes };
  }

  resetPeak(): void {
    this.assertOpen();
    const { memory } = this.resources ?? {};
    if (memory) memory.peakBytes = memory.tensorBytes + memory.programBytes;
  }

  shareStorage(storage: Storage): Storage {
    storage.references += 1;
    return storage;
  }

  releaseStorage(storage: Storage): void {
    this.resources?.memory.release(storage);
  }

  countBuffers(change: 1 | -1): void {
    this.#tensors += change;
  }

  /** Before an allocation fails: gives up what can be made again, and lets the collector know that it is time. */
  protected relieve(): boolean {
    provokeCollection();
    const { resources } = this;
    if (!resources) return false;
    let isAny = resources.workspace.release();
    for (const arrays of resources.prepared) if (arrays.release()) isAny = true;
    return isAny;
  }

  /** The bytes of a buffer whose turn has come. @throws what its launch failed with */
  protected storageOf({ error, storage }: DeviceBuffer<Storage>): Storage {
    if (error) throw error;
    if (storage === undefined) throw internalError('a read reached its turn before the launch that it reads');
    return storage;
  }

  /** Whether a program can run without any wait, making it ready on the way where need be. */
  protected runsAtOnce(program: Program): boolean {
    return this.isLoaded(program);
  }

  /** A usable buffer of this device. */
  protected own(handle: BufferHandle): DeviceBuffer<Storage> {
    if (!(handle instanceof DeviceBuffer) || handle.device !== this) {
      throw new KilnError('device_mismatch', 'the operands live on different devices', {
        given: `${handle.dtype}[${handle.shape}] on another ${handle.device.name} device`,
        expected: `operands on one ${this.name} device`,
        hint: 'arrays made before shutdown() belong to the session that ended; otherwise move them with to(device)',
      });
    }
    handle.assertUsable();
    return handle;
  }

  /** @throws KilnError `shut_down`, `device_lost` */
  protected assertOpen(): void {
    if (this.end) throw this.end;
  }

  #newBuffer({ dtype, shape }: ArraySpec, storage: Storage | undefined): DeviceBuffer<Storage> {
    return new DeviceBuffer<Storage>(this, dtype, shape, denseBytes(dtype, shape), storage);
  }

  #readInTurn(buffer: DeviceBuffer<Storage>): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      this.#enqueue(new (part('queue').QueuedRead)(this, buffer, resolve, reject));
    });
  }

  get #isWaiting(): boolean {
    return this.queue?.isIdle === false;
  }

  #enqueue(task: QueuedTask): void {
    this.queue ??= new (part('queue').TaskQueue)(async (error) => {
      if (this.resources?.memory.isHopeless(error)) return;
      // Twice, since a collection that had begun before may miss what died since.
      await this.pressure.relieve();
      await this.pressure.relieve();
    });
    this.queue.push(task);
  }
}
